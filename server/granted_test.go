package server

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// An access token lets in with its own scopes, as far as its client has them still.
func TestAccessToken_HasNoMoreThanItsClient(t *testing.T) {
	s, _ := newServer(t)
	ctx := context.Background()
	p, err := s.store.Authenticate(ctx, HashToken(token))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Tenant.AddCredential(ctx, store.Credential{Name: "c", Kind: store.OAuth, Scopes: []string{"scim:User"}, Lookup: store.OAuthLookup("c")}, nil); err != nil {
		t.Fatal(err)
	}
	client, err := s.store.OAuthClient(ctx, "c")
	if err != nil {
		t.Fatal(err)
	}
	provisioning := musterv1.NewProvisioningServiceClient(s.Conn())
	for scope, want := range map[string][2]string{ // of a list of users, and of groups
		"scim:User":      {"", "forbidden"},
		"scim:User:read": {"", "forbidden"},
		"scim:Group":     {"forbidden", "forbidden"}, // the client has lost it
		"scim":           {"forbidden", "forbidden"},
	} {
		if err := s.store.IssueToken(ctx, client.ID, store.Token{Purpose: store.AccessToken, Hash: HashToken(scope), Scopes: []string{scope}, Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		as := metadata.NewOutgoingContext(ctx, metadata.Pairs("authorization", "Bearer "+scope))
		_, users := provisioning.ListUsers(as, &musterv1.ListUsersRequest{})
		_, groups := provisioning.ListGroups(as, &musterv1.ListGroupsRequest{})
		if got := [2]string{reasonOf(users), reasonOf(groups)}; got != want {
			t.Errorf("%s: %q, want %q", scope, got, want)
		}
	}
}
