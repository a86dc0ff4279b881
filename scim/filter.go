package scim

import "time"

// Filter is a parsed filter expression (RFC 7644 section 3.4.2.2): an And, Or,
// Not, Comparison, ValueFilter or Constant. Names are already resolved to attributes and
// values checked against their types.
type Filter interface{ isFilter() }

// And matches where all of its parts do. It has at least two.
type And []Filter

// Or matches where one of its parts does. It has at least two.
type Or []Filter

// Not matches where its part does not.
type Not struct{ Filter Filter }

// Comparison compares an attribute with a literal, or tests its presence.
//
// Inside a ValueFilter the attribute is a sub-attribute of the filtered
// element. Elsewhere it is any attribute; one that is multi-valued or inside a
// multi-valued attribute matches where one of its values does. A complex
// attribute appears only with the operator pr.
type Comparison struct {
	Attr  *Attribute
	Op    Operator
	Value Literal // not used by Present
}

// ValueFilter matches where one element of a multi-valued complex attribute
// meets the whole filter, as in emails[type eq "work" and value co "@x"]; also
// allowed on a singular complex attribute, whose value is then the one element.
type ValueFilter struct {
	Attr   *Attribute
	Filter Filter
}

// Constant is what is left of a comparison with an attribute that the resource type
// does not have, where a filter is over several types.
type Constant bool

func (And) isFilter()         {}
func (Or) isFilter()          {}
func (Not) isFilter()         {}
func (Comparison) isFilter()  {}
func (ValueFilter) isFilter() {}
func (Constant) isFilter()    {}

// Operator is a comparison operator of RFC 7644 table 3.
type Operator uint8

// The operators.
const (
	Equal Operator = iota
	NotEqual
	Contains
	StartsWith
	EndsWith
	Present
	GreaterThan
	GreaterOrEqual
	LessThan
	LessOrEqual
)

var operatorWords = [...]string{"eq", "ne", "co", "sw", "ew", "pr", "gt", "ge", "lt", "le"}

func (o Operator) String() string { return operatorWords[o] }

// Literal is the right side of a comparison, of the type of its attribute. Of
// the fields, the one that the attribute's type names is set; Null stands for
// the literal null, which only Equal and NotEqual accept.
type Literal struct {
	Null bool
	// Text is for string, reference and binary attributes; folded already
	// where the attribute is not caseExact.
	Text string
	// Written is Text before it was folded.
	Written string
	// Bool is for boolean attributes.
	Bool bool
	// Number is for integer and decimal attributes.
	Number float64
	// Time is for dateTime attributes.
	Time time.Time
}

// Path is the target of a patch operation (RFC 7644 figure 7).
type Path struct {
	// Attr is the attribute. Where Filter is set it is the one filtered, and Sub
	// may name a sub-attribute of its elements.
	Attr   *Attribute
	Filter Filter
	Sub    *Attribute
}
