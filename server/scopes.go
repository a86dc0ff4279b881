package server

import (
	"slices"
	"strings"

	"github.com/muster-scim/muster/scim"
)

// A scope is what a credential may do:
//
//	scim                  read and write resources of all types
//	scim:read scim:write  one of the two
//	scim:TYPE             read and write resources of one type, such as User
//	scim:TYPE:read …      one of the two
//	admin                 administer the tenant, and look at what concerns it
//	admin:read            look only
const (
	ScopeSCIM      = "scim"
	ScopeAdmin     = "admin"
	ScopeAdminRead = "admin:read"
)

// CheckScopes fails with InvalidValue where one is no scope, or there is none.
func CheckScopes(scopes []string) error {
	for i, s := range scopes {
		if slices.Contains(scopes[:i], s) {
			return scim.Errorf(scim.InvalidValue, "the scope %.80q is given twice", s).At("scopes")
		}
		if s == ScopeAdmin || s == ScopeAdminRead {
			continue
		}
		parts := strings.Split(s, ":")
		bad := parts[0] != ScopeSCIM || len(parts) > 3 || slices.Contains(parts, "") || strings.ContainsAny(s, " \t\r\n")
		if bad || len(parts) == 3 && parts[2] != "read" && parts[2] != "write" {
			return scim.Errorf(scim.InvalidValue, "%.80q is no scope; use scim, scim:read, scim:write, scim:TYPE, scim:TYPE:read, scim:TYPE:write, admin or admin:read", s).At("scopes")
		}
	}
	if len(scopes) == 0 {
		return scim.Errorf(scim.InvalidValue, "say what the credential may do: a scope such as scim or admin").At("scopes")
	}
	return nil
}

// checkScopedTypes fails with InvalidValue where a scope names a resource type that the
// catalog does not have: a name that is typed wrong would allow nothing, silently.
func checkScopedTypes(catalog *scim.Catalog, scopes []string) error {
	var known []string
	for _, rt := range catalog.ResourceTypes() {
		known = append(known, rt.Name)
	}
	for _, s := range scopes {
		area, rest, _ := strings.Cut(s, ":")
		name, _, _ := strings.Cut(rest, ":")
		if area != ScopeSCIM || name == "" || name == "read" || name == "write" || slices.Contains(known, name) {
			continue
		}
		return scim.Errorf(scim.InvalidValue, "the scope %.80q is for a resource type that the tenant does not have; it has %s", s, strings.Join(known, ", ")).At("scopes")
	}
	return nil
}

// permits tells whether one of the scopes allows an action on resources of a type;
// an empty type is any: whether there is one that it is allowed on.
func permits(scopes []string, a action, resourceType string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool { return permitsOne(s, a, resourceType) })
}

func permitsOne(scope string, a action, resourceType string) bool {
	area, rest, _ := strings.Cut(scope, ":")
	switch a {
	case admin:
		return scope == ScopeAdmin
	case adminRead:
		return area == ScopeAdmin
	case discover:
		return area == ScopeSCIM
	case read, write:
	case public, internal, signIn, own: // ask for no scope
	}
	if area != ScopeSCIM || a != read && a != write {
		return false
	}
	word := "read"
	if a == write {
		word = "write"
	}
	if rest == "" || rest == word {
		return true // for all types
	}
	if rest == "read" || rest == "write" {
		return false // the other one, for all types
	}
	ofType, only, _ := strings.Cut(rest, ":")
	return (resourceType == "" || ofType == resourceType) && (only == "" || only == word)
}

// everyType is the name of no resource type: what is allowed on it is so on all.
const everyType = "\x00"

// ScopeWithin tells whether a scope allows nothing that the others do not.
func ScopeWithin(scope string, others []string) bool {
	area, rest, _ := strings.Cut(scope, ":")
	switch {
	case CheckScopes([]string{scope}) != nil:
		return false
	case scope == ScopeAdmin:
		return permits(others, admin, "")
	case area == ScopeAdmin:
		return permits(others, adminRead, "")
	}
	ofType, only, _ := strings.Cut(rest, ":")
	if ofType == "read" || ofType == "write" {
		ofType, only = "", ofType
	}
	if ofType == "" {
		ofType = everyType
	}
	return (only == "write" || permits(others, read, ofType)) && (only == "read" || permits(others, write, ofType))
}

// withinScopes are those of the scopes that allow nothing which others do not.
func withinScopes(scopes, others []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !ScopeWithin(s, others) })
}
