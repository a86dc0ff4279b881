package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func TestFace_Paths(t *testing.T) {
	c := &canned{}
	h := newFace(t, c, Options{})
	for path, want := range map[string]struct {
		rpc, id string
		code    int
	}{
		"/scim/v2/Users":              {rpc: "ListUsers"},
		"/scim/v2/Users/":             {rpc: "ListUsers"},
		"/scim/v2//Users":             {rpc: "ListUsers"},
		"//scim//v2/Users//":          {rpc: "ListUsers"},
		"/scim/v2/Users?":             {rpc: "ListUsers"},
		"/scim/v2/Users?count=1&":     {rpc: "ListUsers"},
		"/scim/v2/Users/u1/":          {rpc: "GetUser", id: "u1"},
		"/scim/v2/Users/a%20b%3A%25c": {rpc: "GetUser", id: "a b:%c"},
		"/scim/v2/Groups/g":           {rpc: "GetGroup", id: "g"},
		"/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User":               {rpc: "GetSchema", id: "urn:ietf:params:scim:schemas:core:2.0:User"},
		"/scim/v2/Schemas/urn%3Aietf%3Aparams%3Ascim%3Aschemas%3Acore%3A2.0%3AUser": {rpc: "GetSchema", id: "urn:ietf:params:scim:schemas:core:2.0:User"},
		"/scim/v2/ResourceTypes/User":                                               {rpc: "GetResourceType", id: "User"},
		"/scim/v2/ServiceProviderConfig":                                            {rpc: "GetServiceProviderConfig"},
		// Perhaps registered at run time: the core knows.
		"/scim/v2/Devices":    {rpc: "ListResources"},
		"/scim/v2/Devices/d1": {rpc: "GetResource", id: "d1"},
		"/scim/v2/users":      {rpc: "ListResources"},

		"/":                                {code: 404},
		"/scim/v2":                         {code: 404},
		"/scim/v1/Users":                   {code: 404},
		"/Users":                           {code: 404},
		"/scim/v2/ServiceProviderConfigs":  {code: 404},
		"/scim/v2/ServiceProviderConfig/x": {code: 404},
		"/scim/v2/Users/u1/x":              {code: 404},
		"/scim/v2/Users/a%2Fb":             {code: 404},
		"/scim/v2/Users/..":                {code: 404},
		"/scim/v2/Users/%2e%2e/Groups":     {code: 404},
		"/scim/v2/./Users":                 {code: 404},
		"/scim/v2/Users/.search":           {code: 404},
		"/scim/v2/.search":                 {code: 404},
		"/scim/v2/Me":                      {code: 501},
		"/scim/v2/Bulk":                    {code: 405},
		"/scim/v2/Bulk/x":                  {code: 404},
	} {
		t.Run(path, func(t *testing.T) {
			*c = canned{}
			r := ask(t, h, http.MethodGet, path, "")
			if want.code != 0 {
				checkProblem(t, r, want.code, "")
				if c.calls != 0 {
					t.Errorf("it called %s", c.method)
				}
				return
			}
			if !strings.HasSuffix(c.method, "/"+want.rpc) {
				t.Fatalf("it called %q with answer %d %s", c.method, r.StatusCode, read(t, r))
			}
			if q, ok := c.request.(interface{ GetId() string }); ok && q.GetId() != want.id {
				t.Errorf("the id is %q, want %q", q.GetId(), want.id)
			}
		})
	}
}

func TestFace_NotBuilt(t *testing.T) {
	h := newFace(t, &canned{}, Options{})
	for _, path := range []string{"/scim/v2/Me"} {
		checkProblem(t, ask(t, h, http.MethodPost, path, `{}`), 501, "")
	}
}

// The front and http.yaml must agree on what can be done where.
func TestFace_Methods(t *testing.T) {
	rules, err := os.ReadFile("http.yaml")
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string][]string{}
	for _, m := range regexp.MustCompile(`(get|post|put|patch|delete): (?:"([^"]+)"|([^",}]+))`).FindAllStringSubmatch(string(rules), -1) {
		path := strings.NewReplacer("{id}", "x", "{resource_type}", "Devices").Replace(m[2] + m[3])
		if !strings.HasPrefix(path, basePath) {
			continue // administration: grpc-gateway itself knows its methods
		}
		allowed[path] = append(allowed[path], strings.ToUpper(m[1]))
	}
	if len(allowed) != 16 {
		t.Fatalf("http.yaml has %d paths: %v", len(allowed), allowed)
	}
	h := newFace(t, &canned{}, Options{})
	for path, methods := range allowed {
		if slices.Contains(methods, "GET") {
			methods = append(methods, "HEAD")
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			r := ask(t, h, method, path, `{"Operations":[{"op":"add","value":{}}]}`)
			if strings.HasSuffix(path, ".search") && method != http.MethodPost {
				if r := ask(t, h, method, path, `{}`); r.StatusCode != http.StatusNotFound {
					t.Errorf("%s %s: %d", method, path, r.StatusCode)
				}
				continue
			}
			known := slices.Contains(methods, method)
			if known == (r.StatusCode == http.StatusMethodNotAllowed) {
				t.Errorf("%s %s: %d", method, path, r.StatusCode)
			}
			if known {
				continue
			}
			got := strings.Split(r.Header.Get("Allow"), ", ")
			want := slices.Clone(methods)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: Allow names %v, want %v", path, got, want)
			}
		}
	}
}

func TestFace_Query(t *testing.T) {
	c := &canned{}
	h := newFace(t, c, Options{})
	list := func(filter string, start, count int32, attributes ...string) *musterv1.ListUsersRequest {
		q := &musterv1.ListUsersRequest{Filter: filter, Attributes: attributes}
		if start != 0 {
			q.StartIndex = &start
		}
		if count != 0 {
			q.Count = &count
		}
		return q
	}
	text := func(s string) *string { return &s }
	number := func(n int32) *int32 { return &n }
	for query, want := range map[string]*musterv1.ListUsersRequest{
		"":                                 list("", 0, 0),
		"&&":                               list("", 0, 0),
		"filter=userName+eq+%22a%26b%22":   list(`userName eq "a&b"`, 0, 0),
		"filter=userName%20eq%20%22a;b%22": list(`userName eq "a;b"`, 0, 0),
		`filter=emails[type eq "work"]`:    list(`emails[type eq "work"]`, 0, 0),
		"startindex=3&COUNT=5&":            list("", 3, 5),
		"startIndex=-7&count=-1":           list("", -7, -1),
		"startIndex=99999999999999999999":  list("", 1<<31-1, 0),
		"count=-99999999999999999999":      list("", 0, -1<<31),
		"count=3000000000":                 list("", 0, 1<<31-1),
		"count=":                           list("", 0, 0),
		"x=1&id=7&pageToken=x&page_token=": list("", 0, 0),
		"sortBy=name.givenName&sortOrder=Descending": {SortBy: "name.givenName", SortOrder: musterv1.SortOrder_SORT_ORDER_DESCENDING},
		"SORTBY=userName&sortorder=ascending":        {SortBy: "userName", SortOrder: musterv1.SortOrder_SORT_ORDER_ASCENDING},
		"cursor":                                     {PageToken: text("")},
		"cursor=&count=5":                            {PageToken: text(""), Count: number(5)},
		"Cursor=aB-_&startIndex=2":                   {PageToken: text("aB-_"), StartIndex: number(2)},
		"attributes=userName,emails&attributes=name": list("", 0, 0, "userName,emails", "name"),
		"attributes=urn%3Aietf%3Ax":                  list("", 0, 0, "urn:ietf:x"),
		"excludedattributes=groups":                  {ExcludedAttributes: []string{"groups"}},
	} {
		target := "/scim/v2/Users?" + strings.ReplaceAll(query, " ", "%20")
		if r := ask(t, h, http.MethodGet, target, ""); r.StatusCode != http.StatusOK || !proto.Equal(c.request, want) {
			t.Errorf("%s: %d, asks for %v, want %v", query, r.StatusCode, c.request, want)
		}
	}
	for query, scimType := range map[string]string{
		"count=abc": "invalidCount", "count=1.5": "invalidCount", "startIndex=abc": "invalidValue", "startIndex=%zz": "invalidValue",
		"filter=a&filter=b": "invalidValue", "count=1&Count=2": "invalidValue", "cursor&cursor=": "invalidValue", "sortOrder=up": "invalidValue",
	} {
		checkProblem(t, ask(t, h, http.MethodGet, "/scim/v2/Users?"+query, ""), 400, scimType)
	}
}

// A search by POST asks what the same query by GET does.
func TestFace_Search(t *testing.T) {
	c := &canned{}
	h := newFace(t, c, Options{})
	text := func(s string) *string { return &s }
	number := func(n int32) *int32 { return &n }
	body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"Attributes":["userName","emails"],"FILTER":"title pr",` +
		`"sortby":"userName","sortOrder":"Descending","startIndex":"2","count":10,"cursor":""}`
	for path, want := range map[string]proto.Message{
		"/scim/v2/.search": &musterv1.SearchRequest{Attributes: []string{"userName", "emails"}, Filter: "title pr", SortBy: "userName",
			SortOrder: musterv1.SortOrder_SORT_ORDER_DESCENDING, StartIndex: number(2), Count: number(10), PageToken: text("")},
		"/scim/v2/Users/.search": &musterv1.ListUsersRequest{Attributes: []string{"userName", "emails"}, Filter: "title pr", SortBy: "userName",
			SortOrder: musterv1.SortOrder_SORT_ORDER_DESCENDING, StartIndex: number(2), Count: number(10), PageToken: text("")},
		"/scim/v2/Devices/.search": &musterv1.ListResourcesRequest{ResourceType: "Devices", Attributes: []string{"userName", "emails"}, Filter: "title pr", SortBy: "userName",
			SortOrder: musterv1.SortOrder_SORT_ORDER_DESCENDING, StartIndex: number(2), Count: number(10), PageToken: text("")},
		"/scim/v2//Groups/.search/?count=abc&cursor=x": &musterv1.ListGroupsRequest{Attributes: []string{"userName", "emails"}, Filter: "title pr", SortBy: "userName",
			SortOrder: musterv1.SortOrder_SORT_ORDER_DESCENDING, StartIndex: number(2), Count: number(10), PageToken: text("")},
	} {
		c.request = nil
		if r := ask(t, h, http.MethodPost, path, body); r.StatusCode != http.StatusOK || !proto.Equal(c.request, want) {
			t.Errorf("%s: %d, asks for %v, want %v", path, r.StatusCode, c.request, want)
		}
		checkProblem(t, ask(t, h, http.MethodPost, path, `{"count":"x"}`), 400, "invalidCount")
		checkProblem(t, ask(t, h, http.MethodPost, path, `[]`), 400, "invalidSyntax")
		checkProblem(t, ask(t, h, http.MethodPost, path, ""), 400, "invalidSyntax")
	}
}

func TestFace_QueryElsewhere(t *testing.T) {
	c := &canned{}
	h := newFace(t, c, Options{})
	for _, path := range []string{"ServiceProviderConfig", "Schemas", "ResourceTypes", "ResourceTypes/User"} {
		checkProblem(t, ask(t, h, http.MethodGet, "/scim/v2/"+path+"?Filter=x", ""), 403, "")
		if r := ask(t, h, http.MethodGet, "/scim/v2/"+path+"?count=abc&sortBy=x&attributes=id", ""); r.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	// Writes know attributes, and no parameter can reach another field.
	ask(t, h, http.MethodPut, "/scim/v2/Users/u1?attributes=id&id=u2&ifMatch=x&if_match=x&user.userName=eve&filter=x", `{"userName":"ada"}`)
	want := &musterv1.ReplaceUserRequest{Id: "u1", User: &musterv1.User{UserName: "ada"}, Attributes: []string{"id"}}
	if !proto.Equal(c.request, want) {
		t.Errorf("asks for %v, want %v", c.request, want)
	}
}

// Whatever a client asks for, it gets one of the answers of RFC 7644, and never
// a redirect.
func FuzzFace_Target(f *testing.F) {
	for _, target := range []string{"/scim/v2/Users?count=1&", "//scim/v2/Users/u1?attributes=a,b", "/scim/v2/Schemas/urn:x%3Ay", "/scim/v2/Users/%2e%2e", "/scim/v2/Users?filter=%"} {
		f.Add(http.MethodGet, target)
	}
	h := newFace(f, &canned{}, Options{})
	f.Fuzz(func(t *testing.T, method, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || method == "" {
			return // net/http refuses it
		}
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(`{}`))
		r.Method, r.URL = method, u
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch w.Code {
		case 200, 201, 204, 400, 403, 404, 405, 501:
		default:
			t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
	})
}

func TestOfTenant(t *testing.T) {
	for _, test := range [][3]string{
		{"https://example.com/scim/v2", "", "https://example.com/scim/v2"},
		{"https://example.com/scim/v2", "acme", "https://example.com/t/acme/scim/v2"},
		{"https://example.com/below/scim/v2", "acme", "https://example.com/below/t/acme/scim/v2"},
		{"https://acme.example.com", "acme", "https://acme.example.com"}, // a proxy's own addresses
		{"/scim/v2", "acme", "/t/acme/scim/v2"},
	} {
		if got := ofTenant(test[0], test[1]); got != test[2] {
			t.Errorf("%s of %q is %s, want %s", test[0], test[1], got, test[2])
		}
	}
}
