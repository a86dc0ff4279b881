package scim

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// MaskPaths are the paths of the attributes that a field mask names, which it does by
// the fields of the message: "enterprise_user.department" is the department of the
// enterprise extension. It fails with InvalidValue for a path that names none.
func (rt *ResourceType) MaskPaths(mask *fieldmaskpb.FieldMask) ([]string, error) {
	paths := make([]string, len(mask.GetPaths()))
	for i, path := range mask.GetPaths() {
		a := rt.masked(path)
		if a == nil {
			return nil, Errorf(InvalidValue, "%.200q names no field of a %s", path, rt.Name)
		}
		if paths[i] = a.Path; a.isExtension() {
			paths[i] = a.Schema.URN
		}
	}
	return paths, nil
}

// masked is the attribute of a path of a field mask, or nil.
func (rt *ResourceType) masked(path string) *Attribute {
	message := rt.New().ProtoReflect().Descriptor()
	var found *Attribute
	for name := range strings.SplitSeq(path, ".") {
		if message == nil {
			return nil
		}
		field := message.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			return nil
		}
		among := rt.top
		if found != nil {
			among = found.Sub
		}
		at := slices.IndexFunc(among, func(a *Attribute) bool { return a.isFieldOf(field) })
		if at < 0 {
			return nil
		}
		found, message = among[at], field.Message()
	}
	return found
}

// FieldPath is the path of the field that holds an attribute, given by its SCIM path, in
// the message of a resource: the inverse of what MaskPaths does. Attributes that are
// registered at run time have no fields of their own, and are held by one together.
// Empty: the message cannot have such an attribute.
func FieldPath(r Resource, path string) string {
	message := r.ProtoReflect().Descriptor()
	a := ResourceTypeOf(r).resolve(path)
	if a == nil {
		for _, name := range []protoreflect.Name{"attributes", "extensions"} {
			if field := message.Fields().ByName(name); field != nil {
				return string(name)
			}
		}
		return ""
	}
	var parts []string
	for _, step := range []*Attribute{a.container, a.Parent, a} {
		if step == nil || len(parts) > 0 && step == a.container {
			continue
		}
		fields := message.Fields()
		for i := range fields.Len() {
			if field := fields.Get(i); step.isFieldOf(field) {
				parts, message = append(parts, string(field.Name())), field.Message()
				break
			}
		}
	}
	return strings.Join(parts, ".")
}

// isFieldOf tells whether the attribute is held in the field.
func (a *Attribute) isFieldOf(field protoreflect.FieldDescriptor) bool {
	if a.held != asField {
		return false
	}
	if a.isExtension() {
		return field.JSONName() == a.Schema.URN
	}
	return field.JSONName() == a.Name || field.JSONName() == "ref" && a.Name == "$ref"
}

// MaskOperations are the operations of a patch that sets what the mask names to what
// it is in r, or leaves it unassigned where r has no value. An empty mask names every
// attribute that has one and that clients may write. It fails with InvalidValue for a
// path that names nothing, or a part of a list.
func (rt *ResourceType) MaskOperations(r Resource, mask *fieldmaskpb.FieldMask) ([]*musterv1.PatchOperation, error) {
	var attrs []*Attribute
	for _, path := range mask.GetPaths() {
		a := rt.masked(path)
		if a == nil || a.Parent != nil && a.Parent.MultiValued {
			return nil, Errorf(InvalidValue, "%.200q names no field of a %s that can be set; a list is set as a whole", path, rt.Name)
		}
		attrs = append(attrs, a)
	}
	o := objectOf(r)
	if len(attrs) == 0 {
		attrs = slices.DeleteFunc(slices.Clone(rt.top), func(a *Attribute) bool {
			return a.ReadOnly() || a == rt.schemas || o.count(a) == 0
		})
	}
	var ops []*musterv1.PatchOperation
	for _, a := range attrs {
		parts := []*Attribute{a}
		if a.isExtension() {
			parts = a.Sub
		}
		for _, part := range parts {
			op, err := o.operation(part)
			if err != nil {
				return nil, err
			}
			ops = append(ops, op)
		}
	}
	return ops, nil
}

// operation sets an attribute to what it is in o.
func (o object) operation(a *Attribute) (*musterv1.PatchOperation, error) {
	holder := o.holder(a, false)
	if a.Parent != nil {
		if holder = o.holder(a.Parent, false); holder.count(a.Parent) > 0 {
			holder = holder.child(a.Parent, 0)
		} else {
			holder = object{}
		}
	}
	if holder.count(a) == 0 {
		return &musterv1.PatchOperation{Op: musterv1.PatchOperation_OP_REMOVE, Path: a.Path}, nil
	}
	op := &musterv1.PatchOperation{Op: musterv1.PatchOperation_OP_REPLACE, Path: a.Path, Value: &structpb.Value{}}
	if isWriteOnly(a) {
		op.Value = structpb.NewStringValue(holder.text(a, 0))
		return op, nil
	}
	var e encoder
	text, _ := e.attribute(nil, holder, a)
	return op, protojson.Unmarshal(text, op.GetValue())
}
