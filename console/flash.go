package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// Cookies of the pages. None is a secret.
const (
	flashCookie = "muster_flash"
	themeCookie = "muster_theme"
)

// A flash is told once, on the next page.
type flash struct {
	Text string `json:"t"`
	Bad  bool   `json:"b,omitempty"`
}

// flash keeps a message for the next page.
func (v *visit) flash(f flash) {
	text, _ := json.Marshal(f) //nolint:errchkjson // it is two simple fields
	v.setCookie(flashCookie, base64.RawURLEncoding.EncodeToString(text), 60)
}

// takeFlash is the message that was kept, once.
func (v *visit) takeFlash() *flash {
	c, err := v.Cookie(flashCookie)
	if err != nil {
		return nil
	}
	v.setCookie(flashCookie, "", -1)
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return nil
	}
	var f flash
	if json.Unmarshal(text, &f) != nil || f.Text == "" {
		return nil
	}
	return &f
}

// theme is the one that the operator chose; empty: none.
func (v *visit) theme() string {
	if c, err := v.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// setTheme keeps the choice of a theme.
func setTheme(v *visit) error {
	switch theme := v.FormValue("theme"); theme {
	case "light", "dark":
		v.setCookie(themeCookie, theme, 365*24*3600)
	default:
		v.setCookie(themeCookie, "", -1)
	}
	return v.redirect(v.back(root))
}

func (v *visit) setCookie(name, value string, age int) {
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // it is secure wherever the console is
		Name: name, Value: value, Path: root, MaxAge: age, HttpOnly: true, Secure: v.secure(), SameSite: http.SameSiteLaxMode,
	})
}
