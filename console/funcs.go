package console

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// functions are what templates can call.
var functions = template.FuncMap{
	"icon":     icon,
	"asset":    assetURL,
	"number":   number,
	"plural":   plural,
	"when":     when,
	"date":     date,
	"json":     pretty,
	"label":    label,
	"join":     strings.Join,
	"list":     func(of ...any) []any { return of },
	"lower":    strings.ToLower,
	"reason":   reasonText,
	"role":     func(r musterv1.OperatorRole) string { return roleNames[r] },
	"took":     tookOf,
	"clock":    clock,
	"sentence": sentence,
	"rate":     errorRate,
	"spell":    spell,
	"quiet":    quiet,
}

// number writes a whole number in groups of three digits.
func number(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = "-", rest
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// plural is a number and the word for as many: plural 1 "member" "members".
func plural(n any, one, many string) string {
	if text := number(n); text != "1" {
		return text + " " + many
	}
	return "1 " + one
}

// timeOf is a moment of any of the kinds that views have; false: there is none.
func timeOf(t any) (time.Time, bool) {
	switch t := t.(type) {
	case time.Time:
		return t, !t.IsZero()
	case *timestamppb.Timestamp:
		return t.AsTime(), t != nil
	case string:
		at, err := time.Parse(time.RFC3339Nano, t)
		return at, err == nil
	}
	return time.Time{}, false
}

// when writes a moment as how long ago it was, with the moment itself in its title. The
// page's script keeps it true, and turns the title to the browser's time zone.
func when(t any) template.HTML {
	at, ok := timeOf(t)
	if !ok {
		return "–"
	}
	return timeElement(at, ago(time.Since(at)), "data-ago")
}

// date writes a moment as day and time, in UTC where no script turns it to the browser's
// time zone.
func date(t any) template.HTML {
	at, ok := timeOf(t)
	if !ok {
		return "–"
	}
	return timeElement(at, at.UTC().Format("2 Jan 2006, 15:04 UTC"), "data-date")
}

func timeElement(at time.Time, text, how string) template.HTML {
	at = at.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" %s>%s</time>`, //nolint:gosec // numbers and words of our own
		at.Format("2006-01-02T15:04:05.000Z"), at.Format("2006-01-02 15:04:05 UTC"), how, text))
}

// ago is a length of time in words, as short as it can be said.
func ago(d time.Duration) string {
	future := d < 0
	d = d.Abs()
	var text string
	switch {
	case d < 45*time.Second:
		return "just now"
	case d < 90*time.Minute:
		text = fmt.Sprintf("%d min", int(math.Round(max(d.Minutes(), 1))))
	case d < 36*time.Hour:
		text = fmt.Sprintf("%d h", int(math.Round(d.Hours())))
	case d < 60*24*time.Hour:
		text = fmt.Sprintf("%d days", int(math.Round(d.Hours()/24)))
	case d < 700*24*time.Hour:
		text = fmt.Sprintf("%d months", int(math.Round(d.Hours()/24/30.4)))
	default:
		text = fmt.Sprintf("%d years", int(math.Round(d.Hours()/24/365.25)))
	}
	if future {
		return "in " + text
	}
	return text + " ago"
}

// pretty is a value as JSON, as a reader likes it.
func pretty(value any) (string, error) {
	if text, ok := value.(string); ok {
		return text, nil
	}
	text, err := json.MarshalIndent(value, "", "  ")
	return string(text), err
}

// label makes words of the name of an attribute: "givenName" is "Given name".
func label(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		upper := unicode.IsUpper(r)
		start := upper && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if start {
			b.WriteByte(' ')
		}
		switch {
		case i == 0:
			b.WriteRune(unicode.ToUpper(r))
		case start && (i+1 == len(runes) || !unicode.IsUpper(runes[i+1])):
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// scalar is a simple value as text.
func scalar(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	case bool:
		if value {
			return "yes"
		}
		return "no"
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

// clock writes a moment as the time of the day, for what happens one after the other.
func clock(t any) template.HTML {
	at, ok := timeOf(t)
	if !ok {
		return "–"
	}
	return timeElement(at, at.UTC().Format("15:04:05"), "data-clock")
}

// number64 writes a number as an address has it, and parse64 reads it; what is none is 0.
func number64(n int64) string { return strconv.FormatInt(n, 10) }

func parse64(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return max(n, 0)
}

// sentence begins a text as a sentence begins.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if word, _, _ := strings.Cut(text, " "); word != strings.ToLower(word) {
		return text // it begins with a name, such as userName
	}
	return string(unicode.ToUpper(first)) + text[size:]
}

// enumWord is the word of RFC 7643 for a value of one of its enums, such as readOnly.
func enumWord(value fmt.Stringer) string {
	parts := strings.Split(strings.ToLower(value.String()), "_")[1:]
	for i := 1; i < len(parts); i++ {
		parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
	}
	return strings.Join(parts, "")
}
