package scim

import (
	"strings"
	"unicode/utf8"
)

// The lexical part of the parser: words, symbols and strings, and what an error
// says about them. White space is skipped before words and symbols, never within.

// failf notes an error at a place in the text, unless there is one already.
func (p *parser) failf(pos int, format string, args ...any) {
	if p.fault == nil {
		args = append(args, utf8.RuneCountInString(p.in[:pos])+1)
		p.fault = Errorf(p.reason, format+", at character %d", args...)
	}
}

// expected notes that something else stands where the parser is.
func (p *parser) expected(what string) {
	p.failf(p.pos, "expected %s, not %s", what, p.found())
}

// found describes what is at hand, for an error.
func (p *parser) found() string {
	if p.pos == len(p.in) {
		return "the end"
	}
	if w := p.peekWord(); w != "" {
		return quote(w)
	}
	if p.in[p.pos] == '"' {
		return "a string"
	}
	_, size := utf8.DecodeRuneInString(p.in[p.pos:])
	return quote(p.in[p.pos : p.pos+size])
}

// quote quotes a word or character of the input for an error, cut short.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	return `"` + s + `"`
}

// text reads a JSON string.
func (p *parser) text() string {
	r := jsonReader{in: p.in, pos: p.pos}
	s := r.text()
	if r.fault != nil {
		what, _, _ := strings.Cut(r.fault.Detail, " at byte ")
		p.failf(min(r.pos, len(p.in)), "%s", what)
	}
	p.pos = r.pos
	return s
}

// space skips white space.
func (p *parser) space() {
	for p.pos < len(p.in) && strings.IndexByte(" \t\r\n", p.in[p.pos]) >= 0 {
		p.pos++
	}
}

// peekSymbol is the next character that is not white space, or 0 at the end or
// after an error.
func (p *parser) peekSymbol() byte {
	if p.space(); p.fault != nil || p.pos == len(p.in) {
		return 0
	}
	return p.in[p.pos]
}

// symbol reads a character if it comes next.
func (p *parser) symbol(c byte) bool {
	if p.peekSymbol() != c {
		return false
	}
	p.pos++
	return true
}

// keyword reads a word if it comes next, in any letter case.
func (p *parser) keyword(w string) bool {
	if p.space(); p.fault != nil || !strings.EqualFold(p.peekWord(), w) {
		return false
	}
	p.pos += len(w)
	return true
}

// peekWord is the run of characters at hand that names, URNs, operators and
// numbers are made of.
func (p *parser) peekWord() string {
	end := p.pos
	for end < len(p.in) && isWordByte(p.in[end]) {
		end++
	}
	return p.in[p.pos:end]
}

func isWordByte(c byte) bool {
	switch c {
	case '.', ':', '_', '-', '$', '+', '%', '/':
		return true
	}
	return 'a' <= lowerASCII(c) && lowerASCII(c) <= 'z' || '0' <= c && c <= '9'
}
