package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// lastUse is what administrators see of the last use of the credential "user".
func lastUse(t *testing.T, s *Server) *musterv1.LastUse {
	t.Helper()
	got, err := musterv1.NewCredentialServiceClient(s.Conn()).GetCredential(as("boss"), &musterv1.GetCredentialRequest{Name: "user"})
	if err != nil {
		t.Fatal(err)
	}
	return got.GetCredential().GetLastUse()
}

func usedServer(t *testing.T) *Server {
	t.Helper()
	s, _ := newServer(t)
	tenant, err := s.store.Tenant(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	for name, scope := range map[string]string{"boss": ScopeAdmin, "user": "scim:User"} {
		hash := HashToken(name)
		if err := tenant.AddCredential(t.Context(), store.Credential{Name: name, Kind: store.Bearer, Scopes: []string{scope}}, hash[:]); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestLastUse_WrittenInTheBackground(t *testing.T) {
	s := usedServer(t)
	s.uses.every = 20 * time.Millisecond
	if used := lastUse(t, s); used != nil {
		t.Fatalf("it is used already: %v", used)
	}
	for _, agent := range []string{"first/1", "bad\x00\xff" + strings.Repeat("é", maxAgent)} {
		before := time.Now().Add(-time.Second)
		ctx := metadata.AppendToOutgoingContext(as("user"), addressKey, "192.0.2.7", agentKey, agent)
		if _, err := musterv1.NewProvisioningServiceClient(s.Conn()).ListUsers(ctx, &musterv1.ListUsersRequest{}); err != nil {
			t.Fatal(err)
		}
		want := "first/1"
		if agent != want {
			want = "bad" + strings.Repeat("é", (maxAgent-5)/2)
		}
		for deadline := time.Now().Add(10 * time.Second); lastUse(t, s).GetClient() != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the last use is %v", lastUse(t, s))
			}
		}
		if used := lastUse(t, s); used.GetAddress() != "192.0.2.7" || used.GetTime().AsTime().Before(before) || used.GetTime().AsTime().After(time.Now()) {
			t.Errorf("the last use is %v", used)
		}
	}
}

func TestLastUse_WrittenAtTheEnd(t *testing.T) {
	s := usedServer(t)
	if err := lists(s, "user"); err != nil {
		t.Fatal(err)
	}
	if err := lists(s, "user-that-is-wrong"); err == nil {
		t.Fatal("a wrong token is good")
	}
	if used := lastUse(t, s); used != nil {
		t.Errorf("a call waits for its last use: %v", used)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if used := lastUse(t, s); used == nil {
		t.Error("the last use is lost")
	}
}

// What the database does not take is kept, and written later; the newest stays.
func TestLastUse_NotWritten(t *testing.T) {
	s := usedServer(t)
	if err := lists(s, "user"); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.uses.flush(ended); err == nil {
		t.Skip("the write was faster than its end")
	}
	if len(s.uses.of) != 1 {
		t.Errorf("%d are remembered", len(s.uses.of))
	}
	if err := s.uses.flush(t.Context()); err != nil || lastUse(t, s) == nil {
		t.Errorf("written again: %v, %v", lastUse(t, s), err)
	}
}

func TestLastUse_Bounded(t *testing.T) {
	s := usedServer(t)
	for id := range int64(maxUses + 100) {
		s.uses.note(&call{principal: store.Principal{ID: 1000 + id}})
	}
	if len(s.uses.of) != maxUses {
		t.Errorf("%d are remembered", len(s.uses.of))
	}
	s.uses.note(&call{principal: store.Principal{ID: 1000}, agent: "newer"})
	if s.uses.of[1000].agent != "newer" {
		t.Error("a newer use of one that is remembered is forgotten")
	}
}
