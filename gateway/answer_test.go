package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

func TestFace_Answers(t *testing.T) {
	c := &canned{header: metadata.Pairs("muster-tenant", "default")}
	h := newFace(t, c, Options{BaseURL: "https://id.example/scim/v2/"})
	group := &musterv1.Group{Id: "g1", DisplayName: "G", Meta: &musterv1.Meta{Version: `W/"9"`}}
	const patch = `{"Operations":[{"op":"remove","path":"x"}]}`
	for _, step := range []struct {
		method, target, body string
		answer               proto.Message
		code                 int
		want                 string
		headers              map[string]string
	}{
		{"GET", "Users/u1", "", &musterv1.GetUserResponse{User: ada}, 200, printedAda, map[string]string{"Etag": `W/"3"`, "Location": ""}},
		{"POST", "Users", `{}`, &musterv1.CreateUserResponse{User: ada}, 201, printedAda, map[string]string{"Etag": `W/"3"`, "Location": "https://id.example/scim/v2/Users/u1"}},
		{"PUT", "Users/u1", `{}`, &musterv1.ReplaceUserResponse{User: ada}, 200, printedAda, map[string]string{"Etag": `W/"3"`}},
		{"PATCH", "Users/u1", patch, &musterv1.PatchUserResponse{User: ada}, 200, printedAda, nil},
		{"DELETE", "Users/u1", "", nil, 204, "", map[string]string{"Content-Type": "", "Content-Length": ""}},
		{"PATCH", "Groups/g1", patch, &musterv1.PatchGroupResponse{Group: group}, 204, "", map[string]string{"Etag": `W/"9"`, "Content-Type": "", "Content-Length": ""}},
		{"PATCH", "Groups/g1?attributes=displayName", patch, &musterv1.PatchGroupResponse{Group: group}, 200,
			`{"id":"g1","meta":{"location":"https://id.example/scim/v2/Groups/g1","version":"W/\"9\""},"displayName":"G"}`, nil},
		{"GET", "Users", "", &musterv1.ListUsersResponse{Users: []*musterv1.User{ada}, TotalResults: 8, StartIndex: 2, ItemsPerPage: 1}, 200,
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":8,"startIndex":2,"itemsPerPage":1,"Resources":[` + printedAda + `]}`, map[string]string{"Etag": ""}},
		{"GET", "Users?startIndex=2", "", &musterv1.ListUsersResponse{TotalResults: 8, StartIndex: 2, NextPageToken: "aB-_"}, 200,
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":8,"startIndex":2,"itemsPerPage":0,"Resources":[]}`, nil},
		{"GET", "Users?cursor", "", &musterv1.ListUsersResponse{Users: []*musterv1.User{ada}, TotalResults: 8, ItemsPerPage: 1, NextPageToken: "aB-_"}, 200,
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":8,"itemsPerPage":1,"nextCursor":"aB-_","Resources":[` + printedAda + `]}`, nil},
		{"POST", ".search", `{"cursor":""}`, &musterv1.SearchResponse{Results: []*musterv1.SearchResult{
			{Resource: &musterv1.SearchResult_User{User: ada}}, {Resource: &musterv1.SearchResult_Group{Group: group}},
		}, TotalResults: 2, ItemsPerPage: 2}, 200,
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":2,"itemsPerPage":2,"Resources":[` + printedAda +
				`,{"id":"g1","meta":{"location":"https://id.example/scim/v2/Groups/g1","version":"W/\"9\""},"displayName":"G"}]}`, map[string]string{"Etag": "", "Location": ""}},
		{"GET", "Groups", "", &musterv1.ListGroupsResponse{StartIndex: 1}, 200,
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}`, nil},
		{"GET", "ResourceTypes", "", &musterv1.ListResourceTypesResponse{ResourceTypes: []*musterv1.ResourceType{scim.Group.Proto()}}, 200,
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"startIndex":1,"itemsPerPage":1,"Resources":[` +
				string(scim.AppendResourceTypeJSON(nil, scim.Group.Proto(), "https://id.example/scim/v2")) + `]}`, nil},
		{"GET", "Schemas/x", "", &musterv1.GetSchemaResponse{Schema: scim.Group.Schema.Proto()}, 200, string(scim.AppendSchemaJSON(nil, scim.Group.Schema.Proto(), "https://id.example/scim/v2")), nil},
	} {
		t.Run(step.method+" "+step.target, func(t *testing.T) {
			c.answer = step.answer
			r := ask(t, h, step.method, "/scim/v2/"+step.target, step.body)
			got := read(t, r)
			if r.StatusCode != step.code || got != step.want {
				t.Errorf("got %d %s\nwant %d %s", r.StatusCode, got, step.code, step.want)
			}
			if got != "" && (r.Header.Get("Content-Type") != scimJSON || r.Header.Get("Content-Length") != strconv.Itoa(len(got))) {
				t.Errorf("the headers are %v", r.Header)
			}
			for name, want := range step.headers {
				if r.Header.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, r.Header.Get(name), want)
				}
			}
			for name := range r.Header {
				if strings.HasPrefix(strings.ToLower(name), "muster") || strings.HasPrefix(name, "Grpc") {
					t.Errorf("the answer shows %s", name)
				}
			}
		})
	}
}

func TestFace_Conditions(t *testing.T) {
	c := &canned{answer: &musterv1.GetUserResponse{User: ada}}
	h := newFace(t, c, Options{})
	for tag, want := range map[string]int{
		`W/"3"`: 304, `"3"`: 304, `"1", W/"3"`: 304, "*": 304, `W/"4"`: 200, `3`: 200,
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r := ask(t, h, method, "/scim/v2/Users/u1", "", "If-None-Match", tag)
			if r.StatusCode != want || r.Header.Get("ETag") != `W/"3"` {
				t.Errorf("%s, %s: %d with ETag %s, want %d", method, tag, r.StatusCode, r.Header.Get("ETag"), want)
			}
			if body := read(t, r); want == 304 && (body != "" || r.Header.Get("Content-Type") != "") {
				t.Errorf("a 304 has a body: %q %v", body, r.Header)
			}
		}
	}
	for tag, want := range map[string]int{`W/"3"`: 200, `"2","3"`: 200, "*": 200, `W/"4"`: 412, "x": 412} {
		r := ask(t, h, http.MethodGet, "/scim/v2/Users/u1", "", "If-Match", tag)
		if want == 412 {
			checkProblem(t, r, 412, "")
		} else if r.StatusCode != want {
			t.Errorf("If-Match %s: %d, want %d", tag, r.StatusCode, want)
		}
	}
	c.answer = nil
	for method, body := range map[string]string{"PUT": `{}`, "PATCH": `{"Operations":[]}`, "DELETE": ""} {
		ask(t, h, method, "/scim/v2/Users/u1", body, "If-Match", `W/"1"`, "If-Match", `W/"2"`, "If-None-Match", "*")
		got := c.request.(interface {
			GetIfMatch() string
			GetIfNoneMatch() string
		})
		if got.GetIfMatch() != `W/"1",W/"2"` || got.GetIfNoneMatch() != "*" {
			t.Errorf("%s: the conditions are %v", method, got)
		}
	}
}

// What describes the server has no version but its content.
func TestFace_ConditionsOfDescriptions(t *testing.T) {
	c := &canned{answer: &musterv1.GetServiceProviderConfigResponse{ServiceProviderConfig: &musterv1.ServiceProviderConfig{}}}
	h := newFace(t, c, Options{})
	const path = "/scim/v2/ServiceProviderConfig"
	etag := ask(t, h, http.MethodGet, path, "").Header.Get("ETag")
	for tag, want := range map[string]int{etag: 304, "*": 304, `W/"x"`: 200} {
		r := ask(t, h, http.MethodGet, path, "", "If-None-Match", tag)
		if body := read(t, r); r.StatusCode != want || r.Header.Get("ETag") != etag || (body == "") != (want == 304) {
			t.Errorf("%s: %d %q with %v", tag, r.StatusCode, body, r.Header)
		}
	}
	c.answer = &musterv1.GetServiceProviderConfigResponse{ServiceProviderConfig: &musterv1.ServiceProviderConfig{DocumentationUri: "new"}}
	if r := ask(t, h, http.MethodGet, path, "", "If-None-Match", etag); r.StatusCode != http.StatusOK || r.Header.Get("ETag") == etag {
		t.Errorf("changed: %d with %v", r.StatusCode, r.Header)
	}
	c.answer, c.err = nil, failure(t, codes.NotFound, "muster", "notFound")
	if r := ask(t, h, http.MethodGet, path, "", "If-None-Match", "*"); r.StatusCode != http.StatusNotFound || r.Header.Get("ETag") != "" {
		t.Errorf("an error: %d with %v", r.StatusCode, r.Header)
	}
}

func TestFace_Head(t *testing.T) {
	c := &canned{answer: &musterv1.GetUserResponse{User: ada}}
	h := newFace(t, c, Options{BaseURL: "https://id.example/scim/v2"})
	r := ask(t, h, http.MethodHead, "/scim/v2/Users/u1", "")
	if body := read(t, r); body != "" || r.StatusCode != http.StatusOK || r.Header.Get("Content-Length") != strconv.Itoa(len(printedAda)) {
		t.Errorf("got %d %q with %v", r.StatusCode, body, r.Header)
	}
}

func TestFace_BaseURL(t *testing.T) {
	h := newFace(t, &canned{answer: &musterv1.CreateUserResponse{User: ada}}, Options{})
	for target, want := range map[string]string{
		"http://muster.test:8080/scim/v2/Users": "http://muster.test:8080/scim/v2/Users/u1",
		"https://muster.test/scim/v2/Users":     "https://muster.test/scim/v2/Users/u1",
	} {
		r := ask(t, h, http.MethodPost, target, `{}`)
		if got := r.Header.Get("Location"); got != want || !strings.Contains(read(t, r), `"location":"`+want+`"`) {
			t.Errorf("%s: the location is %s", target, got)
		}
	}
}
