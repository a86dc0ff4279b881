package scim

import (
	"errors"
	"fmt"
	"time"
)

// Reason says why a request failed, as one of a closed set of words: the
// scimType values of RFC 7644 section 3.12 and RFC 9865 section 2.1, and a few of
// our own. Callers decide by it what to answer; the detail is for people.
type Reason uint8

// The reasons. Those from InvalidSyntax to Sensitive are RFC 7644's, and those from
// InvalidCursor to InvalidCount RFC 9865's.
const (
	Internal Reason = iota
	InvalidSyntax
	InvalidFilter
	InvalidPath
	InvalidValue
	InvalidVers
	TooMany
	Uniqueness
	Mutability
	NoTarget
	Sensitive
	InvalidCursor
	ExpiredCursor
	InvalidCount
	NotFound
	VersionMismatch
	Conflict
	PayloadTooLarge
	RateLimited
	Unauthenticated
	Forbidden
	Unavailable
	NotImplemented
	PositionGone
)

var reasonWords = [...]string{
	Internal:        "internal",
	InvalidSyntax:   "invalidSyntax",
	InvalidFilter:   "invalidFilter",
	InvalidPath:     "invalidPath",
	InvalidValue:    "invalidValue",
	InvalidVers:     "invalidVers",
	TooMany:         "tooMany",
	Uniqueness:      "uniqueness",
	Mutability:      "mutability",
	NoTarget:        "noTarget",
	Sensitive:       "sensitive",
	InvalidCursor:   "invalidCursor",
	ExpiredCursor:   "expiredCursor",
	InvalidCount:    "invalidCount",
	NotFound:        "notFound",
	VersionMismatch: "versionMismatch",
	Conflict:        "conflict",
	PayloadTooLarge: "payloadTooLarge",
	RateLimited:     "rateLimited",
	Unauthenticated: "unauthenticated",
	Forbidden:       "forbidden",
	Unavailable:     "unavailable",
	NotImplemented:  "notImplemented",
	PositionGone:    "positionGone",
}

// String returns the word that travels: in scimType and in ErrorInfo.
func (r Reason) String() string { return reasonWords[r] }

// ParseReason is the inverse of String; an unknown word is not ok.
func ParseReason(word string) (r Reason, ok bool) {
	for i, w := range reasonWords {
		if w == word {
			return Reason(i), true
		}
	}
	return Internal, false
}

// IsSCIMType tells whether an RFC defines the word as a scimType; the others are
// never sent in that member.
func (r Reason) IsSCIMType() bool { return r >= InvalidSyntax && r <= InvalidCount }

// Status is the HTTP status of the reason (RFC 7644 section 3.12).
func (r Reason) Status() int { return reasonStatuses[r] }

var reasonStatuses = [...]int{
	Internal:        500,
	InvalidSyntax:   400,
	InvalidFilter:   400,
	InvalidPath:     400,
	InvalidValue:    400,
	InvalidVers:     400,
	TooMany:         400,
	Uniqueness:      409,
	Mutability:      400,
	NoTarget:        400,
	Sensitive:       403,
	InvalidCursor:   400,
	ExpiredCursor:   400,
	InvalidCount:    400,
	NotFound:        404,
	VersionMismatch: 412,
	Conflict:        409,
	PayloadTooLarge: 413,
	RateLimited:     429,
	Unauthenticated: 401,
	Forbidden:       403,
	Unavailable:     503,
	NotImplemented:  501,
	PositionGone:    410,
}

// Error is what the rules and the store return when a request cannot be done.
// Detail is shown to the client: it names what was wrong and holds no secret.
type Error struct {
	Reason Reason
	Detail string
	// Attribute is the path of the attribute at fault, where there is one.
	Attribute string
	// Field is the path of the field at fault in the message of the request, where that
	// does not follow from the attribute: "filter", "operations[1].path".
	Field string
	// RetryAfter is when the same request can succeed, where that is known.
	RetryAfter time.Duration
	// Scope is the one that the caller's credential lacks, where that is why.
	Scope string
}

func (e *Error) Error() string { return e.Reason.String() + ": " + e.Detail }

// Errorf makes an Error.
func Errorf(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// At names the attribute at fault.
func (e *Error) At(attr string) *Error {
	e.Attribute = attr
	return e
}

// InField is an error that is about a field of the message of the request: that field,
// or the part of it that the error names already. Any other error than an Error stays
// as it is.
func InField(field string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	about := *e // it may be one for all
	if about.Field = field; e.Field != "" {
		about.Field += "." + e.Field
	}
	return &about
}

// After says when the same request can succeed.
func (e *Error) After(wait time.Duration) *Error {
	e.RetryAfter = wait
	return e
}

// Lacking names the scope that the caller's credential lacks.
func (e *Error) Lacking(scope string) *Error {
	e.Scope = scope
	return e
}

// ReasonOf returns the reason of err; an error of another type is Internal.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return Internal
}
