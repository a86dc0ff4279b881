package scim

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// What is stored outlives the schema that it was stored under. A change of what is
// registered must leave it whole, or is refused.

// Accepts tells whether every resource that old made fits rt as it is, so that none
// need be looked at: what rt adds is optional, and nothing of it is narrower.
func (rt *ResourceType) Accepts(old *ResourceType) bool {
	for _, ext := range rt.mandatory {
		if !slices.ContainsFunc(old.mandatory, func(s *Schema) bool { return s.URN == ext.URN }) {
			return false
		}
	}
	return rt.Schema.URN == old.Schema.URN && acceptAll(rt.top, old.top)
}

// acceptAll is Accepts for attributes.
func acceptAll(attrs, old []*Attribute) bool {
	for _, was := range old {
		if !slices.ContainsFunc(attrs, func(a *Attribute) bool { return a.Name == was.Name && a.accepts(was) }) {
			return false
		}
	}
	for _, a := range attrs {
		if a.Required && !slices.ContainsFunc(old, func(was *Attribute) bool { return a.Name == was.Name }) {
			return false
		}
	}
	return true
}

// accepts is Accepts for one attribute.
func (a *Attribute) accepts(old *Attribute) bool {
	switch {
	case a.Type != old.Type, a.MultiValued != old.MultiValued, a.CaseExact != old.CaseExact,
		a.Uniqueness != old.Uniqueness, a.Required && !old.Required, isWriteOnly(a) != isWriteOnly(old):
		return false
	}
	for _, value := range old.CanonicalValues {
		if len(a.CanonicalValues) > 0 && !slices.Contains(a.CanonicalValues, value) {
			return false
		}
	}
	return (len(a.CanonicalValues) == 0 || len(old.CanonicalValues) > 0) && acceptAll(a.Sub, old.Sub)
}

// Renew reads the document of a resource that another state of its type, old, made:
// as it was, and as it is for rt. It fails with InvalidValue where something of it
// would be lost or does not fit.
func (rt *ResourceType) Renew(old *ResourceType, document []byte) (was, is Resource, err error) {
	if rt.Schema.URN != old.Schema.URN {
		return nil, nil, Errorf(InvalidValue, "its schema is %s", old.Schema.URN).At("schema")
	}
	if was, err = old.DecodeDocument(document); err != nil {
		return nil, nil, err
	}
	if is, err = rt.DecodeDocument(document); err != nil {
		return nil, nil, err
	}
	if name := firstLoss(was, is); name != "" {
		return nil, nil, Errorf(InvalidValue, "the value of %s would be lost or changed", name).At(name)
	}
	if name := firstSecret(old, rt, was) + firstSecret(rt, old, is); name != "" {
		return nil, nil, Errorf(InvalidValue, "%s has a value; those of write-only attributes are kept as hashes, and no others", name).At(name)
	}
	return was, is, rt.fits(is)
}

// firstSecret is the path of a write-only value of r that for other is none.
func firstSecret(rt, other *ResourceType, r Resource) string {
	for _, a := range rt.switches {
		if !isWriteOnly(a) || objectOf(r).holder(a, false).count(a) == 0 {
			continue
		}
		if b := other.resolve(a.Path); b == nil || !isWriteOnly(b) {
			return a.Path
		}
	}
	return ""
}

// fits checks a resource as Prepare does. But it leaves what is read-only: that may
// have been written before it became so.
func (rt *ResourceType) fits(r Resource) error {
	for _, a := range rt.stored {
		if err := prepareValues(objectOf(r), a); err != nil {
			return err
		}
	}
	return rt.complete(r, InvalidValue, noneStays)
}

// firstLoss is the name of a registered attribute whose value is is not what it was.
func firstLoss(was, is Resource) string {
	before, extended := registeredParts(was)
	after, extendedAfter := registeredParts(is)
	if name := firstDifference(before, after); name != "" {
		return name
	}
	for _, urn := range slices.Sorted(maps.Keys(extended)) {
		if name := firstDifference(extended[urn], extendedAfter[urn]); name != "" {
			return urn + ":" + name
		}
	}
	return ""
}

// firstDifference is the name of a member of x that y lacks or has otherwise.
func firstDifference(x, y *structpb.Struct) string {
	for _, name := range slices.Sorted(maps.Keys(x.GetFields())) {
		if !proto.Equal(x.GetFields()[name], y.GetFields()[name]) {
			return name
		}
	}
	return ""
}
