package scim

import (
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// DecodePatch reads the body of a PATCH request (RFC 7644 section 3.5.2): an
// object with the member Operations. Names of members and operations are taken
// in any letter case, and members it does not know are passed over.
//
// A body without Operations is read as SCIM 1.1 wrote it: its attributes are
// added to the resource, but for elements marked "operation": "delete" and what
// meta.attributes lists, which are removed.
func DecodePatch(data []byte) ([]*musterv1.PatchOperation, error) {
	in := newJSONReader(data, MaxValues)
	p := patchReader{in: in}
	if k := in.peek(); k != kindObject && k != kindNone {
		in.fail(Errorf(InvalidSyntax, "the body is %s, not a JSON object", k))
	}
	p.body()
	in.end()
	if in.fault != nil {
		return nil, in.fault
	}
	if !p.modern {
		return p.old, nil
	}
	return p.ops, nil
}

// A patchReader collects operations, of the two forms a body can have.
type patchReader struct {
	in     *jsonReader
	modern bool // there is a member Operations
	ops    []*musterv1.PatchOperation
	old    []*musterv1.PatchOperation
}

func (p *patchReader) body() {
	if p.in.peek() != kindObject {
		return
	}
	p.in.open()
	for key, more := p.in.next(); more; key, more = p.in.next() {
		switch {
		case strings.EqualFold(key, "Operations"):
			p.modern = true
			p.operations()
		case strings.EqualFold(key, "schemas"):
			skipValue(p.in)
		default:
			p.oldMember(key, readValue(p.in))
		}
	}
}

func (p *patchReader) operations() {
	if p.in.peek() != kindArray {
		p.in.fail(Errorf(InvalidSyntax, "Operations is a list"))
		return
	}
	p.in.open()
	for _, more := p.in.next(); more; _, more = p.in.next() {
		if k := p.in.peek(); k != kindObject {
			p.in.fail(Errorf(InvalidSyntax, "an operation is an object, not %s", k))
			return
		}
		p.ops = append(p.ops, p.operation())
	}
}

func (p *patchReader) operation() *musterv1.PatchOperation {
	op := &musterv1.PatchOperation{}
	p.in.open()
	for key, more := p.in.next(); more; key, more = p.in.next() {
		switch {
		case strings.EqualFold(key, "op"):
			word := "OP_" + strings.ToUpper(p.in.optionalText("op"))
			op.Op = musterv1.PatchOperation_Op(musterv1.PatchOperation_Op_value[word])
		case strings.EqualFold(key, "path"):
			op.Path = p.in.optionalText("path")
		case strings.EqualFold(key, "value"):
			op.Value = readValue(p.in)
		default:
			skipValue(p.in)
		}
	}
	return op
}

// oldMember turns a member of a SCIM 1.1 body into operations.
func (p *patchReader) oldMember(key string, value *structpb.Value) {
	if strings.EqualFold(key, "meta") {
		for _, path := range value.GetStructValue().GetFields()["attributes"].GetListValue().GetValues() {
			p.old = append(p.old, &musterv1.PatchOperation{Op: opRemove, Path: path.GetStringValue()})
		}
		return
	}
	var added, removed []*structpb.Value
	for _, element := range value.GetListValue().GetValues() {
		if strings.EqualFold(element.GetStructValue().GetFields()["operation"].GetStringValue(), "delete") {
			removed = append(removed, element)
		} else {
			added = append(added, element)
		}
	}
	if len(removed) > 0 {
		list := structpb.NewListValue(&structpb.ListValue{Values: removed})
		p.old = append(p.old, &musterv1.PatchOperation{Op: opRemove, Path: key, Value: list})
		if len(added) == 0 {
			return
		}
		value = structpb.NewListValue(&structpb.ListValue{Values: added})
	}
	p.old = append(p.old, &musterv1.PatchOperation{
		Op:    opAdd,
		Value: structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{key: value}}),
	})
}
