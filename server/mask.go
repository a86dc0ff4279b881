package server

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/muster-scim/muster/scim"
)

// fields are the paths of a message that an update may name.
type fields struct {
	setByServer []string // passed over
	settable    []string // a message, and what of it can be set alone
}

// maskedFields are the fields of a message that an update sets: those of the mask,
// or without one those that are present. It fails with InvalidValue for one that
// cannot be set.
func maskedFields(m proto.Message, mask *fieldmaskpb.FieldMask, of fields) ([]string, error) {
	if len(mask.GetPaths()) == 0 {
		return presentFields(m, of), nil
	}
	var paths []string
	for _, path := range mask.GetPaths() {
		top, _, _ := strings.Cut(path, ".")
		switch {
		case slices.Contains(of.setByServer, path), slices.Contains(of.setByServer, top):
		case slices.Contains(of.settable, path):
			paths = append(paths, path)
		default:
			return nil, scim.InField("update_mask", scim.Errorf(scim.InvalidValue, "%.80q cannot be set; what can: %s", path, strings.Join(of.settable, ", ")))
		}
	}
	return paths, nil
}

// presentFields are the settable fields of the first level that the message has.
func presentFields(m proto.Message, of fields) (paths []string) {
	in := m.ProtoReflect()
	for _, path := range of.settable {
		field := in.Descriptor().Fields().ByName(protoreflect.Name(path))
		if field != nil && in.Has(field) {
			paths = append(paths, path)
		}
	}
	return paths
}

func unknownValue(path string) error {
	return scim.Errorf(scim.InvalidValue, "%s has a value that the contract does not know", path).At(path)
}
