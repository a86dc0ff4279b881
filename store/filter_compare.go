package store

import (
	"unicode/utf8"

	"github.com/muster-scim/muster/scim"
)

// compare appends the comparison of one value, which may be NULL, with a literal.
func (w *filterWriter) compare(x operand, c scim.Comparison) {
	switch {
	case asksPresence(c):
		w.sql(x.sql, " IS NOT NULL")
	case c.Value.Null:
		w.sql(x.sql, " IS NULL")
	case c.Op == scim.NotEqual: // met by no value, too
		c.Op = scim.Equal
		w.sql("(")
		w.compare(x, c)
		w.sql(") IS NOT TRUE")
	case c.Attr.Type == scim.Boolean:
		w.sql(x.sql, " = ", w.boolean(c.Value.Bool))
	case c.Attr.Type == scim.DateTime && c.Attr.Registered(): // kept as a text that sorts as dates do
		w.order(x, c.Op, scim.FormatTime(c.Value.Time))
	case c.Attr.Type == scim.DateTime:
		w.order(x, c.Op, c.Value.Time.UnixMilli())
	case c.Attr.Type == scim.Integer, c.Attr.Type == scim.Decimal:
		if w.dialect == postgres {
			x.sql = "CAST(" + x.sql + " AS float8)"
		}
		w.order(x, c.Op, c.Value.Number)
	default:
		if !x.column && !c.Attr.CaseExact {
			x.sql = "muster_fold(" + x.sql + ")"
		}
		w.compareText(x, c.Op, c.Value.Text)
	}
}

// symbols are the operators that SQL has too.
var symbols = map[scim.Operator]string{
	scim.Equal: " = ", scim.GreaterThan: " > ", scim.GreaterOrEqual: " >= ", scim.LessThan: " < ", scim.LessOrEqual: " <= ",
}

// boolean is how a JSON boolean reads after ->>.
func (w *filterWriter) boolean(b bool) string {
	switch {
	case w.dialect == postgres && b:
		return "'true'"
	case w.dialect == postgres:
		return "'false'"
	case b:
		return "1"
	}
	return "0"
}

// compareText compares text with the literal s, byte by byte. LIKE serves for
// nothing here: SQLite's ignores letter case, and PostgreSQL's does not.
func (w *filterWriter) compareText(x operand, op scim.Operator, s string) {
	length := utf8.RuneCountInString(s)
	switch op {
	case scim.Contains:
		position := "instr("
		if w.dialect == postgres {
			position = "strpos("
		}
		w.sql(position, x.sql, ", ", arg{s}, ") > 0")
	case scim.StartsWith:
		if x.column {
			w.comparePrefix(x, s)
			return
		}
		w.sql("substr(", x.sql, ", 1, ", arg{length}, ") = ", arg{s})
	case scim.EndsWith:
		switch {
		case length == 0:
			w.sql(x.sql, " IS NOT NULL")
		case w.dialect == postgres:
			w.sql("right(", x.sql, ", ", arg{length}, ") = ", arg{s})
		default:
			w.sql("substr(", x.sql, ", ", arg{-length}, ") = ", arg{s})
		}
	default:
		w.order(x, op, s)
	}
}

// order compares by an operator that SQL has too. The order of text is that of
// its bytes in both databases, whatever the locale of PostgreSQL.
//
// SQLite keeps no statistics. Left alone it takes the resources of a tenant for
// nine, and reads all of them in the order of their ids, which a list is in,
// rather than find the few that a filter asks for; so it is told that they are
// few.
func (w *filterWriter) order(x operand, op scim.Operator, literal any) {
	hint := x.column && w.dialect == sqlite
	if hint {
		w.sql("likelihood(")
	}
	w.sql(x.sql, symbols[op], arg{literal})
	if _, isText := literal.(string); isText && w.dialect == postgres && op != scim.Equal {
		w.sql(` COLLATE "C"`)
	}
	if hint {
		w.sql(", 0.0001)")
	}
}

// comparePrefix asks for a prefix as a range, which an index finds.
func (w *filterWriter) comparePrefix(x operand, prefix string) {
	w.sql("(")
	w.order(x, scim.GreaterOrEqual, prefix)
	if end := afterPrefix(prefix); end != "" {
		w.sql(" AND ")
		w.order(x, scim.LessThan, end)
	}
	w.sql(")")
}

// afterPrefix is the least text that is greater than every text with the prefix:
// the prefix with its last character replaced by the next. It is "" where no text
// is greater. UTF-8 sorts by bytes as it does by characters.
func afterPrefix(prefix string) string {
	for prefix != "" {
		last, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch last {
		case utf8.MaxRune: // has no next: the one before it counts
		case surrogatesBegin - 1:
			return prefix + string(rune(surrogatesEnd))
		default:
			return prefix + string(last+1)
		}
	}
	return ""
}

// Between these two are no characters.
const (
	surrogatesBegin = 0xD800
	surrogatesEnd   = 0xE000
)
