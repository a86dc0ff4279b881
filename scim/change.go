package scim

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// MaxInteger is the greatest value of an integer attribute, and its negative the
// least: beyond, JSON's numbers are not exact.
const MaxInteger = 1 << 53

// MaxValueLength is the most bytes of one string, or of a binary value in base64.
const MaxValueLength = 64 << 10

// MaxElements is the most elements of one multi-valued attribute, links apart. To
// add one, it is compared with those that are there.
const MaxElements = 1000

// KeptSecret stands in a resource for a write-only value that is kept elsewhere,
// as a hash: it tells that there is one. No hash is equal to it, and answers lack
// it as they lack whatever is never returned.
const KeptSecret = "*"

// Prepare makes a resource that a client sent fit to be stored: it drops
// read-only attributes and empty elements (but for links), lets the last primary
// win, sets schemas, and checks that required attributes are there and values
// within limits. The error is InvalidValue and names the attribute.
func (rt *ResourceType) Prepare(r Resource) error { return rt.receive(r, noneStays) }

// receive is Prepare for a write after which some attributes stay as they are if r
// does not name them.
func (rt *ResourceType) receive(r Resource, stays func(*Attribute) bool) error {
	if err := rt.adopt(r); err != nil {
		return err
	}
	o := objectOf(r)
	for _, a := range rt.top {
		if err := prepare(o, a); err != nil {
			return err
		}
	}
	return rt.complete(r, InvalidValue, stays)
}

// noneStays: nothing stays after a create, and at the end of a change.
func noneStays(*Attribute) bool { return false }

// prepare does what Prepare promises for one attribute of o.
func prepare(o object, a *Attribute) error {
	if a.ReadOnly() {
		o.clear(a)
		return nil
	}
	if err := o.checkElements(a); err != nil {
		return err
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
		if err := o.checkValue(a, i); err != nil {
			return err
		}
	}
	switch {
	case a.Type != Complex:
	case !a.MultiValued && o.count(a) == 0:
		o.clear(a)
	case a.MultiValued:
		if !a.Link { // a member that is not understood is an error, not one member fewer
			o.keep(a, func(i int) bool { return o.child(a, i).hasContent(a) })
		}
		o.onePrimary(a, -1)
	}
	return nil
}

// checkValue refuses a value, the i-th of a, that cannot be kept. Of a registered
// attribute with canonical values it takes no others; to those of the contract
// the RFC's word applies that they are suggestions (RFC 7643 section 7).
func (o object) checkValue(a *Attribute, i int) error {
	if a.Type != String && a.Type != Reference && a.Type != Binary {
		return nil
	}
	s := o.text(a, i)
	switch {
	case strings.IndexByte(s, 0) >= 0:
		return Errorf(InvalidValue, "%s holds the character U+0000", a.Path).At(a.Path)
	case len(s) > MaxValueLength:
		return Errorf(InvalidValue, "%s is longer than %d bytes", a.Path, MaxValueLength).At(a.Path)
	case a.Registered() && len(a.CanonicalValues) > 0 && !slices.ContainsFunc(a.CanonicalValues, func(c string) bool { return foldFor(a, c) == foldFor(a, s) }):
		return Errorf(InvalidValue, "%s is one of: %s", a.Path, strings.Join(a.CanonicalValues, ", ")).At(a.Path)
	}
	return nil
}

// checkElements refuses more elements than an attribute can have.
func (o object) checkElements(a *Attribute) error {
	if a.MultiValued && !a.Link && o.count(a) > MaxElements {
		return Errorf(InvalidValue, "%s has at most %d elements", a.Path, MaxElements).At(a.Path)
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
		return e.count(primary) > 0 && e.boolean(primary, 0)
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
// attributes, but for those that stay, have values; missing is the reason of the
// error where one does not.
func (rt *ResourceType) complete(r Resource, missing Reason, stays func(*Attribute) bool) error {
	o := objectOf(r)
	o.clear(rt.schemas)
	if err := o.setText(rt.schemas, rt.Schema.URN); err != nil {
		return err
	}
	for _, ext := range rt.Extensions {
		if o.count(ext.extension) == 0 {
			o.clear(ext.extension)
			if slices.Contains(rt.mandatory, ext) && !slices.ContainsFunc(ext.Attributes, stays) {
				return Errorf(missing, "%s is a required extension", ext.URN).At(ext.URN)
			}
			continue
		}
		if err := o.setText(rt.schemas, ext.URN); err != nil {
			return err
		}
	}
	for _, a := range rt.top {
		if a.required {
			if err := checkRequired(o, a, missing, stays); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkRequired(o object, a *Attribute, missing Reason, stays func(*Attribute) bool) error {
	n := o.count(a)
	if n == 0 && a.Required && !stays(a) {
		return Errorf(missing, "%s is required", a.Path).At(a.Path)
	}
	if a.Type != Complex {
		return nil
	}
	for i := range n {
		for _, sub := range a.Sub {
			if err := checkRequired(o.child(a, i), sub, missing, stays); err != nil {
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
	Secrets(f func(attr *Attribute, plain string) (string, error)) error
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
	if err := rt.receive(r, rt.staysUnnamed); err != nil {
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

func (c *replacement) Secrets(f func(*Attribute, string) (string, error)) error {
	return c.rt.RewriteSecrets(c.r, f)
}

func (c *replacement) Apply(r Resource) error {
	if c.id != "" && c.id != r.GetId() {
		return Errorf(Mutability, "id cannot change").At("id")
	}
	before := c.rt.keepImmutable(r)
	stored, sent := objectOf(r), objectOf(c.r)
	for _, a := range c.rt.stored {
		if a.held == asExtension {
			c.rt.replaceEach(stored.holder(a.Sub[0], true), sent.holder(a.Sub[0], false), a.Sub)
			continue
		}
		c.rt.replaceEach(stored, sent, []*Attribute{a})
	}
	for _, a := range c.rt.stored {
		dropEmpty(stored, a)
	}
	if err := c.rt.complete(r, InvalidValue, noneStays); err != nil {
		return err
	}
	return c.rt.checkImmutable(before, r)
}

// replaceEach makes the attributes what they are in sent, but for those that a
// replace leaves where it does not name them.
func (rt *ResourceType) replaceEach(stored, sent object, attrs []*Attribute) {
	for _, a := range attrs {
		if !a.ReadOnly() && (sent.count(a) > 0 || !rt.staysUnnamed(a)) {
			stored.copy(a, sent)
		}
	}
}

// staysUnnamed tells whether a replace that does not name the attribute leaves it:
// one that cannot be taken back (RFC 7644 section 3.5.1), or a switch.
func (rt *ResourceType) staysUnnamed(a *Attribute) bool {
	return rt.isSwitch(a) || a.Mutability == musterv1.Attribute_MUTABILITY_IMMUTABLE
}

// keepImmutable is a copy of r to hold a change against; nil where the type has
// nothing that can be set only once.
func (rt *ResourceType) keepImmutable(r Resource) Resource {
	if len(rt.immutable) == 0 {
		return nil
	}
	return proto.CloneOf(r)
}

// checkImmutable fails where a change took back or replaced what can be set only
// once (RFC 7643 section 2.2).
func (rt *ResourceType) checkImmutable(before, after Resource) error {
	if before == nil {
		return nil
	}
	x, y := objectOf(before), objectOf(after)
	for _, a := range rt.immutable {
		was := x.within(a)
		if was.count(a) > 0 && !equalValues(was, y.within(a), a) {
			return setTwice(a)
		}
	}
	return nil
}

func setTwice(a *Attribute) error {
	return Errorf(Mutability, "%s can be set only once", a.Path).At(a.Path)
}

// within is the object that holds an attribute that is not inside of a
// multi-valued one; zero where there is none. o is the resource.
func (o object) within(a *Attribute) object {
	if a.Parent == nil {
		return o.holder(a, false)
	}
	holder := o.holder(a.Parent, false)
	if holder.count(a.Parent) == 0 {
		return object{}
	}
	return holder.child(a.Parent, 0)
}

// isSwitch tells whether a replace that does not name the attribute leaves it.
func (rt *ResourceType) isSwitch(a *Attribute) bool {
	return slices.Contains(rt.switches, a)
}

func isWriteOnly(a *Attribute) bool {
	return a.Mutability == musterv1.Attribute_MUTABILITY_WRITE_ONLY
}

// RewriteSecrets replaces each write-only value in r by what f makes of it; "" is
// as if it were not there.
func (rt *ResourceType) RewriteSecrets(r Resource, f func(attr *Attribute, plain string) (string, error)) error {
	for _, a := range rt.switches {
		o := objectOf(r).holder(a, false)
		if !isWriteOnly(a) || o.count(a) == 0 {
			continue
		}
		secret, err := f(a, o.text(a, 0))
		if err != nil {
			return err
		}
		o.clear(a)
		if err := o.setText(a, secret); err != nil {
			return err
		}
	}
	return nil
}

// TakeSecrets takes what RewriteSecrets made of write-only values out of r, leaves
// KeptSecret in their places, and returns them by the paths of their attributes.
func (rt *ResourceType) TakeSecrets(r Resource) map[string]string {
	secrets := make(map[string]string)
	for _, a := range rt.switches {
		o := objectOf(r).holder(a, false)
		if !isWriteOnly(a) || o.count(a) == 0 || o.text(a, 0) == KeptSecret {
			continue
		}
		secrets[a.Path] = o.text(a, 0)
		o.setKept(a)
	}
	return secrets
}

// setKept puts KeptSecret in the place of a write-only value.
func (o object) setKept(a *Attribute) {
	o.clear(a)
	_ = o.setText(a, KeptSecret) // a string takes any text
}

// LostSecrets are the paths of the write-only values that before has and after
// lacks.
func (rt *ResourceType) LostSecrets(before, after Resource) []string {
	var lost []string
	for _, a := range rt.switches {
		if isWriteOnly(a) && objectOf(before).holder(a, false).count(a) > 0 && objectOf(after).holder(a, false).count(a) == 0 {
			lost = append(lost, a.Path)
		}
	}
	return lost
}
