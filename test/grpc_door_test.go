package test

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// grpcDoor is the generated client, over a socket. Bodies become messages, and
// messages answers, by protojson: the names of the contract are those of SCIM,
// so no code of ours stands between a case and what a client of any language
// sends and gets.
type grpcDoor struct {
	provisioning musterv1.ProvisioningServiceClient
	resources    musterv1.ResourceServiceClient
	discovery    musterv1.DiscoveryServiceClient
	reasons      map[string]reasonRow
}

func newGRPCDoor(t *testing.T, p *program, reasons map[string]reasonRow) grpcDoor {
	t.Helper()
	conn := p.dial(t)
	return grpcDoor{musterv1.NewProvisioningServiceClient(conn), musterv1.NewResourceServiceClient(conn), musterv1.NewDiscoveryServiceClient(conn), reasons}
}

func (d grpcDoor) ask(t *testing.T, s step) answer {
	t.Helper()
	verb, rt, id := s.target()
	if verb == "discover" {
		value, err := d.discover(bearing(cmp.Or(s.Token, token)), rt, id)
		return d.answer(t, value, err)
	}
	var service any = d.provisioning
	request := map[string]any{}
	if rt != "" && rt != "User" && rt != "Group" { // one that is registered
		service, request["resourceType"], rt = d.resources, rt, "Resource"
	}
	method := strings.ToUpper(verb[:1]) + verb[1:] + rt
	set := func(name string, value any) {
		if v := reflect.ValueOf(value); v.IsValid() && !v.IsZero() {
			request[name] = value
		}
	}
	set("id", id)
	set("ifMatch", s.IfMatch)
	set("filter", s.Filter)
	set("startIndex", s.StartIndex)
	set("count", s.Count)
	set("sortBy", s.SortBy)
	set("pageToken", s.Cursor)
	if s.SortOrder != "" {
		request["sortOrder"] = "SORT_ORDER_" + strings.ToUpper(s.SortOrder)
	}
	set(strings.ToLower(rt), inParts(s.Body, rt == "Resource"))
	if s.Attributes != "" {
		request["attributes"] = []string{s.Attributes}
	}
	if s.ExcludedAttributes != "" {
		request["excludedAttributes"] = []string{s.ExcludedAttributes}
	}
	switch verb {
	case "list":
		method += "s"
	case "search":
		if rt != "" { // by POST or not is a matter of HTTP
			verb, method = "list", "List"+rt+"s"
		}
	case "patch":
		request["operations"] = operations(s)
	}
	value, err := call(bearing(cmp.Or(s.Token, token)), t, service, method, request)
	if err != nil {
		return d.answer(t, nil, err)
	}
	value, _ = whole(value).(map[string]any)
	if verb == "list" || verb == "search" {
		return d.answer(t, listResponse(value, rt, s.Cursor != nil), nil)
	}
	resource, _ := value[strings.ToLower(rt)].(map[string]any)
	return d.answer(t, resource, nil)
}

// inParts is a body as the messages of the contract have it: what was registered at
// run time stands apart.
func inParts(body any, registered bool) any {
	sent, ok := body.(map[string]any)
	if !ok {
		return body
	}
	out, attributes, extensions := map[string]any{}, map[string]any{}, map[string]any{}
	for key, v := range sent {
		switch {
		case strings.HasPrefix(key, "urn:") && key != scim.User.Extensions[0].URN:
			extensions[key] = v
		case registered && !slices.Contains([]string{"schemas", "id", "externalId", "meta"}, key):
			attributes[key] = v
		default:
			out[key] = v
		}
	}
	if registered {
		out["attributes"] = attributes
	}
	if len(extensions) > 0 {
		out["extensions"] = extensions
	}
	return out
}

// whole is the inverse of inParts, for whatever an answer holds.
func whole(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = whole(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			parts, isObject := value.(map[string]any)
			if isObject && (key == "attributes" || key == "extensions") {
				maps.Copy(out, parts)
				continue
			}
			out[key] = whole(value)
		}
		return out
	}
	return v
}

// operations are those of a patch, in the words of the contract.
func operations(s step) (ops []map[string]any) {
	for _, op := range s.patch() {
		out := maps.Clone(op)
		out["op"] = "OP_" + strings.ToUpper(op["op"].(string))
		ops = append(ops, out)
	}
	return ops
}

// listResponse is a list in the words of RFC 7644 section 3.4.2 and RFC 9865
// section 2.
func listResponse(value map[string]any, rt string, byCursor bool) map[string]any {
	list := map[string]any{"schemas": []any{listURN}, "totalResults": 0.0, "startIndex": 0.0, "itemsPerPage": 0.0, "Resources": []any{}}
	for key, v := range value {
		switch key {
		case strings.ToLower(rt) + "s":
			key = "Resources"
		case "results":
			key, v = "Resources", resultsOf(v)
		case "nextPageToken":
			key = "nextCursor"
		}
		list[key] = v
	}
	// Over gRPC every page tells the token of the next, and a number that is 0 is
	// one that is absent.
	if !byCursor {
		delete(list, "nextCursor")
	} else if list["startIndex"] == 0.0 {
		delete(list, "startIndex")
	}
	return list
}

// resultsOf are the resources of search results, which are each under the name of
// its type.
func resultsOf(results any) (resources []any) {
	for _, r := range results.([]any) {
		for _, resource := range r.(map[string]any) {
			resources = append(resources, resource)
		}
	}
	return resources
}

// call calls a method of a generated client.
func call(ctx context.Context, t *testing.T, client any, method string, request map[string]any) (map[string]any, error) {
	t.Helper()
	m := reflect.ValueOf(client).MethodByName(method)
	if !m.IsValid() {
		t.Fatalf("there is no method %s", method)
	}
	req := reflect.New(m.Type().In(1).Elem())
	if err := protojson.Unmarshal([]byte(encoded(t, request)), req.Interface().(proto.Message)); err != nil {
		t.Fatalf("no %s can be made of %s: %v", method, encoded(t, request), err)
	}
	out := m.Call([]reflect.Value{reflect.ValueOf(ctx), req})
	if !out[1].IsNil() {
		return nil, out[1].Interface().(error)
	}
	data, err := protojson.Marshal(out[0].Interface().(proto.Message))
	if err != nil {
		t.Fatal(err)
	}
	var value map[string]any
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	return value, nil
}

// discover reads what describes the server. Its words for types and the like are
// those of the RFC only in JSON, so here scim prints the messages.
func (d grpcDoor) discover(ctx context.Context, what, id string) (map[string]any, error) {
	var data []byte
	var err error
	switch {
	case what == "ServiceProviderConfig":
		var r *musterv1.GetServiceProviderConfigResponse
		r, err = d.discovery.GetServiceProviderConfig(ctx, &musterv1.GetServiceProviderConfigRequest{})
		data = scim.AppendServiceProviderConfigJSON(nil, r.GetServiceProviderConfig(), "")
	case what == "ResourceTypes" && id != "":
		var r *musterv1.GetResourceTypeResponse
		r, err = d.discovery.GetResourceType(ctx, &musterv1.GetResourceTypeRequest{Id: id})
		data = scim.AppendResourceTypeJSON(nil, r.GetResourceType(), "")
	case what == "ResourceTypes":
		var r *musterv1.ListResourceTypesResponse
		r, err = d.discovery.ListResourceTypes(ctx, &musterv1.ListResourceTypesRequest{})
		data = appendAll(r.GetResourceTypes(), scim.AppendResourceTypeJSON)
	case id != "":
		var r *musterv1.GetSchemaResponse
		r, err = d.discovery.GetSchema(ctx, &musterv1.GetSchemaRequest{Id: id})
		data = scim.AppendSchemaJSON(nil, r.GetSchema(), "")
	default:
		var r *musterv1.ListSchemasResponse
		r, err = d.discovery.ListSchemas(ctx, &musterv1.ListSchemasRequest{})
		data = appendAll(r.GetSchemas(), scim.AppendSchemaJSON)
	}
	if err != nil {
		return nil, err
	}
	var value map[string]any
	err = json.Unmarshal(data, &value)
	return value, err
}

func appendAll[T any](items []T, appendItem func([]byte, T, string) []byte) []byte {
	n := len(items)
	return scim.AppendList(nil, scim.Page{Total: n, StartIndex: 1, ItemsPerPage: n}, n, func(dst []byte, i int) []byte { return appendItem(dst, items[i], "") })
}

// answer checks what is gRPC's own: the code that belongs to the reason, whose
// reason it is, and that there are no addresses, which only REST knows.
func (d grpcDoor) answer(t *testing.T, value map[string]any, err error) answer {
	t.Helper()
	if err == nil {
		value, _ = assigned(value).(map[string]any)
		if !reflect.DeepEqual(value, withoutAddresses(value)) {
			t.Errorf("an answer over gRPC has an address: %v", value)
		}
		return answer{value: value}
	}
	st := status.Convert(err)
	a := answer{value: map[string]any{"code": st.Code().String(), "detail": st.Message()}}
	for _, detail := range st.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == "muster" {
				a.reason, a.attribute = detail.GetReason(), detail.GetMetadata()["attribute"]
			}
		case *errdetails.BadRequest:
			if field := detail.GetFieldViolations()[0].GetField(); a.attribute == "" {
				a.attribute = field
			}
		}
	}
	if want := d.reasons[a.reason].code; st.Code().String() != want {
		t.Errorf("%q has the code %s, want %s: %v", a.reason, st.Code(), want, err)
	}
	return a
}

// isRelative tells whether it is the location of a resource of a registered type,
// to which the REST face adds its own address.
func isRelative(location any) bool {
	text, _ := location.(string)
	return strings.HasPrefix(text, "/")
}

// assigned is a copy without messages that hold nothing, and without empty
// addresses, which tell the REST face to leave one out: to a reader they are what
// an absent one is.
func assigned(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = assigned(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			m, isMessage := assigned(value).(map[string]any)
			if isMessage && len(m) == 0 || value == "" && (key == "$ref" || key == "location") || key == "location" && isRelative(value) {
				continue
			}
			out[key] = assigned(value)
		}
		return out
	}
	return v
}
