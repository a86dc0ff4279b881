package console

import "html/template"

// icons are drawn on a square of 16 by 16, as lines of the colour of the text.
var icons = map[string]string{
	"home":     `<path d="M1.8 7.6 8 2.4l6.2 5.2M3.5 6.6v6.9h9V6.6M6.5 13.5V9.8h3v3.7"/>`,
	"user":     `<circle cx="8" cy="5" r="2.75"/><path d="M2.75 14c.3-2.9 2.4-4.5 5.25-4.5s4.95 1.6 5.25 4.5"/>`,
	"users":    `<circle cx="6" cy="5.5" r="2.5"/><path d="M1.25 13.5c.25-2.6 2-4 4.75-4s4.5 1.4 4.75 4M10.5 3.2a2.5 2.5 0 0 1 0 4.6M12.2 9.9c1.5.5 2.4 1.8 2.55 3.6"/>`,
	"search":   `<circle cx="7" cy="7" r="4.25"/><path d="m10.2 10.2 3.6 3.6"/>`,
	"menu":     `<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/>`,
	"sun":      `<circle cx="8" cy="8" r="2.75"/><path d="M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9"/>`,
	"moon":     `<path d="M13.5 9.6A5.75 5.75 0 0 1 6.4 2.5a5.75 5.75 0 1 0 7.1 7.1Z"/>`,
	"help":     `<circle cx="8" cy="8" r="6"/><path d="M6.2 6.3a1.85 1.85 0 0 1 3.6.5c0 1.3-1.8 1.5-1.8 2.7M8 11.6v.1"/>`,
	"copy":     `<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M3.5 10.5h-.2a.8.8 0 0 1-.8-.8V3.3a.8.8 0 0 1 .8-.8h6.4a.8.8 0 0 1 .8.8v.2"/>`,
	"check":    `<path d="m3 8.5 3.2 3.2L13 4.8"/>`,
	"cross":    `<path d="m4 4 8 8M12 4l-8 8"/>`,
	"warn":     `<path d="M8 2.2 14.4 13a.6.6 0 0 1-.5.9H2.1a.6.6 0 0 1-.5-.9ZM8 6.3v3.4M8 11.7v.1"/>`,
	"right":    `<path d="m6 3.5 4.5 4.5L6 12.5"/>`,
	"down":     `<path d="m4 6 4 4 4-4"/>`,
	"up":       `<path d="m4 10 4-4 4 4"/>`,
	"filter":   `<path d="M2 3.5h12M4.5 8h7M6.7 12.5h2.6"/>`,
	"tenant":   `<path d="M2.5 13.5v-10a1 1 0 0 1 1-1h5a1 1 0 0 1 1 1v10M9.5 6.5h3a1 1 0 0 1 1 1v6M1.5 13.5h13M5 5.5h2M5 8h2M5 10.5h2"/>`,
	"plug":     `<path d="M5.5 2v3M10.5 2v3M3.5 5h9v2.5a4.5 4.5 0 0 1-9 0ZM8 12v2.5"/>`,
	"activity": `<path d="M1.5 8.5h3l2-5.5 3 10 2-4.5h3"/>`,
	"health":   `<path d="M2.5 13.5v-4M6.2 13.5v-8M9.8 13.5v-6M13.5 13.5v-11"/>`,
	"schema":   `<rect x="2.5" y="2.5" width="11" height="11" rx="1.5"/><path d="M2.5 6h11M6.5 6v7.5"/>`,
	"settings": `<path d="M2 4.5h6M12 4.5h2M2 11.5h2M8 11.5h6"/><circle cx="10" cy="4.5" r="1.75"/><circle cx="6" cy="11.5" r="1.75"/>`,
	"key":      `<circle cx="5" cy="11" r="2.75"/><path d="m7 9 6-6M10.5 5.5l2 2"/>`,
	"history":  `<path d="M2.6 6.2A5.75 5.75 0 1 1 2.3 9M2.3 2.8v3.4h3.4M8 5v3.2l2.2 1.4"/>`,
	"signout":  `<path d="M6 13.5H3.5a1 1 0 0 1-1-1v-9a1 1 0 0 1 1-1H6M10.5 11l3-3-3-3M13.5 8H6"/>`,
	"download": `<path d="M8 2v8M4.8 7.2 8 10.4l3.2-3.2M2.5 13.5h11"/>`,
	"refresh":  `<path d="M13.4 6.2A5.75 5.75 0 0 0 2.6 6.4M2.6 9.8a5.75 5.75 0 0 0 10.8-.2M13.5 2.8v3.4h-3.4M2.5 13.2V9.8h3.4"/>`,
	"trash":    `<path d="M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.6 9h6.8l.6-9M6.7 7v4M9.3 7v4"/>`,
	"pause":    `<path d="M5.5 3v10M10.5 3v10"/>`,
	"play":     `<path d="M4.5 2.8v10.4L13 8Z"/>`,
	"plus":     `<path d="M8 3v10M3 8h10"/>`,
	"eye":      `<path d="M1.5 8S3.8 3.5 8 3.5 14.5 8 14.5 8 12.2 12.5 8 12.5 1.5 8 1.5 8Z"/><circle cx="8" cy="8" r="2"/>`,
	"edit":     `<path d="M2.5 13.5 3.2 10.6 11 2.8l2.2 2.2-7.8 7.8ZM9.5 4.3l2.2 2.2"/>`,
	"external": `<path d="M9 2.5h4.5V7M13.5 2.5 7.5 8.5M11.5 9.5v3a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1h3"/>`,
}

// icon draws an icon. It says nothing to those who do not see it: the words beside it do.
func icon(name string) template.HTML {
	lines, ok := icons[name]
	if !ok {
		panic("there is no icon " + name)
	}
	return template.HTML(`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">` + lines + `</svg>`) //nolint:gosec // drawn above
}
