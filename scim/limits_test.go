package scim

import (
	"strings"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Each limit is enforced where it says, also for clients that take the RFC by its word
// and in the paths of patches.
func TestCatalog_Within(t *testing.T) {
	l := Limits{Body: 100, BulkOperations: 2, PatchOperations: 2, PageSize: 10, FilterLength: 40, FilterDepth: 2, FilterTerms: 2}
	for _, c := range []*Catalog{Contract.Within(l), Contract.Within(l).Strict(), Contract.Strict().Within(l)} {
		if c.Limits() != l {
			t.Errorf("the limits are %+v", c.Limits())
		}
		user := c.ResourceType("User")
		for filter, fits := range map[string]bool{
			`title eq "` + strings.Repeat("x", 29) + `"`: true, `title eq "` + strings.Repeat("x", 30) + `"`: false,
			`((title pr))`: true, `(((title pr)))`: false,
			`title pr or title pr`: true, `title pr or title pr or title pr`: false,
		} {
			if _, err := user.ParseFilter(filter); (err == nil) != fits || err != nil && ReasonOf(err) != InvalidFilter {
				t.Errorf("%s: %v", filter, err)
			}
			if _, err := ParseFilters(c.ResourceTypes(), filter); (err == nil) != fits {
				t.Errorf("%s, of all types: %v", filter, err)
			}
		}
		if _, err := user.ParsePath(`emails[((value pr))]`); ReasonOf(err) != InvalidFilter {
			t.Errorf("a path that nests too deep: %v", err)
		}
		if _, err := user.ParsePath("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber"); err != nil {
			t.Errorf("a path that is longer than a filter: %v", err)
		}
		op := &musterv1.PatchOperation{Op: opRemove, Path: "title"}
		if _, err := user.CompilePatch([]*musterv1.PatchOperation{op, op}); err != nil {
			t.Error(err)
		}
		if _, err := user.CompilePatch([]*musterv1.PatchOperation{op, op, op}); ReasonOf(err) != TooMany {
			t.Errorf("three operations: %v", err)
		}
	}
	for _, size := range []struct {
		operations, bytes int
		fits              bool
	}{{2, 100, true}, {3, 100, false}, {2, 101, false}} {
		if err := l.CheckBulk(size.operations, size.bytes); (err == nil) != size.fits {
			t.Errorf("%+v: %v", size, err)
		}
	}
	if _, err := DecodeBulk([]byte(`{"Operations":[{},{},{}]}`), l); ReasonOf(err) != PayloadTooLarge {
		t.Errorf("a bulk request of three: %v", err)
	}
	if Contract.Limits() != DefaultLimits() {
		t.Error("the contract's own limits have changed")
	}
}
