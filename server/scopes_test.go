package server

import (
	"strings"
	"testing"

	"github.com/muster-scim/muster/scim"
)

func TestPermits(t *testing.T) {
	for _, test := range []struct {
		scope        string
		action       action
		resourceType string
		want         bool
	}{
		{"scim", read, "User", true},
		{"scim", write, "Device", true},
		{"scim", discover, "", true},
		{"scim", admin, "", false},
		{"scim", adminRead, "", false},
		{"scim:read", read, "User", true},
		{"scim:read", write, "User", false},
		{"scim:write", write, "Group", true},
		{"scim:write", read, "Group", false},
		{"scim:read", write, "", false},
		{"scim:User", read, "User", true},
		{"scim:User", write, "User", true},
		{"scim:User", write, "Group", false},
		{"scim:User", write, "", true},
		{"scim:User:read", read, "User", true},
		{"scim:User:read", write, "User", false},
		{"scim:User:read", write, "", false},
		{"scim:User:read", read, "", true},
		{"scim:User:write", read, "User", false},
		{"scim:User:write", discover, "", true},
		{"scim:read:read", read, "User", false},
		{"scimmer", read, "User", false},
		{"admin", admin, "", true},
		{"admin", adminRead, "", true},
		{"admin", read, "User", false},
		{"admin", discover, "", false},
		{"admin:read", admin, "", false},
		{"admin:read", adminRead, "", true},
		{"", read, "", false},
	} {
		if got := permits([]string{test.scope}, test.action, test.resourceType); got != test.want {
			t.Errorf("%q, action %d on %q: %t", test.scope, test.action, test.resourceType, got)
		}
	}
}

func TestCheckScopes(t *testing.T) {
	for _, good := range []string{"scim", "scim:read", "scim:User", "scim:Device:write", "admin", "admin:read"} {
		if err := CheckScopes([]string{good}); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "SCIM", "scim:", "scim::read", "scim:User:", "scim:User:delete", "scim:User:read:x", "admin:write", "root", "scim admin"} {
		if CheckScopes([]string{bad}) == nil {
			t.Errorf("%q is let through", bad)
		}
	}
	if CheckScopes(nil) == nil || CheckScopes([]string{"scim", "scim"}) == nil {
		t.Error("none, or one twice, is let through")
	}
}

func TestCheckScopedTypes(t *testing.T) {
	for _, good := range []string{"scim", "scim:read", "scim:User", "scim:Group:write", "admin", "admin:read"} {
		if err := checkScopedTypes(scim.Contract, []string{good}); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"scim:Userx", "scim:Users:read", "scim:user", "scim:Device:write"} {
		err := checkScopedTypes(scim.Contract, []string{"scim:User", bad})
		if scim.ReasonOf(err) != scim.InvalidValue || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), "it has User, Group") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestParseAuthorization(t *testing.T) {
	for header, want := range map[string]shown{
		"Bearer x":           {bearerScheme, "", "x"},
		"bearer  Bearer x  ": {bearerScheme, "", "x"},
		"Basic YTpiOmM=":     {basicScheme, "a", "b:c"},
		"basic OmI=":         {basicScheme, "", "b"},
		"x":                  {directScheme, "", "x"},
		"Token x ":           {directScheme, "", "x"},
		"SSWS x":             {directScheme, "", "x"},
		"BearerX":            {directScheme, "", "BearerX"},
	} {
		if got, err := parseAuthorization(header); err != nil || got != want {
			t.Errorf("%q: %v, %v", header, got, err)
		}
	}
	for _, bad := range []string{"", " ", "Bearer", "Bearer x y", "Basic x", "Basic YQ==", "Basic YTo=", "a b c"} {
		if got, err := parseAuthorization(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func TestScopeWithin(t *testing.T) {
	for _, test := range []struct {
		scope  string
		others []string
		want   bool
	}{
		{"scim", []string{"scim"}, true},
		{"scim", []string{"scim:read", "scim:write"}, true},
		{"scim", []string{"scim:read"}, false},
		{"scim", []string{"scim:User", "scim:Group"}, false},
		{"scim", []string{"admin"}, false},
		{"scim:read", []string{"scim"}, true},
		{"scim:read", []string{"scim:write"}, false},
		{"scim:read", []string{"scim:User:read"}, false},
		{"scim:User", []string{"scim"}, true},
		{"scim:User", []string{"scim:User:read", "scim:User:write"}, true},
		{"scim:User", []string{"scim:User:read", "scim:write"}, true},
		{"scim:User", []string{"scim:Group"}, false},
		{"scim:User:write", []string{"scim:User"}, true},
		{"scim:User:write", []string{"scim:User:read"}, false},
		{"scim:User:write", []string{"scim:Group:write"}, false},
		{"admin", []string{"scim", "admin"}, true},
		{"admin", []string{"scim", "admin:read"}, false},
		{"admin:read", []string{"admin"}, true},
		{"admin:read", []string{"scim"}, false},
		{"admin:write", []string{"admin"}, false},
		{"openid", []string{"scim", "admin"}, false},
		{"", []string{"scim", "admin"}, false},
		{"scim:\x00", []string{"scim:\x00"}, true},
	} {
		if got := ScopeWithin(test.scope, test.others); got != test.want {
			t.Errorf("%q within %q: %v", test.scope, test.others, got)
		}
	}
}
