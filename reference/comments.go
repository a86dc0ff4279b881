package reference

import (
	_ "embed"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// The contract with its comments, which the generated code lacks. `make generate`
// writes it, with buf.
//
//go:embed contract.binpb
var contract []byte

// A commented is the files of the contract, with comments.
type commented []protoreflect.FileDescriptor

func readContract() (commented, error) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(contract, &set); err != nil {
		return nil, fmt.Errorf("reading the contract: %w", err)
	}
	var files commented
	for _, f := range set.GetFile() {
		// What it imports is that of this program: names are resolved all the same.
		file, err := protodesc.NewFile(f, protoregistry.GlobalFiles)
		if err != nil {
			return nil, fmt.Errorf("reading the contract: %w", err)
		}
		files = append(files, file)
	}
	return files, nil
}

// comment is what stands before a descriptor of the contract, without the marks of a
// comment; empty: nothing does, or the name is another's.
func (c commented) comment(name protoreflect.FullName) string {
	for _, f := range c {
		if d := find(f, name); d != nil {
			return comment(d)
		}
	}
	return ""
}

func comment(d protoreflect.Descriptor) string {
	text := d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, " ")
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// find finds a descriptor in a file by its full name, or nil.
func find(f protoreflect.FileDescriptor, name protoreflect.FullName) protoreflect.Descriptor {
	rest, inside := strings.CutPrefix(string(name), string(f.Package())+".")
	if !inside {
		return nil
	}
	top, rest, _ := strings.Cut(rest, ".")
	if s := f.Services().ByName(protoreflect.Name(top)); s != nil {
		if rest == "" {
			return s
		}
		if m := s.Methods().ByName(protoreflect.Name(rest)); m != nil {
			return m
		}
		return nil
	}
	if e := f.Enums().ByName(protoreflect.Name(top)); e != nil && rest == "" {
		return e
	}
	return findIn(f.Messages().ByName(protoreflect.Name(top)), rest)
}

// findIn finds what is called rest in a message, or below it.
func findIn(m protoreflect.MessageDescriptor, rest string) protoreflect.Descriptor {
	if m == nil {
		return nil
	}
	name, below, _ := strings.Cut(rest, ".")
	switch {
	case name == "":
		return m
	case m.Fields().ByName(protoreflect.Name(name)) != nil && below == "":
		return m.Fields().ByName(protoreflect.Name(name))
	case m.Enums().ByName(protoreflect.Name(name)) != nil && below == "":
		return m.Enums().ByName(protoreflect.Name(name))
	}
	return findIn(m.Messages().ByName(protoreflect.Name(name)), below)
}
