package console

import (
	"html/template"
	"strings"
)

// colored marks the tokens of indented JSON: names, texts, and other values.
func colored(text string) template.HTML {
	var b strings.Builder
	mark := func(class, token string) {
		b.WriteString(`<span class="json-` + class + `">` + template.HTMLEscapeString(token) + `</span>`)
	}
	for len(text) > 0 {
		switch c := text[0]; {
		case c == '"':
			n := endOfText(text)
			if token := text[:n]; strings.HasPrefix(text[n:], ":") {
				mark("name", token)
			} else {
				mark("text", token)
			}
			text = text[n:]
		case strings.IndexByte(" \n{}[],:", c) >= 0:
			b.WriteByte(c)
			text = text[1:]
		default:
			n := strings.IndexAny(text, " \n{}[],:")
			if n < 0 {
				n = len(text)
			}
			mark("value", text[:n])
			text = text[n:]
		}
	}
	return template.HTML(b.String()) //nolint:gosec // each token is escaped
}

// endOfText is where a string of JSON ends that text begins with.
func endOfText(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}
