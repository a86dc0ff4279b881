package console

import (
	"encoding/base64"
	"encoding/json"
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
	v.keepCookie(flashCookie, base64.RawURLEncoding.EncodeToString(text), 60)
}

// takeFlash is the message that was kept, once.
func (v *visit) takeFlash() *flash {
	kept := v.cookie(flashCookie)
	if kept == "" {
		return nil
	}
	v.dropCookie(flashCookie)
	text, err := base64.RawURLEncoding.DecodeString(kept)
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
	if theme := v.cookie(themeCookie); theme == "light" || theme == "dark" {
		return theme
	}
	return ""
}

// setTheme keeps the choice of a theme.
func setTheme(v *visit) error {
	switch theme := v.FormValue("theme"); theme {
	case "light", "dark":
		v.keepCookie(themeCookie, theme, 365*24*3600)
	default:
		v.dropCookie(themeCookie)
	}
	return v.redirect(v.back(root))
}
