package reference

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/muster-scim/muster/gateway"
)

var (
	//go:embed style.css
	style string
	//go:embed grpc.html
	grpcTemplate string
	//go:embed rest.html
	restTemplate string
)

// page renders a page. It loads nothing and runs nothing: all that a browser may use is
// its one style, by its hash.
func page(source string, data any) (gateway.Page, error) {
	t, err := template.New("page").Funcs(template.FuncMap{"style": func() template.CSS { return template.CSS(style) }}).Parse(source) //nolint:gosec // it is ours
	if err != nil {
		return gateway.Page{}, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return gateway.Page{}, err
	}
	sum := sha256.Sum256([]byte(style))
	return gateway.Page{
		ContentType: "text/html; charset=utf-8", Body: out.Bytes(),
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}, nil
}

// What the page of the gRPC services shows.
type (
	grpcService struct {
		Name, Comment string
		Methods       []grpcMethod
	}
	grpcMethod struct {
		Name, Comment                string
		Request, Answer              typeName
		ClientStreams, ServerStreams bool
	}
	grpcMessage struct {
		Name, Comment string
		Fields        []grpcField
	}
	grpcField struct {
		Name, Label, Comment string
		Type                 typeName
	}
	grpcEnum struct {
		Name, Comment string
		Values        []grpcField
	}
	// A typeName is the name of a type, and where the page explains it, if it does.
	typeName struct{ Name, Anchor string }
)

const ourPackage = "muster.v1."

// typeNamed is the name of a message or enum, without our package.
func typeNamed(name protoreflect.FullName) typeName {
	short, ours := strings.CutPrefix(string(name), ourPackage)
	if !ours {
		return typeName{Name: short}
	}
	return typeName{short, short}
}

func grpcPage(c commented) (gateway.Page, error) {
	var data struct {
		Services []grpcService
		Messages []grpcMessage
		Enums    []grpcEnum
	}
	var messages func(protoreflect.MessageDescriptors)
	enums := func(all protoreflect.EnumDescriptors) {
		for i := range all.Len() {
			data.Enums = append(data.Enums, describeEnum(all.Get(i)))
		}
	}
	messages = func(all protoreflect.MessageDescriptors) {
		for i := range all.Len() {
			if m := all.Get(i); !m.IsMapEntry() {
				data.Messages = append(data.Messages, describeMessage(m))
				enums(m.Enums())
				messages(m.Messages())
			}
		}
	}
	for _, f := range c {
		for i := range f.Services().Len() {
			data.Services = append(data.Services, describeService(f.Services().Get(i)))
		}
		messages(f.Messages())
		enums(f.Enums())
	}
	slices.SortFunc(data.Services, func(a, b grpcService) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(data.Messages, func(a, b grpcMessage) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(data.Enums, func(a, b grpcEnum) int { return strings.Compare(a.Name, b.Name) })
	return page(grpcTemplate, data)
}

func describeService(s protoreflect.ServiceDescriptor) grpcService {
	out := grpcService{Name: string(s.Name()), Comment: comment(s)}
	for i := range s.Methods().Len() {
		m := s.Methods().Get(i)
		out.Methods = append(out.Methods, grpcMethod{
			string(m.Name()), comment(m), typeNamed(m.Input().FullName()), typeNamed(m.Output().FullName()), m.IsStreamingClient(), m.IsStreamingServer(),
		})
	}
	return out
}

func describeMessage(m protoreflect.MessageDescriptor) grpcMessage {
	out := grpcMessage{Name: typeNamed(m.FullName()).Name, Comment: comment(m)}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		field := grpcField{Name: string(f.Name()), Comment: comment(f), Type: typeOf(f)}
		switch {
		case f.IsMap():
			field.Label, field.Type = "map of "+f.MapKey().Kind().String()+" to", typeOf(f.MapValue())
		case f.IsList():
			field.Label = "repeated"
		case f.ContainingOneof() != nil && !f.ContainingOneof().IsSynthetic():
			field.Label = "one of " + string(f.ContainingOneof().Name())
		case f.HasOptionalKeyword():
			field.Label = "optional"
		}
		out.Fields = append(out.Fields, field)
	}
	return out
}

func typeOf(f protoreflect.FieldDescriptor) typeName {
	switch {
	case f.Message() != nil:
		return typeNamed(f.Message().FullName())
	case f.Enum() != nil:
		return typeNamed(f.Enum().FullName())
	}
	return typeName{Name: f.Kind().String()}
}

func describeEnum(e protoreflect.EnumDescriptor) grpcEnum {
	out := grpcEnum{Name: typeNamed(e.FullName()).Name, Comment: comment(e)}
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		out.Values = append(out.Values, grpcField{Name: string(v.Name()), Comment: comment(v)})
	}
	return out
}

// restOperation is an operation as the page of the REST face shows it.
type restOperation struct {
	*operation

	Method, Path string
	Statuses     []string
	Sends        []string // media types
}

func restPage(d *document) (gateway.Page, error) {
	byTag := make(map[string][]restOperation)
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			o := d.Paths[path][method]
			if o == nil {
				continue
			}
			r := restOperation{Method: strings.ToUpper(method), Path: path, operation: o, Statuses: slices.Sorted(maps.Keys(o.Responses))}
			if o.Body != nil {
				r.Sends = slices.Sorted(maps.Keys(o.Body.Content))
			}
			byTag[o.Tags[0]] = append(byTag[o.Tags[0]], r)
		}
	}
	return page(restTemplate, map[string]any{"Document": d, "Operations": byTag, "Location": DocumentPath, "GRPC": GRPCPath})
}
