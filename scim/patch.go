package scim

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// patch is the change of a PATCH: its operations, compiled.
type patch struct {
	rt    *ResourceType
	steps []step
	links []LinkChange
}

// A step is one operation on one attribute. What it sets is held by a resource
// of its own, from, at the place of the attribute: the decoder that reads
// requests has read it.
type step struct {
	op   musterv1.PatchOperation_Op
	path Path
	from Resource
	// element holds the new sub-attributes where path selects elements.
	element object
	// given tells whether the operation has a value.
	given bool
	// strict tells that an element which no filter selects is not made.
	strict bool
	// number is which operation of the patch it is of.
	number int
}

// Short names for the operations.
const (
	opAdd     = musterv1.PatchOperation_OP_ADD
	opRemove  = musterv1.PatchOperation_OP_REMOVE
	opReplace = musterv1.PatchOperation_OP_REPLACE
)

// CompilePatch prepares a PATCH (RFC 7644 section 3.5.2). Paths are resolved,
// values read and mutability is checked here: all that can be wrong without
// looking at the stored resource.
//
// Beyond the RFC it understands what clients are known to send: in an operation
// without path the keys may be paths themselves, and a remove may say in its
// value which elements go. A removal that is not understood is an error, never
// a silent success.
func (rt *ResourceType) CompilePatch(ops []*musterv1.PatchOperation) (Change, error) {
	if len(ops) == 0 {
		return nil, InField("operations", Errorf(InvalidSyntax, "a patch needs at least one operation in Operations"))
	}
	if most := rt.within().PatchOperations; len(ops) > most {
		return nil, InField("operations", Errorf(TooMany, "a patch has at most %d operations", most))
	}
	p := &patch{rt: rt}
	for i, op := range ops {
		before := len(p.steps)
		if err := p.compile(op); err != nil {
			return nil, InField(operationField(i), err)
		}
		for j := range p.steps[before:] {
			p.steps[before+j].number = i
		}
	}
	return p, nil
}

// operationField is the field of the i-th operation in the message of a request.
func operationField(i int) string { return "operations[" + strconv.Itoa(i) + "]" }

// compile adds the steps of one operation.
func (p *patch) compile(op *musterv1.PatchOperation) error {
	switch op.GetOp() {
	case opAdd, opReplace:
		if op.GetValue() == nil {
			return InField("value", Errorf(InvalidSyntax, "the operation %s needs a value", opWord(op.GetOp())))
		}
	case opRemove:
	default:
		return InField("op", Errorf(InvalidSyntax, "op is add, remove or replace"))
	}
	text := strings.TrimSpace(op.GetPath())
	if text == "" || strings.EqualFold(text, p.rt.Schema.URN) {
		return p.compileMembers(op.GetOp(), "", op.GetValue())
	}
	path, err := p.rt.ParsePath(text)
	if err != nil {
		return InField("path", err)
	}
	if spreads(op.GetOp(), path, op.GetValue()) {
		return p.compileMembers(op.GetOp(), memberPrefix(path.Attr), op.GetValue())
	}
	return p.compileStep(op.GetOp(), path, op.GetValue())
}

// spreads tells whether the members of the value are operations of their own on
// the sub-attributes of what the path names: sub-attributes that the value does
// not name are left unchanged (RFC 7644 section 3.5.2.3).
func spreads(op musterv1.PatchOperation_Op, path Path, value *structpb.Value) bool {
	a := path.Attr
	if a.Type != Complex || a.MultiValued || path.Filter != nil || readOnlyPath(path) || value.GetStructValue() == nil {
		return false
	}
	return op != opRemove || a.isExtension()
}

// memberPrefix is what stands before the name of a sub-attribute in a path.
func memberPrefix(a *Attribute) string {
	if a.isExtension() {
		return a.Path + ":"
	}
	return a.Path + "."
}

func opWord(op musterv1.PatchOperation_Op) string {
	return strings.ToLower(strings.TrimPrefix(op.String(), "OP_"))
}

// compileMembers adds the steps of an operation whose target is the resource, or
// the extension or complex attribute that prefix names: each member of the value
// is a step.
func (p *patch) compileMembers(op musterv1.PatchOperation_Op, prefix string, value *structpb.Value) error {
	members := value.GetStructValue()
	switch {
	case members == nil && op == opRemove:
		return Errorf(NoTarget, "a remove needs a path")
	case members == nil:
		return Errorf(InvalidValue, "an operation without path needs an object of attributes as its value")
	}
	in := valueReader{at: value}
	in.open()
	for key, more := in.next(); more; key, more = in.next() {
		if err := p.compileMember(op, prefix, key, members.GetFields()[key]); err != nil {
			return err
		}
	}
	return nil
}

func (p *patch) compileMember(op musterv1.PatchOperation_Op, prefix, key string, value *structpb.Value) error {
	if strings.EqualFold(key, p.rt.Schema.URN) {
		return p.compileMembers(op, "", value)
	}
	path, err := p.rt.ParsePath(prefix + key)
	if err != nil {
		if op == opRemove || ReasonOf(err) == InvalidFilter {
			return err
		}
		return nil // unknown attributes of a resource are passed over here as elsewhere
	}
	a := path.Attr
	switch {
	case spreads(op, path, value):
		return p.compileMembers(op, memberPrefix(a), value)
	case a == p.rt.id:
		p.steps = append(p.steps, step{op: op, path: path, from: p.idHolder(value)})
		return nil
	case op != opRemove && (readOnlyPath(path) || a == p.rt.schemas):
		return nil
	}
	return p.compileStep(op, path, value)
}

// idHolder keeps an id that a client repeats inside a value, to be compared.
func (p *patch) idHolder(value *structpb.Value) Resource {
	r := p.rt.New()
	p.rt.Stamp(r, value.GetStringValue(), nil)
	return r
}

// readOnlyPath tells whether a client cannot change what the path names.
func readOnlyPath(path Path) bool {
	for a := path.Attr; a != nil; a = a.Parent {
		if a.ReadOnly() {
			return true
		}
	}
	return path.Sub != nil && path.Sub.ReadOnly()
}

// compileStep adds the step of an operation on one attribute.
func (p *patch) compileStep(op musterv1.PatchOperation_Op, path Path, value *structpb.Value) error {
	a := path.Attr
	if a == p.rt.schemas {
		return nil // follows from what the resource holds
	}
	if readOnlyPath(path) {
		return Errorf(Mutability, "%s is read-only", a.Path).At(a.Path)
	}
	if isNull(value) && !isWriteOnly(a) {
		switch {
		case op == opReplace: // by nothing
			op = opRemove
		case op == opAdd && path.Filter != nil: // nothing to an element
			return nil
		}
	}
	top := a
	if a.Parent != nil {
		top = a.Parent
	}
	if top.Link {
		return p.compileLinks(op, path, value)
	}
	s := step{op: op, path: path, from: p.rt.New(), given: value != nil && !isNull(value), strict: p.rt.strict}
	if op == opRemove && (!s.given || !a.MultiValued || path.Filter != nil) {
		p.steps = append(p.steps, s)
		return nil
	}
	if err := s.read(p.rt, value); err != nil {
		return err
	}
	p.steps = append(p.steps, s)
	return nil
}

func isNull(v *structpb.Value) bool {
	_, null := v.GetKind().(*structpb.Value_NullValue)
	return null
}

// read decodes the value into the place that the path names.
func (s *step) read(rt *ResourceType, value *structpb.Value) error {
	in := &valueReader{at: value}
	d := decoder{rt: rt, in: in}
	o, a := objectOf(s.from), s.path.Attr
	switch {
	case s.path.Filter != nil && a.MultiValued:
		s.element = o.holder(a, true).grow(a)
		d.into(s.element, s.path, o)
	case s.path.Filter != nil:
		s.element = o.locate(a).make(a)
		d.into(s.element, s.path, o)
	case a.Parent != nil && a.Parent.MultiValued:
		s.element = o.holder(a.Parent, true).grow(a.Parent)
		d.attribute(s.element, a)
	default:
		d.attribute(o.locate(a), a)
	}
	if in.fault != nil {
		return in.fault
	}
	if s.op == opRemove {
		return o.locate(a).checkNamed(a, value)
	}
	return checkValues(o, a)
}

// checkNamed refuses a value of an operation that does not say which elements it
// is about: each has content, and only an empty list may name none.
func (o object) checkNamed(a *Attribute, value *structpb.Value) error {
	named := o.count(a) > 0 || isEmptyList(value, a)
	for i := range o.count(a) {
		named = named && (a.Type != Complex || o.child(a, i).hasContent(a))
	}
	if !named {
		return Errorf(InvalidValue, "the value does not say which elements of %s it means", a.Path).At(a.Path)
	}
	return nil
}

// into reads the value of a path with a filter into an element.
func (d *decoder) into(element object, path Path, parent object) {
	switch {
	case path.Sub != nil:
		d.attribute(element, path.Sub)
	case d.in.peek() == kindArray:
		d.in.open()
		for _, more := d.in.next(); more; _, more = d.in.next() {
			d.complex(element, path.Attr, parent)
		}
	case d.in.peek() != kindNull:
		d.complex(element, path.Attr, parent)
	}
}

// checkValues checks the limits of what an operation sets.
func checkValues(o object, a *Attribute) error {
	if a.Parent != nil {
		return checkValues(o, a.Parent)
	}
	return prepareValues(o.holder(a, true), a)
}

// prepareValues is prepare for a value of an operation, where a second primary
// and empty elements mean nothing yet.
func prepareValues(o object, a *Attribute) error {
	if err := o.checkElements(a); err != nil {
		return err
	}
	for i := range o.count(a) {
		if a.Type != Complex {
			if err := o.checkValue(a, i); err != nil {
				return err
			}
			continue
		}
		for _, sub := range a.Sub {
			if err := prepareValues(o.child(a, i), sub); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *patch) Links() []LinkChange { return p.links }

func (p *patch) Secrets(f func(*Attribute, string) (string, error)) error {
	for _, s := range p.steps {
		if err := p.rt.RewriteSecrets(s.from, f); err != nil {
			return err
		}
	}
	return nil
}
