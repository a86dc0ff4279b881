package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strings"
)

//go:embed *.html
var templateFiles embed.FS

// A section is an entry of the navigation.
type section struct {
	Name string // the word that a page says which section it is of by, and the path
	Text string
	Icon string
	Key  string // g and this letter go there
	Path string
	// Needs is who sees it.
	Needs right
}

// sections are the navigation, in order.
var sections = []section{
	{"overview", "Overview", "home", "o", root, look},
	{"users", "Users", "user", "u", root + "users", look},
	{"groups", "Groups", "users", "g", root + "groups", look},
	{"credentials", "SCIM configuration", "plug", "c", credentialsPath, look},
	{"activity", "Activity", "activity", "a", activityPath, look},
	{"health", "Health", "health", "h", healthPath, look},
	{"audit", "Audit log", "history", "l", auditPath, look},
	{"schemas", "Schemas", "schema", "m", schemasPath, look},
	{"tenants", "Tenants", "tenant", "t", tenantsPath, survey},
	{"settings", "Settings", "settings", "s", settingsPath, look},
}

// sections are those that somebody sees.
func (s *session) sections() []section {
	return slices.DeleteFunc(slices.Clone(sections), func(of section) bool { return !s.can(of.Needs) })
}

// A crumb is a page above the present one.
type crumb struct{ Text, Path string }

// A page is what a handler shows.
type page struct {
	Title   string
	Section string
	Crumbs  []crumb
	Status  int // 0: 200
	Data    any // for the template: the page's own view
}

// A view is what a template gets.
type view struct {
	page

	Session  *session
	Sections []section
	Flash    *flash
	Theme    string // light, dark, or empty: as the browser likes
	Here     string // the path and query of the page, to come back to
}

// Can tells whether the operator has a right.
func (v *view) Can(r string) bool { return v.Session.can(right(r)) }

// With is the view of a part: a template gets both the data and the page that it is on.
func (v *view) With(data any) *view {
	of := *v
	of.Data = data
	return &of
}

// templates are those of each page, each with the layout and the parts.
type templates map[string]*template.Template

// shared are the templates that each page has.
var shared = []string{"layout.html", "parts.html", "shared.html"}

func parseTemplates() (templates, error) {
	base, err := template.New("").Funcs(functions).ParseFS(templateFiles, shared...)
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(templateFiles, "*.html")
	if err != nil {
		return nil, err
	}
	all := make(templates)
	for _, file := range files {
		t, err := base.Clone()
		if err == nil {
			_, err = t.ParseFS(templateFiles, file)
		}
		if err != nil {
			return nil, fmt.Errorf("the template %s: %w", file, err)
		}
		all[strings.TrimSuffix(file, ".html")] = t
	}
	return all, nil
}

// show answers with a page: the template of that name, or the fragment of it that the
// page's script asks for.
func (v *visit) show(name string, p page) error {
	fragment := v.asks()
	view := &view{page: p, Session: v.session, Sections: v.session.sections(), Theme: v.theme(), Here: v.URL.RequestURI()}
	if fragment == "" {
		fragment = "layout"
		view.Flash = v.takeFlash()
	} else if v.templates[name].Lookup(fragment) == nil {
		fragment = "content"
	}
	if v.Method != http.MethodGet {
		view.Here = root
	}
	var out bytes.Buffer
	if err := v.templates[name].ExecuteTemplate(&out, fragment, view); err != nil {
		return fmt.Errorf("the page %s: %w", name, err)
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "Muster-Fragment")
	if p.Status == 0 {
		p.Status = http.StatusOK
	}
	v.w.WriteHeader(p.Status)
	_, _ = out.WriteTo(v.w) // an error means that the browser is gone
	return nil
}

// render is a fragment of a page by itself, as a stream sends it.
func (v *visit) render(name, fragment string, data any) (string, error) {
	view := &view{page: page{Data: data}, Session: v.session, Here: root}
	var out strings.Builder
	err := v.templates[name].ExecuteTemplate(&out, fragment, view)
	return out.String(), err
}

// A question is asked before a deed. The answer is a POST to the same path.
type question struct {
	Title  string
	Text   string
	Points []string // what will happen, one by one
	Button string   // the word for the deed
	Danger bool
	Choose *choice // the first is chosen
	Type   string  // has to be typed in, so that nobody does it by mistake; it is sent as "typed"
	Fields []field // sent along
	Back   string  // where somebody goes who would rather not
}

// A field is a hidden field of a form.
type field struct{ Name, Value string }

// ask shows a question: as a page, or as a dialog on the page that it was asked from.
func (v *visit) ask(p page, q question) error {
	p.Title, p.Data = q.Title, q
	return v.show("question", p)
}

// showKeys lists the keyboard shortcuts.
func showKeys(v *visit) error { return v.show("keys", page{Title: "Keyboard shortcuts"}) }
