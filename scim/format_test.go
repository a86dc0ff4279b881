package scim

import (
	"strconv"
	"strings"
	"time"
)

// formatFilter writes a filter in its canonical form: full names, operators in
// small letters, values as they are compared. Parsing it gives the same filter.
func formatFilter(f Filter) string {
	return formatWith(f, func(a *Attribute) string { return a.Path })
}

// formatElementFilter is formatFilter for what stands in brackets.
func formatElementFilter(f Filter) string {
	return formatWith(f, func(a *Attribute) string { return a.Name })
}

func formatWith(f Filter, name func(*Attribute) string) string {
	switch f := f.(type) {
	case And:
		return formatList(f, " and ", name)
	case Or:
		return formatList(f, " or ", name)
	case Not:
		return "not (" + formatWith(f.Filter, name) + ")"
	case ValueFilter:
		return name(f.Attr) + "[" + formatElementFilter(f.Filter) + "]"
	case Comparison:
		if f.Op == Present {
			return name(f.Attr) + " pr"
		}
		return name(f.Attr) + " " + f.Op.String() + " " + formatLiteral(f.Attr, f.Value)
	}
	return "?"
}

// formatList joins parts. Those that are lists themselves get parentheses, even
// where the grammar could do without, to come back as they were.
func formatList(parts []Filter, word string, name func(*Attribute) string) string {
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = formatWith(part, name)
		switch part.(type) {
		case And, Or:
			texts[i] = "(" + texts[i] + ")"
		}
	}
	return strings.Join(texts, word)
}

func formatLiteral(a *Attribute, l Literal) string {
	switch {
	case l.Null:
		return "null"
	case a.Type == Boolean:
		return strconv.FormatBool(l.Bool)
	case a.Type == DateTime:
		return `"` + l.Time.Format(time.RFC3339Nano) + `"`
	}
	return string(appendString(nil, l.Text))
}

func formatPath(p Path) string {
	text := p.Attr.Path
	if p.Filter != nil {
		text += "[" + formatElementFilter(p.Filter) + "]"
	}
	if p.Sub != nil {
		text += "." + p.Sub.Name
	}
	return text
}
