package scim

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// ParseFilter parses a filter (RFC 7644 section 3.4.2.2) over the attributes of
// rt. Names, operators and the words and, or, not, true, false and null are taken
// in any letter case. Names may be qualified by the URN of their schema, with a
// colon or a dot between. A complex attribute in a comparison stands for its
// sub-attribute "value".
//
// Beyond the RFC it reads emails[type eq "work"].value eq "x" as one element that
// meets both, and the strings "true" and "false" for a boolean attribute.
//
// The error is InvalidFilter and says what is wrong at which character, counted
// from 1: text that does not follow the grammar, an attribute that does not exist
// or cannot be searched for, an operator or value that does not fit the attribute,
// or a filter beyond the limits.
func (rt *ResourceType) ParseFilter(text string) (Filter, error) {
	p := parser{rt: rt, limits: rt.within(), in: text, reason: InvalidFilter}
	f := p.filter()
	if p.fault != nil {
		return nil, p.fault
	}
	return f, nil
}

// ParseFilters parses a filter over resources of several types (RFC 7644 section
// 3.4.2.1) and returns it for each of them. An attribute that only others have is
// one without value.
func ParseFilters(types []*ResourceType, text string) ([]Filter, error) {
	filters := make([]Filter, len(types))
	for i, rt := range types {
		p := parser{rt: rt, limits: rt.within(), others: types, in: text, reason: InvalidFilter}
		if filters[i] = p.filter(); p.fault != nil {
			return nil, p.fault
		}
	}
	return filters, nil
}

// ParsePath parses the path of a patch operation (RFC 7644 section 3.5.2): an
// attribute, a sub-attribute, elements selected by a filter in brackets, or a
// sub-attribute of those. The URN of an extension alone stands for all of its
// attributes. Attributes that clients cannot change or see are paths too.
//
// The error is InvalidPath, or InvalidFilter for what is wrong within brackets.
func (rt *ResourceType) ParsePath(text string) (Path, error) {
	p := parser{rt: rt, limits: rt.within(), in: text, reason: InvalidPath}
	p.checkText("path", maxPathLength)
	path := p.path()
	p.end("the end of the path")
	if p.fault != nil {
		return Path{}, p.fault
	}
	return path, nil
}

// A parser reads a filter or path by recursive descent: one method for each rule
// of the grammar, from the weakest operator to the strongest. The first error
// sticks; after it the methods read nothing more and what they return means
// nothing.
type parser struct {
	rt     *ResourceType
	limits Limits
	others []*ResourceType // whose attributes are known too, in a filter
	in     string
	pos    int // in bytes
	reason Reason
	// element is the attribute whose element is filtered, within brackets.
	element *Attribute
	depth   int
	terms   int
	fault   *Error
}

// filter reads a whole filter.
func (p *parser) filter() Filter {
	p.checkText("filter", p.limits.FilterLength)
	f := p.or()
	p.end(`"and", "or" or the end of the filter`)
	return f
}

// maxPathLength is the most bytes of a path.
const maxPathLength = 8 << 10

// checkText refuses text that is too long or not UTF-8.
func (p *parser) checkText(what string, most int) {
	switch {
	case len(p.in) > most:
		p.fault = Errorf(p.reason, "the %s is longer than %d bytes", what, most)
	case !utf8.ValidString(p.in):
		p.fault = Errorf(p.reason, "the %s is not UTF-8", what)
	}
}

// end checks that nothing is left.
func (p *parser) end(what string) {
	if p.space(); p.pos < len(p.in) {
		p.expected(what)
	}
}

// or reads alternatives: FILTER *("or" FILTER).
func (p *parser) or() Filter {
	first := p.and()
	if !p.keyword("or") {
		return first
	}
	or := Or{first, p.and()}
	for p.keyword("or") {
		or = append(or, p.and())
	}
	return or
}

// and reads what must all hold; it binds stronger than or.
func (p *parser) and() Filter {
	first := p.factor()
	if !p.keyword("and") {
		return first
	}
	and := And{first, p.factor()}
	for p.keyword("and") {
		and = append(and, p.factor())
	}
	return and
}

// factor reads a group in parentheses, perhaps after not, or one term.
func (p *parser) factor() Filter {
	switch {
	case p.symbol('('):
		return p.nested(nil, ')')
	case p.keyword("not"):
		if !p.symbol('(') {
			p.expected(`"(" after "not"`)
		}
		return Not{p.nested(nil, ')')}
	}
	return p.term()
}

// nested reads the filter within parentheses, or within the brackets that filter
// the elements of an attribute, and what closes them.
func (p *parser) nested(element *Attribute, closing byte) Filter {
	if p.depth++; p.depth > p.limits.FilterDepth {
		p.failf(p.pos, "the filter nests more than %d deep", p.limits.FilterDepth)
	}
	if p.fault != nil {
		return nil
	}
	outer := p.element
	if element != nil {
		p.element = element
	}
	f := p.or()
	if !p.symbol(closing) {
		p.expected(`"and", "or" or "` + string(closing) + `"`)
	}
	p.element = outer
	p.depth--
	return f
}

// term reads a comparison, or a filter of elements: valuePath in the grammar.
func (p *parser) term() Filter {
	a := p.searchable()
	if a == nil {
		return nil
	}
	f := p.termOf(a)
	if p.fault == nil && !p.rt.has(a) {
		return Constant(matchResource(f, object{}))
	}
	return f
}

// termOf reads on after the name of a.
func (p *parser) termOf(a *Attribute) Filter {
	if p.peekSymbol() != '[' {
		return p.comparison(a)
	}
	if p.element != nil {
		p.failf(p.pos, "brackets within brackets are not allowed")
		return nil
	}
	f := p.brackets(a)
	if sub := p.subOf(a); sub != nil { // emails[type eq "work"].value eq "x"
		p.checkSearchable(sub, p.pos-len(sub.Name))
		f = both(f, p.comparison(sub))
	}
	return ValueFilter{a, f}
}

// both joins two filters of the same element.
func both(f, g Filter) Filter {
	if and, ok := f.(And); ok {
		return append(and, g)
	}
	return And{f, g}
}

// brackets reads "[" FILTER "]" after the name of a.
func (p *parser) brackets(a *Attribute) Filter {
	if a.Type != Complex || a.isExtension() {
		p.failf(p.pos, "%s has no sub-attributes to filter by", a.Path)
	}
	p.symbol('[')
	return p.nested(a, ']')
}

// subOf reads "." and the name of a sub-attribute after brackets; nil if there is
// none.
func (p *parser) subOf(a *Attribute) *Attribute {
	if p.fault != nil || p.pos == len(p.in) || p.in[p.pos] != '.' {
		return nil
	}
	p.pos++
	word := p.peekWord()
	sub := a.SubAttribute(word)
	if sub == nil {
		p.unknown(word, a.Path)
		return nil
	}
	p.pos += len(word)
	return sub
}

// path reads PATH: attrPath / valuePath [subAttr].
func (p *parser) path() Path {
	a := p.attribute()
	if a == nil || p.peekSymbol() != '[' {
		return Path{Attr: a}
	}
	// RFC 7644 section 3.12 has invalidFilter for the filter of a path too.
	outside := p.reason
	if a.Type == Complex && !a.isExtension() {
		p.reason = InvalidFilter
	}
	path := Path{Attr: a, Filter: p.brackets(a)}
	p.reason = outside
	path.Sub = p.subOf(a)
	return path
}

// searchable reads the name of an attribute that a filter may ask about.
func (p *parser) searchable() *Attribute {
	p.space()
	start := p.pos
	a := p.attribute()
	if a != nil {
		p.checkSearchable(a, start)
	}
	return a
}

// checkSearchable refuses what the store cannot answer and what nobody may learn
// by asking.
func (p *parser) checkSearchable(a *Attribute, pos int) {
	switch {
	case a.isExtension():
		p.failf(pos, "%s is a schema; name one of its attributes", a.Path)
	case a.Returned == musterv1.Attribute_RETURNED_NEVER:
		p.failf(pos, "%s is never returned and cannot be searched for", a.Path)
	case a.Computed:
		p.failf(pos, "%s depends on the server's address and cannot be searched for", a.Path)
	default:
		return
	}
	p.fault.Attribute = a.Path
}

// attribute reads the name of an attribute: of a sub-attribute within brackets.
func (p *parser) attribute() *Attribute {
	p.space()
	if p.fault != nil {
		return nil
	}
	word := p.peekWord()
	var a *Attribute
	owner := p.rt.Name
	if p.element != nil {
		a, owner = p.element.SubAttribute(word), p.element.Path
	} else {
		a = p.rt.resolve(word)
	}
	for i := 0; a == nil && p.element == nil && i < len(p.others); i++ {
		a, owner = p.others[i].resolve(word), "any resource type"
	}
	if a == nil {
		p.unknown(word, owner)
		return nil
	}
	p.pos += len(word)
	return a
}

// unknown notes that owner has no attribute of that name.
func (p *parser) unknown(word, owner string) {
	if word == "" {
		p.expected("the name of an attribute")
	}
	p.failf(p.pos, "%s is not an attribute of %s", quote(word), owner)
}

// resolve finds what a name stands for, with or without the URN of its schema:
// an attribute, a sub-attribute, or for the URN of an extension alone the whole
// of it. It returns nil if there is no such thing.
func (rt *ResourceType) resolve(name string) *Attribute {
	if a := rt.byName.find(name); a != nil {
		return a
	}
	for _, ext := range rt.Extensions {
		if rest, ok := cutURN(name, ext.URN); ok {
			if a := ext.byName.findDotted(rest); a != nil { // or else a longer URN begins with this one
				return a
			}
		}
	}
	if rest, ok := cutURN(name, rt.Schema.URN); ok {
		name = rest
	}
	return rt.Schema.byName.findDotted(name)
}

// has tells whether the attribute is one of the type.
func (rt *ResourceType) has(a *Attribute) bool {
	return a.Schema == rt.Schema || slices.Contains(rt.Extensions, a.Schema)
}

// findDotted finds an attribute, or after a dot its sub-attribute.
func (t nameTable) findDotted(name string) *Attribute {
	name, sub, dotted := strings.Cut(name, ".")
	a := t.find(name)
	if a != nil && dotted {
		return a.SubAttribute(sub)
	}
	return a
}

// comparison reads the operator and value after the name of a.
func (p *parser) comparison(a *Attribute) Filter {
	if p.terms++; p.terms > p.limits.FilterTerms {
		p.failf(p.pos, "the filter has more than %d comparisons", p.limits.FilterTerms)
	}
	p.space()
	start := p.pos
	op, ok := parseOperator(p.peekWord())
	if !ok {
		p.expected("an operator (eq ne co sw ew gt ge lt le pr)")
	}
	if p.fault != nil {
		return nil
	}
	p.pos += len("eq")
	if op == Present {
		return Comparison{Attr: a, Op: op}
	}
	if a.Type == Complex {
		value := a.SubAttribute("value")
		if value == nil {
			p.failf(start, "%s has sub-attributes; compare one of them, or use pr", a.Path)
			return nil
		}
		a = value
	}
	if !accepts(a.Type, op) {
		p.failf(start, "%s does not apply to %s, which is %s", op, a.Path, typeWord(a.Type))
		return nil
	}
	return Comparison{Attr: a, Op: op, Value: p.literal(a, op)}
}

// parseOperator finds an operator by its two letters, in any letter case.
func parseOperator(word string) (Operator, bool) {
	if len(word) != len("eq") {
		return 0, false
	}
	for op, w := range operatorWords {
		if strings.EqualFold(word, w) {
			return Operator(op), true
		}
	}
	return 0, false
}

// accepts tells which operators have a meaning for values of a type (RFC 7644
// table 3).
func accepts(t Type, op Operator) bool {
	switch op {
	case Equal, NotEqual, Present:
		return true
	case Contains, StartsWith, EndsWith:
		return t == String || t == Reference
	default:
		return t != Boolean && t != Binary && t != Complex
	}
}

// literal reads a value that a can be compared with: compValue in the grammar.
func (p *parser) literal(a *Attribute, op Operator) Literal {
	p.space()
	start := p.pos
	if start < len(p.in) && p.in[start] == '"' {
		return p.textLiteral(a, p.text(), start)
	}
	word := p.peekWord()
	b, isBool := parseBoolean(word)
	isNumber := word != "" && (word[0] == '-' || '0' <= word[0] && word[0] <= '9')
	switch {
	case isNumber && (a.Type == Integer || a.Type == Decimal):
		return p.numberLiteral(start)
	case isBool && a.Type == Boolean:
		p.pos += len(word)
		return Literal{Bool: b}
	case strings.EqualFold(word, "null"):
		if op != Equal && op != NotEqual {
			p.failf(start, "null goes with eq and ne only")
		}
		p.pos += len(word)
		return Literal{Null: true}
	case isBool || isNumber:
		p.failf(start, "%s is %s, not %s", a.Path, typeWord(a.Type), quote(word))
	default:
		p.expected("a value: a string in double quotes, true, false or null")
	}
	return Literal{}
}

// numberLiteral reads a number as JSON writes it, which may hold what no name
// does: a dot and the sign of an exponent.
func (p *parser) numberLiteral(start int) Literal {
	end := start
	for end < len(p.in) && strings.IndexByte("+-.0123456789eE", p.in[end]) >= 0 {
		end++
	}
	n, ok := parseNumber(p.in[start:end])
	if !ok {
		p.failf(start, "%s is not a number", quote(p.in[start:end]))
		return Literal{}
	}
	p.pos = end
	return Literal{Number: n}
}

// textLiteral makes of a string what the type of a asks for.
func (p *parser) textLiteral(a *Attribute, s string, start int) Literal {
	switch a.Type {
	case Boolean:
		b, ok := parseBoolean(s)
		if !ok {
			p.failf(start, "%s is true or false", a.Path)
		}
		return Literal{Bool: b}
	case DateTime:
		t, ok := parseTime(s)
		if !ok {
			p.failf(start, "%s is a date and time such as 2026-01-31T08:00:00Z", a.Path)
		}
		return Literal{Time: t}
	case Binary:
		raw, err := decodeBase64(s)
		if err != nil {
			p.failf(start, "%s is base64", a.Path)
		}
		return Literal{Text: base64.StdEncoding.EncodeToString(raw), Written: s} // as object.text has it
	case Integer, Decimal:
		p.failf(start, "%s is %s, not a string", a.Path, typeWord(a.Type))
		return Literal{}
	default:
		return Literal{Text: foldFor(a, s), Written: s}
	}
}

// foldFor folds text where the attribute is compared without regard to case.
func foldFor(a *Attribute, s string) string {
	if a.CaseExact || a.Type == Binary {
		return s
	}
	return Fold(s)
}
