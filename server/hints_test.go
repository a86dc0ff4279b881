package server

import (
	"strings"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// Each common mistake has its own hint, and what succeeds has none.
func TestHints(t *testing.T) {
	for _, test := range []struct {
		e    store.Exchange
		want string
	}{
		{store.Exchange{Status: 200, Cause: string(causeRevoked)}, ""},
		{store.Exchange{Status: 401, Cause: string(causeRevoked)}, "was revoked"},
		{store.Exchange{Status: 404, Kind: kindUnknown, Path: "/Users?count=1"}, "lacks /scim/v2"},
		{store.Exchange{Status: 404, Kind: kindUnknown, Path: "/scim/v2/scim/v2/Users"}, "twice"},
		{store.Exchange{Status: 404, Kind: kindUnknown, Path: "/scim/v2/ServiceProviderConfigs"}, "SCIM 1.1"},
		{store.Exchange{Status: 404, Kind: kindUnknown, Path: "/scim/v1/Users"}, "ends in /scim/v2"},
		{store.Exchange{Status: 404, Kind: kindUnknown, Path: "/scim/Users"}, "is cut"},
		{store.Exchange{Status: 404, Kind: kindUnknown, Path: "/SCIM/v2/Users"}, "letter case"},
		{store.Exchange{Status: 404, Kind: kindResources, Path: "/scim/v2/users"}, "letter case"},
		{store.Exchange{Status: 404, Kind: kindUsers, Path: "/scim/v2/Users/1"}, "not here"},
		{store.Exchange{Status: 404, Kind: kindUnknown, Path: "/"}, "bare address"},
		{store.Exchange{Status: 405, Path: "/scim/v2/Users"}, "too much at its end"},
		{store.Exchange{Status: 409, Reason: "uniqueness", Kind: kindUsers}, "same userName"},
		{store.Exchange{Status: 409, Reason: "uniqueness", Kind: kindResources}, "must be unique"},
		{store.Exchange{Status: 400, Reason: "invalidSyntax"}, "cannot be read"},
		{store.Exchange{Status: 400, Reason: "invalidFilter"}, "searches"},
		{store.Exchange{Status: 400, Reason: "invalidValue", Writes: true}, "mapping"},
		{store.Exchange{Status: 412}, "Nothing to mend"},
		{store.Exchange{Status: 413}, "--max-body"},
		{store.Exchange{Status: 415}, "Content-Type"},
		{store.Exchange{Status: 429}, "limits allow"},
		{store.Exchange{Status: 503}, "database"},
	} {
		test.e.Door = store.REST
		if got := hintFor(&test.e); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%d %s %s: %q, want %q", test.e.Status, test.e.Reason, test.e.Path, got, test.want)
		}
	}
}

// Each cause of the contract is one that the server knows, and has a hint.
func TestHints_OfEachCause(t *testing.T) {
	for number, name := range musterv1.LoggedExchange_Cause_name {
		if number == 0 {
			continue
		}
		of := cause(strings.ToLower(strings.TrimPrefix(name, "CAUSE_")))
		if of.message() != musterv1.LoggedExchange_Cause(number) || hintFor(&store.Exchange{Status: 401, Cause: string(of)}) == "" {
			t.Errorf("%s has no hint", name)
		}
	}
}
