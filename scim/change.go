package scim

import (
	"reflect"
	"slices"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// MaxValueLength is the most bytes of one string or binary value.
const MaxValueLength = 64 << 10

// NoSecret stands for a write-only value that a change removes; no hash is
// equal to it.
const NoSecret = "!"

// Prepare makes a resource that a client sent fit to be stored: it drops
// read-only attributes and empty elements (but for links), lets the last primary
// win, sets schemas, and checks that required attributes are there and values
// within limits. The error is InvalidValue and names the attribute.
func (rt *ResourceType) Prepare(r Resource) error {
	o := objectOf(r)
	for _, a := range rt.top {
		if err := prepare(o, a); err != nil {
			return err
		}
	}
	return rt.complete(r, InvalidValue)
}

// prepare does what Prepare promises for one attribute of o.
func prepare(o object, a *Attribute) error {
	if a.ReadOnly() {
		o.clear(a)
		return nil
	}
	for i := range o.count(a) {
		if a.Type == Complex {
			for _, sub := range a.Sub {
				if err := prepare(o.child(a, i), sub); err != nil {
					return err
				}
			}
			continue
		}
		if err := checkText(o.value(a, i), a); err != nil {
			return err
		}
	}
	if a.Type == Complex && a.MultiValued {
		if !a.Link { // a member that is not understood is an error, not one member fewer
			o.keep(a, func(i int) bool { return o.child(a, i).hasContent(a) })
		}
		o.onePrimary(a, -1)
	}
	return nil
}

// checkText refuses text that cannot be kept.
func checkText(v reflect.Value, a *Attribute) error {
	switch v.Kind() {
	case reflect.String:
		if strings.IndexByte(v.String(), 0) >= 0 {
			return Errorf(InvalidValue, "%s holds the character U+0000", a.Path).At(a.Path)
		}
	case reflect.Slice:
	default:
		return nil
	}
	if v.Len() > MaxValueLength {
		return Errorf(InvalidValue, "%s is longer than %d bytes", a.Path, MaxValueLength).At(a.Path)
	}
	return nil
}

// onePrimary leaves one element primary at most: the i-th if it is, or else the
// last that is (RFC 7643 section 2.4).
func (o object) onePrimary(a *Attribute, i int) {
	primary := a.SubAttribute("primary")
	if primary == nil {
		return
	}
	isPrimary := func(j int) bool {
		e := o.child(a, j)
		return e.count(primary) > 0 && e.boolean(primary)
	}
	last := -1
	for j := range o.count(a) {
		if isPrimary(j) {
			last = j
		}
	}
	if i >= 0 && isPrimary(i) {
		last = i
	}
	for j := range o.count(a) {
		if j != last && isPrimary(j) {
			o.child(a, j).setBoolean(primary, false)
		}
	}
}

// complete sets schemas to what is in use and checks that the required
// attributes have values; missing is the reason of the error where one does not.
func (rt *ResourceType) complete(r Resource, missing Reason) error {
	o := objectOf(r)
	o.clear(rt.schemas)
	if err := o.setText(rt.schemas, rt.Schema.URN); err != nil {
		return err
	}
	for _, ext := range rt.Extensions {
		if o.count(ext.extension) == 0 {
			o.clear(ext.extension)
			continue
		}
		if err := o.setText(rt.schemas, ext.URN); err != nil {
			return err
		}
	}
	for _, a := range rt.top {
		if a.required {
			if err := checkRequired(o, a, missing); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkRequired(o object, a *Attribute, missing Reason) error {
	n := o.count(a)
	if n == 0 && a.Required {
		return Errorf(missing, "%s is required", a.Path).At(a.Path)
	}
	if a.Type != Complex {
		return nil
	}
	for i := range n {
		for _, sub := range a.Sub {
			if err := checkRequired(o.child(a, i), sub, missing); err != nil {
				return err
			}
		}
	}
	return nil
}

// TakeLinks removes the elements of the link attributes from r and returns the
// ids they name, in order, without repetition.
func (rt *ResourceType) TakeLinks(r Resource) []string {
	var ids []string
	o := objectOf(r)
	for _, a := range rt.links {
		ids = append(ids, o.linkValues(a)...)
		o.clear(a)
	}
	return ids
}

// linkValues are the ids that the elements of a link attribute name.
func (o object) linkValues(a *Attribute) []string {
	var ids []string
	value := a.SubAttribute("value")
	seen := make(map[string]bool, o.count(a))
	for i := range o.count(a) {
		if id := o.child(a, i).text(value, 0); !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// Change is what a write does to a stored resource. It is compiled before the
// resource is read, so that a request which can never work fails without I/O,
// and it may be applied more than once.
type Change interface {
	// Apply changes r, which holds no links, in place. It fails, and leaves r
	// useless, where the change does not fit what is stored.
	Apply(r Resource) error
	// Links are what happens to the links, in order.
	Links() []LinkChange
	// References replaces each id by which the change names another resource by
	// what f makes of it.
	References(f Referrer) error
	// Secrets replaces each write-only value in the change by what f makes of it;
	// "" leaves the stored one as it is.
	Secrets(f func(plain string) (string, error)) error
}

// LinkChange is one step of a change of links.
type LinkChange struct {
	Attr *Attribute
	Kind LinkKind
	// Values are ids of resources, without repetition.
	Values []string
	// Filter is set for RemoveLinksWhere: it is about one element, as in a
	// ValueFilter.
	Filter Filter
}

// LinkKind is what a LinkChange does.
type LinkKind uint8

// What a change does to links.
const (
	// AddLinks adds the values that are not there yet.
	AddLinks LinkKind = iota
	// RemoveLinks removes the values that are there.
	RemoveLinks
	// RemoveLinksWhere removes the elements that meet the filter.
	RemoveLinksWhere
	// SetLinks makes the values the only ones.
	SetLinks
)

// replacement is the change of a PUT.
type replacement struct {
	rt    *ResourceType
	r     Resource
	id    string
	links []LinkChange
}

// CompileReplace prepares a PUT with the resource that the client sent (RFC 7644
// section 3.5.1), which belongs to the change from then on. Attributes that r
// lacks become unassigned, but for single booleans and write-only attributes,
// which stay: a client that does not name "active" does not mean to lock out.
func (rt *ResourceType) CompileReplace(r Resource) (Change, error) {
	c := &replacement{rt: rt, r: r, id: r.GetId()}
	if err := rt.Prepare(r); err != nil {
		return nil, err
	}
	o := objectOf(r)
	for _, a := range rt.links {
		if !a.ReadOnly() {
			c.links = append(c.links, LinkChange{Attr: a, Kind: SetLinks, Values: o.linkValues(a)})
			o.clear(a)
		}
	}
	return c, nil
}

func (c *replacement) Links() []LinkChange { return c.links }

func (c *replacement) Secrets(f func(string) (string, error)) error {
	return rewriteSecrets(c.rt, c.r, f)
}

func (c *replacement) Apply(r Resource) error {
	if c.id != "" && c.id != r.GetId() {
		return Errorf(Mutability, "id cannot change").At("id")
	}
	stored, sent := objectOf(r), objectOf(c.r)
	for _, a := range c.rt.stored {
		if !a.ReadOnly() && (sent.count(a) > 0 || !c.rt.isSwitch(a)) {
			stored.copy(a, sent)
		}
	}
	return nil
}

// isSwitch tells whether a replace that does not name the attribute leaves it.
func (rt *ResourceType) isSwitch(a *Attribute) bool {
	return slices.Contains(rt.switches, a)
}

func isWriteOnly(a *Attribute) bool {
	return a.Mutability == musterv1.Attribute_MUTABILITY_WRITE_ONLY
}

// rewriteSecrets replaces each write-only value in r by what f makes of it.
func rewriteSecrets(rt *ResourceType, r Resource, f func(string) (string, error)) error {
	o := objectOf(r)
	for _, a := range rt.switches {
		if !isWriteOnly(a) || o.count(a) == 0 {
			continue
		}
		secret, err := f(o.text(a, 0))
		if err != nil {
			return err
		}
		o.v.Field(a.field).SetString(secret)
	}
	return nil
}
