package scim

import (
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Apply does the steps in order. What holds for every stored resource is made to
// hold at the end: a step may leave it broken for the next one to mend.
func (p *patch) Apply(r Resource) error {
	if len(p.steps) == 0 {
		return nil
	}
	before := p.rt.keepImmutable(r)
	for i := range p.steps {
		s := &p.steps[i]
		if s.path.Attr == p.rt.id {
			if id := s.from.GetId(); id != r.GetId() {
				return InField(operationField(s.number), Errorf(Mutability, "id cannot change").At("id"))
			}
			continue
		}
		if err := s.apply(objectOf(r)); err != nil {
			return InField(operationField(s.number), err)
		}
	}
	for _, a := range p.rt.stored {
		dropEmpty(objectOf(r), a)
	}
	if err := p.rt.complete(r, Mutability, noneStays); err != nil {
		return err
	}
	return p.rt.checkImmutable(before, r)
}

// dropEmpty removes elements without content, and complex values likewise.
func dropEmpty(o object, a *Attribute) {
	if a.Type != Complex {
		return
	}
	if a.MultiValued {
		o.keep(a, func(i int) bool { return o.child(a, i).hasContent(a) })
		return
	}
	if o.count(a) == 0 {
		o.clear(a)
		return
	}
	for _, sub := range a.Sub {
		dropEmpty(o.child(a, 0), sub)
	}
}

// apply does the step on the resource. It leaves its own values untouched, so
// that it can be applied again.
func (s *step) apply(resource object) error {
	a := s.path.Attr
	switch {
	case s.path.Filter != nil && a.MultiValued:
		return s.applySelected(resource.holder(a, true))
	case s.path.Filter != nil:
		return s.applyCondition(resource.locate(a))
	case a.Parent != nil && a.Parent.MultiValued:
		return s.applyEach(resource.holder(a.Parent, true))
	}
	o := resource.locate(a)
	source := objectOf(proto.CloneOf(s.from)).locate(a)
	switch {
	case s.op == opRemove && s.given && a.MultiValued:
		o.removeElements(a, source)
	case s.op == opRemove:
		o.clear(a)
	case isWriteOnly(a) && source.count(a) == 0: // the present one, or none: who knows no secret does not mean to remove it
	case s.op == opAdd && a.MultiValued:
		if err := o.addElements(a, source); err != nil {
			return err
		}
		return o.checkElements(a)
	case a.Type == Complex && !a.MultiValued && source.count(a) > 0: // a bare value, or a list of one
		return o.make(a).merge(a, source.child(a, 0))
	default:
		o.copy(a, source)
		if a.MultiValued {
			o.onePrimary(a, -1)
		}
	}
	return nil
}

// merge sets those sub-attributes of a that from has.
func (o object) merge(a *Attribute, from object) error {
	for _, sub := range a.Sub {
		if from.count(sub) == 0 {
			continue
		}
		if sub.Type == Complex && !sub.MultiValued {
			if err := o.make(sub).merge(sub, from.child(sub, 0)); err != nil {
				return err
			}
			continue
		}
		if err := o.put(sub, from); err != nil {
			return err
		}
	}
	return nil
}

// put makes a sub-attribute what it is in from, or clears it where from is zero.
// It fails with Mutability for one that can be set only once and is set. Outside of
// multi-valued attributes checkImmutable sees that too; an element has no name by
// which it could be found again when the patch is over.
func (o object) put(sub *Attribute, from object) error {
	if sub.Mutability == musterv1.Attribute_MUTABILITY_IMMUTABLE && o.count(sub) > 0 && !equalValues(o, from, sub) {
		return setTwice(sub)
	}
	o.copy(sub, from)
	return nil
}

// addElements adds the elements of from that are not there yet. An element with
// the same value and type as one that is there is the same one (RFC 7643 section
// 2.4) and lends it its other sub-attributes.
func (o object) addElements(a *Attribute, from object) error {
	for i := range from.count(a) {
		if a.Type != Complex {
			if !o.contains(a, from, i) {
				o.push(a, from, i)
			}
			continue
		}
		e := from.child(a, i)
		j := o.findElement(a, e)
		if j < 0 {
			j = o.count(a)
			o.grow(a)
		}
		if err := o.child(a, j).merge(a, e); err != nil {
			return err
		}
		o.onePrimary(a, j)
	}
	return nil
}

// contains tells whether a list of simple values has the j-th value of from.
func (o object) contains(a *Attribute, from object, j int) bool {
	for i := range o.count(a) {
		if o.equal(a, i, from, j) {
			return true
		}
	}
	return false
}

// findElement is the index of the element that e names, or -1. One without a value
// names only its equal.
func (o object) findElement(a *Attribute, e object) int {
	value, kind := a.SubAttribute("value"), a.SubAttribute("type")
	named := value != nil && e.count(value) > 0
	for j := range o.count(a) {
		there := o.child(a, j)
		if !named && equalObjects(there, e, a) ||
			named && equalValues(there, e, value) && (kind == nil || equalValues(there, e, kind)) {
			return j
		}
	}
	return -1
}

// removeElements removes the elements that agree with one of from in all the
// sub-attributes that it has.
func (o object) removeElements(a *Attribute, from object) {
	o.keep(a, func(i int) bool {
		if a.Type != Complex {
			return !from.contains(a, o, i)
		}
		for j := range from.count(a) {
			if agrees(o.child(a, i), from.child(a, j), a) {
				return false
			}
		}
		return true
	})
}

func agrees(o, with object, a *Attribute) bool {
	for _, sub := range a.Sub {
		if with.count(sub) > 0 && !equalValues(o, with, sub) {
			return false
		}
	}
	return with.hasContent(a)
}

// applyEach does the step on a sub-attribute of every element; set on a list
// without elements, it makes one.
func (s *step) applyEach(o object) error {
	sub := s.path.Attr
	a := sub.Parent
	if o.count(a) == 0 && s.op != opRemove {
		o.grow(a)
	}
	for i := range o.count(a) {
		if err := o.child(a, i).put(sub, s.element); err != nil {
			return err
		}
	}
	o.onePrimary(a, -1)
	return nil
}

// applySelected does the step on the elements that the filter selects.
func (s *step) applySelected(o object) error {
	a := s.path.Attr
	if s.op == opRemove && s.path.Sub == nil {
		o.keep(a, func(i int) bool { return !matchElement(s.path.Filter, o.child(a, i)) })
		return nil
	}
	found := false
	for i := range o.count(a) {
		if matchElement(s.path.Filter, o.child(a, i)) {
			found = true
			if err := s.set(o.child(a, i)); err != nil {
				return err
			}
			o.onePrimary(a, i)
		}
	}
	if found || s.op == opRemove {
		return nil
	}
	c, ok := s.path.Filter.(Comparison)
	if !ok || c.Op != Equal || c.Value.Null || s.strict {
		return Errorf(NoTarget, "no element of %s meets the filter", a.Path).At(a.Path)
	}
	e := o.grow(a)
	if err := e.setLiteral(c); err != nil {
		return err
	}
	err := s.set(e)
	o.onePrimary(a, o.count(a)-1)
	return err
}

// applyCondition does the step on a singular complex value if it meets the filter.
func (s *step) applyCondition(o object) error {
	a := s.path.Attr
	if o.count(a) == 0 || !matchElement(s.path.Filter, o.child(a, 0)) {
		if s.op == opRemove {
			return nil
		}
		return Errorf(NoTarget, "%s does not meet the filter", a.Path).At(a.Path)
	}
	if s.op == opRemove && s.path.Sub == nil {
		o.clear(a)
		return nil
	}
	return s.set(o.child(a, 0))
}

// set changes one selected element.
func (s *step) set(e object) error {
	if s.path.Sub == nil {
		return e.merge(s.path.Attr, s.element)
	}
	return e.put(s.path.Sub, s.element) // of a removal there is no element
}

// setLiteral makes the element meet the comparison for equality.
func (o object) setLiteral(c Comparison) error {
	switch c.Attr.Type {
	case Boolean:
		o.setBoolean(c.Attr, c.Value.Bool)
		return nil
	case Integer, Decimal:
		o.setNumber(c.Attr, c.Value.Number)
		return nil
	case DateTime:
		o.setTime(c.Attr, c.Value.Time)
		return nil
	default:
	}
	if err := o.setText(c.Attr, c.Value.Written); err != nil {
		return err
	}
	return nil
}
