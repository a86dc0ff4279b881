package scim

import (
	"strings"
	"unicode"
)

// A nameTable finds attributes by name in any letter case (RFC 7643 section
// 2.1). Attribute names are ASCII.
type nameTable map[string]*Attribute

func newNameTable(attrs []*Attribute) nameTable {
	t := make(nameTable, len(attrs))
	for _, a := range attrs {
		t[strings.ToLower(a.Name)] = a
	}
	return t
}

// find does not allocate for names of up to 64 bytes.
func (t nameTable) find(name string) *Attribute {
	var buf [64]byte
	if len(name) > len(buf) {
		return t[strings.ToLower(name)]
	}
	for i := range len(name) {
		buf[i] = lowerASCII(name[i])
	}
	return t[string(buf[:len(name)])]
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Fold maps strings that differ only in letter case to one string. It is the
// simple case folding of Unicode, one rune to one rune, and it decides what is
// equal where an attribute is not caseExact.
func Fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 0x80 || 'A' <= c && c <= 'Z' {
			return strings.Map(FoldRune, s)
		}
	}
	return s
}

// FoldRune is Fold for one rune.
func FoldRune(r rune) rune {
	if r < 0x80 {
		return unicode.ToLower(r)
	}
	// The runes of one letter form a cycle: its least member stands for all.
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return unicode.ToLower(least)
}

func jsonKey(name string) []byte { return []byte(`"` + name + `":`) }
