package scim

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// kind is what sort of JSON value is at hand.
type kind uint8

const (
	kindNone kind = iota // the input is at fault, or at its end
	kindNull
	kindBool
	kindNumber
	kindString
	kindObject
	kindArray
)

var kindWords = [...]string{"nothing", "null", "a boolean", "a number", "a string", "an object", "an array"}

func (k kind) String() string { return kindWords[k] }

// A source yields JSON values in order. It has two forms: the text of a request
// (jsonReader) and the value of a patch operation (valueReader); one decoder reads
// both. The first error sticks: afterwards peek says kindNone, next says no
// more, and err says why.
type source interface {
	// peek tells the kind of the value at hand without consuming it.
	peek() kind
	text() string
	boolean() bool
	// number returns the literal.
	number() string
	// open enters the object or array at hand.
	open()
	// next moves to the next value of the object or array entered last, with
	// its key in an object. It leaves the object or array when there is no more.
	next() (key string, more bool)
	null()
	fail(err *Error)
	err() *Error
}

// maxJSONDepth is how deep objects and arrays may nest in a request.
const maxJSONDepth = 32

// MaxValues is the most JSON values in one resource or patch that a client sends.
// A value may take a hundred times as much memory as text.
const MaxValues = 100_000

// A jsonReader reads JSON text (RFC 8259). Strings without escapes are parts of
// the input and are not copied.
type jsonReader struct {
	in    string
	pos   int
	stack [maxJSONDepth]frame
	depth int
	left  int // how many more values may come
	fault *Error
}

// frame is where the reader is in an object or array.
type frame struct{ object, started bool }

// newJSONReader copies data once. The text must be UTF-8, with at most so many
// values.
func newJSONReader(data []byte, values int) *jsonReader {
	r := &jsonReader{in: string(data), left: values}
	if !utf8.ValidString(r.in) {
		r.fail(Errorf(InvalidSyntax, "the body is not UTF-8"))
	}
	return r
}

func (r *jsonReader) err() *Error { return r.fault }

func (r *jsonReader) fail(err *Error) {
	if r.fault == nil {
		r.fault = err
	}
}

func (r *jsonReader) syntaxf(format string, args ...any) {
	e := Errorf(InvalidSyntax, format, args...)
	e.Detail += " at byte " + strconv.Itoa(r.pos)
	r.fail(e)
}

func (r *jsonReader) space() {
	for r.pos < len(r.in) {
		switch r.in[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

func (r *jsonReader) peek() kind {
	if r.fault != nil {
		return kindNone
	}
	r.space()
	if r.pos == len(r.in) {
		r.syntaxf("the JSON text ends too early")
		return kindNone
	}
	switch c := r.in[r.pos]; c {
	case '"':
		return kindString
	case '{':
		return kindObject
	case '[':
		return kindArray
	case 't', 'f':
		return kindBool
	case 'n':
		return kindNull
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return kindNumber
		}
		r.syntaxf("unexpected %q", rune(c))
		return kindNone
	}
}

func (r *jsonReader) word(w string) {
	if strings.HasPrefix(r.in[r.pos:], w) {
		r.pos += len(w)
		return
	}
	r.syntaxf("expected %s", w)
}

func (r *jsonReader) boolean() bool {
	if r.peek() == kindBool && r.in[r.pos] == 't' {
		r.word("true")
		return r.fault == nil
	}
	r.word("false")
	return false
}

func (r *jsonReader) number() string {
	start := r.pos
	if r.in[r.pos] == '-' {
		r.pos++
	}
	if whole := r.digits(); whole > 1 && r.in[r.pos-whole] == '0' {
		r.syntaxf("a number has a leading zero")
	}
	if r.pos < len(r.in) && r.in[r.pos] == '.' {
		r.pos++
		r.digits()
	}
	if r.pos < len(r.in) && (r.in[r.pos] == 'e' || r.in[r.pos] == 'E') {
		r.pos++
		if r.pos < len(r.in) && (r.in[r.pos] == '+' || r.in[r.pos] == '-') {
			r.pos++
		}
		r.digits()
	}
	return r.in[start:r.pos]
}

func (r *jsonReader) digits() (n int) {
	for r.pos < len(r.in) && '0' <= r.in[r.pos] && r.in[r.pos] <= '9' {
		r.pos++
		n++
	}
	if n == 0 {
		r.syntaxf("expected a digit")
	}
	return n
}

func (r *jsonReader) text() string {
	if r.fault != nil {
		return ""
	}
	r.pos++ // the quote that peek saw
	start := r.pos
	for r.pos < len(r.in) {
		switch c := r.in[r.pos]; {
		case c == '"':
			r.pos++
			return r.in[start : r.pos-1]
		case c == '\\':
			return r.escapedText(start)
		case c < ' ':
			r.syntaxf("a control character in a string")
			return ""
		}
		r.pos++
	}
	r.syntaxf("a string without end")
	return ""
}

// optionalText reads the string that a member of a message holds; null is an empty
// one.
func (r *jsonReader) optionalText(name string) string {
	switch k := r.peek(); k {
	case kindString:
		return r.text()
	case kindNull:
		r.null()
	case kindNone:
	default:
		r.fail(Errorf(InvalidSyntax, "%s is %s, not a string", name, k))
	}
	return ""
}

// raw reads over the value at hand and returns its text; null is an empty one.
func (r *jsonReader) raw() string {
	if r.peek() == kindNull {
		r.null()
		return ""
	}
	start := r.pos
	skipValue(r)
	return r.in[start:r.pos]
}

// escapedText reads on where text met the first backslash.
func (r *jsonReader) escapedText(start int) string {
	b := []byte(r.in[start:r.pos])
	for r.pos < len(r.in) && r.fault == nil {
		c := r.in[r.pos]
		r.pos++
		switch {
		case c == '"':
			return string(b)
		case c == '\\':
			b = r.escape(b)
		case c < ' ':
			r.syntaxf("a control character in a string")
		default:
			b = append(b, c)
		}
	}
	r.syntaxf("a string without end")
	return ""
}

const escapes = `"\/bfnrt`

func (r *jsonReader) escape(b []byte) []byte {
	if r.pos == len(r.in) {
		return b
	}
	c := r.in[r.pos]
	r.pos++
	if i := strings.IndexByte(escapes, c); i >= 0 {
		return append(b, "\"\\/\b\f\n\r\t"[i])
	}
	if c != 'u' {
		r.syntaxf("an unknown escape in a string")
		return b
	}
	char := r.hex4()
	if utf16.IsSurrogate(char) {
		if !strings.HasPrefix(r.in[r.pos:], `\u`) {
			r.syntaxf("half a surrogate pair")
			return b
		}
		r.pos += 2
		if char = utf16.DecodeRune(char, r.hex4()); char == utf8.RuneError {
			r.syntaxf("half a surrogate pair")
		}
	}
	if char == 0 {
		// PostgreSQL cannot keep it, and no attribute needs it.
		r.fail(Errorf(InvalidValue, "a string holds the character U+0000"))
	}
	return utf8.AppendRune(b, char)
}

func (r *jsonReader) hex4() rune {
	if r.pos+4 > len(r.in) {
		r.syntaxf("an escape is cut off")
		return 0
	}
	n, err := strconv.ParseUint(r.in[r.pos:r.pos+4], 16, 16)
	if err != nil {
		r.syntaxf(`expected four hexadecimal digits after \u`)
	}
	r.pos += 4
	return rune(n)
}

func (r *jsonReader) open() {
	if r.depth == maxJSONDepth {
		r.syntaxf("objects and arrays nest more than %d deep", maxJSONDepth)
		return
	}
	r.stack[r.depth] = frame{object: r.in[r.pos] == '{'}
	r.depth++
	r.pos++
}

func (r *jsonReader) next() (key string, more bool) {
	if r.fault != nil {
		return "", false
	}
	f := &r.stack[r.depth-1]
	closing := byte(']')
	if f.object {
		closing = '}'
	}
	r.space()
	if r.pos < len(r.in) && r.in[r.pos] == closing {
		r.pos++
		r.depth--
		return "", false
	}
	if f.started {
		if !r.expect(',') {
			return "", false
		}
		r.space()
	}
	f.started = true
	if r.left--; r.left < 0 {
		r.fail(Errorf(PayloadTooLarge, "a resource or patch has more than %d values", MaxValues))
		return "", false
	}
	if !f.object {
		return "", true
	}
	if r.pos == len(r.in) || r.in[r.pos] != '"' {
		r.syntaxf("expected a member name in quotes")
		return "", false
	}
	key = r.text()
	r.space()
	return key, r.fault == nil && r.expect(':')
}

func (r *jsonReader) expect(c byte) bool {
	if r.pos < len(r.in) && r.in[r.pos] == c {
		r.pos++
		return true
	}
	r.syntaxf("expected %q", rune(c))
	return false
}

func (r *jsonReader) null() { r.word("null") }

// end checks that nothing follows the value.
func (r *jsonReader) end() {
	if r.space(); r.pos < len(r.in) {
		r.syntaxf("text after the end of the JSON value")
	}
}

// skipValue reads over the value at hand; what is wrong in it is still an error.
func skipValue(s source) {
	switch s.peek() {
	case kindNull:
		s.null()
	case kindBool:
		s.boolean()
	case kindNumber:
		s.number()
	case kindString:
		s.text()
	case kindObject, kindArray:
		s.open()
		for _, more := s.next(); more; _, more = s.next() {
			skipValue(s)
		}
	case kindNone:
	}
}
