package scim

import (
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// AppendDiff appends what differs between two states of a resource, as a JSON
// object: for the path of each top-level attribute that changed, what it was
// "before" and is "after", one of them missing where it was or is unassigned.
// Links, id, meta and schemas do not count, nor do write-only values, which are
// not in the resource. Of an attribute that is never returned the path stands
// there alone, with an empty object.
func (rt *ResourceType) AppendDiff(dst []byte, before, after Resource) []byte {
	x, y := objectOf(before), objectOf(after)
	dst = append(dst, '{')
	start := len(dst)
	for _, a := range rt.stored {
		switch {
		case a == rt.schemas:
		case a.isExtension():
			for _, sub := range a.Sub {
				dst = appendDiff(dst, start, x.holder(sub, false), y.holder(sub, false), sub)
			}
		default:
			dst = appendDiff(dst, start, x, y, a)
		}
	}
	return append(dst, '}')
}

// appendDiff appends the member of one attribute, if it differs. start is where
// the members began.
func appendDiff(dst []byte, start int, x, y object, a *Attribute) []byte {
	if isWriteOnly(a) || equalValues(x, y, a) {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ',')
	}
	dst = appendString(dst, a.Path)
	dst = append(dst, ":{"...)
	if a.Returned != musterv1.Attribute_RETURNED_NEVER {
		dst = appendState(dst, "before", x, a)
		if x.count(a) > 0 && y.count(a) > 0 {
			dst = append(dst, ',')
		}
		dst = appendState(dst, "after", y, a)
	}
	return append(dst, '}')
}

func appendState(dst []byte, name string, o object, a *Attribute) []byte {
	if o.count(a) == 0 {
		return dst
	}
	var e encoder
	dst = append(dst, jsonKey(name)...)
	dst, _ = e.attribute(dst, o, a)
	return dst
}

// equalValues tells whether a has the same values in both; either may be zero.
func equalValues(x, y object, a *Attribute) bool {
	n := x.count(a)
	if n != y.count(a) {
		return false
	}
	for i := range n {
		switch {
		case a.Type != Complex:
			if !x.equal(a, i, y, i) {
				return false
			}
		case !equalObjects(x.child(a, i), y.child(a, i), a):
			return false
		}
	}
	return true
}

func equalObjects(x, y object, a *Attribute) bool {
	for _, sub := range a.Sub {
		if !equalValues(x, y, sub) {
			return false
		}
	}
	return true
}
