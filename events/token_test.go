package events

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// told are the events of all changes, as the text of their claims.
func (w *world) told(t *testing.T, full bool) (all []string) {
	t.Helper()
	ctx := context.Background()
	if err := w.store.SequenceChanges(ctx); err != nil {
		t.Fatal(err)
	}
	p, err := w.tenant.Changes(ctx, 0, store.ChangeFilter{Types: Types(w.tenant, store.ChangeFilter{})}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	teller := NewTeller(w.tenant, testIssuer+"/scim/v2", full)
	for _, c := range p.Changes {
		e, ok := teller.Tell(c)
		if !ok {
			t.Fatalf("nothing is told of %v", c)
		}
		text, err := json.Marshal(e.Claims.Events)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.ReplaceAll(string(text), prefix, ""))
	}
	return all
}

// Each change is told as RFC 9967 wants it: with data or with names, never with both in
// one event, and never with what is not shown.
func TestTell(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ada := w.create(t, scim.User, `{"userName":"ada","name":{"givenName":"A","familyName":"L"},"password":"Hidden-1","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"d"}}`)
		group := w.create(t, scim.Group, `{"displayName":"g","members":[{"value":"%s"}]}`, ada)
		w.patch(t, scim.User, ada, `[{"op":"replace","path":"password","value":"Hidden-2"},{"op":"add","path":"active","value":false}]`)
		w.patch(t, scim.User, ada, `[{"op":"replace","path":"password","value":"Hidden-3"}]`)
		w.patch(t, scim.User, ada, `[{"op":"replace","path":"active","value":true},{"op":"remove","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"},{"op":"remove","path":"name.givenName"}]`)
		w.patch(t, scim.Group, group, `[{"op":"remove","path":"members[value eq \"`+ada+`\"]"}]`)
		if err := w.tenant.Delete(context.Background(), scim.User, ada, scim.Match{}); err != nil {
			t.Fatal(err)
		}
		const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
		notices := []string{
			`{"create:notice":{"version":"W/\"1\"","attributes":["id","name","` + enterprise + `:department","userName"]}}`,
			`{"create:notice":{"version":"W/\"1\"","attributes":["displayName","id","members"]}}`,
			`{"deactivate":{},"patch:notice":{"version":"W/\"2\"","attributes":["active","password"]}}`,
			`{"patch:notice":{"version":"W/\"3\"","attributes":["password"]}}`,
			`{"activate":{},"patch:notice":{"version":"W/\"4\"","attributes":["active","name","` + enterprise + `:department"]}}`,
			`{"patch:notice":{"version":"W/\"2\"","attributes":["members"]}}`,
			`{"delete":{}}`,
		}
		if got := w.told(t, false); !slices.Equal(got, notices) {
			t.Errorf("notices are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(notices, "\n"))
		}
		patch := func(operations string) string {
			return `"data":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operations + `]}}`
		}
		full := []string{
			`"password":`, `"members":[{"value":"` + ada + `"}]`, // the one must not, the other must be there
			`{"deactivate":{},"patch:full":{"version":"W/\"2\"",` + patch(`{"op":"replace","path":"active","value":false}`) + `,"patch:notice":{"version":"W/\"2\"","attributes":["password"]}}`,
			notices[3],
			`{"activate":{},"patch:full":{"version":"W/\"4\"",` + patch(`{"op":"replace","path":"active","value":true},{"op":"remove","path":"name"},{"op":"replace","path":"name","value":{"familyName":"L"}},{"op":"remove","path":"`+enterprise+`:department"}`) + `}`,
			`{"patch:full":{"version":"W/\"2\"",` + patch(`{"op":"remove","path":"members[value eq \"`+ada+`\"]"}`) + `}`,
			`{"delete":{}}`,
		}
		got := w.told(t, true)
		for i := range full {
			switch {
			case i == 0 && (strings.Contains(got[0], full[0]) || !strings.Contains(got[0], `"create:full"`)), i == 1 && !strings.Contains(got[1], full[1]):
				t.Errorf("a create is told as %s", got[i])
			case i > 1 && unescaped(got[i]) != unescaped(full[i]):
				t.Errorf("told\n%s\nwant\n%s", got[i], full[i])
			}
		}
		if strings.Contains(strings.Join(got, ""), "Hidden") {
			t.Errorf("a password is told: %s", got)
		}
	})
}

func unescaped(text string) string { return strings.ReplaceAll(text, `\`, "") }

// A new key is known before it signs, an old one stays known, and one that is not to be
// trusted is gone at once.
func TestRotate(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		sub := &store.Subscription{Handle: "h", Settings: store.SubscriptionSettings{Audience: []string{"a"}}}
		sign := func() string {
			t.Helper()
			_, token, err := w.tokens.Sign(ctx, "default", sub, &Event{Claims: Claims{Transaction: "1-2"}})
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		first := sign()
		if _, err := w.tokens.Rotate(ctx, false); err != nil {
			t.Fatal(err)
		}
		keys := w.published(t)
		if len(keys) != 2 || strings.Split(sign(), ".")[0] != strings.Split(first, ".")[0] {
			t.Errorf("%d keys; another signs already", len(keys))
		}
		if other := NewTokens(w.store, testIssuer, ""); len((&world{tokens: other}).published(t)) != 2 {
			t.Error("another server does not know both")
		}
		if _, err := w.tokens.Rotate(ctx, true); err != nil {
			t.Fatal(err)
		}
		keys = w.published(t)
		if _, err := verify(first, "a", keys); len(keys) != 1 || err == nil {
			t.Errorf("%d keys; what an old one has signed: %v", len(keys), err)
		}
		if _, err := verify(sign(), "a", keys); err != nil {
			t.Error(err)
		}
	})
}

// The server does not reach where an administrator of a tenant must not send it.
func TestMayReach(t *testing.T) {
	for address, want := range map[string][2]bool{ // without and with the operator's setting
		"93.184.216.34": {true, true}, "2606:2800:220:1::1": {true, true},
		"10.1.2.3": {false, true}, "192.168.0.1": {false, true}, "127.0.0.1": {false, true}, "::1": {false, true}, "fd00::1": {false, true}, "100.64.0.1": {false, true},
		"169.254.169.254": {false, false}, "fe80::1": {false, false}, "0.0.0.0": {false, false}, "::": {false, false}, "224.0.0.1": {false, false},
	} {
		for i, private := range []bool{false, true} {
			if err := mayReach(netip.MustParseAddr(address), private); (err == nil) != want[i] {
				t.Errorf("%s, private %v: %v", address, private, err)
			}
		}
	}
}

// What a receiver answers is understood, and its own secret is not repeated.
func TestSend(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	var answer atomic.Value // of http.HandlerFunc
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { answer.Load().(http.HandlerFunc)(w, req) }))
	defer r.Close()
	sub := &store.Subscription{Secret: "Bearer s3cret", Settings: store.SubscriptionSettings{Endpoint: r.URL}}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string // empty: accepted
		after  time.Duration
	}{
		"accepted":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }, "", 0},
		"also accepted": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "", 0},
		"refused": {func(w http.ResponseWriter, req *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"err":"access_denied","description":"I know ` + req.Header.Get("Authorization") + ` and s3cret"}`))
		}, "the receiver answers 400 Bad Request: access_denied: I know … and …", 0},
		"no JSON": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "secret page", http.StatusInternalServerError)
		}, "the receiver answers 500 Internal Server Error", 0},
		"redirect": {func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, other.URL, http.StatusTemporaryRedirect)
		}, "the receiver answers 307 Temporary Redirect; redirects are not followed", 0},
		"later": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, "the receiver answers 503 Service Unavailable", 7 * time.Second},
		"much later": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "99999999999")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "the receiver answers 429 Too Many Requests", time.Hour},
		"never": {func(_ http.ResponseWriter, req *http.Request) {
			select {
			case <-req.Context().Done():
			case <-time.After(2 * time.Second):
			}
		}, "the receiver does not answer in time", 0},
	} {
		answer.Store(test.answer)
		got := newPusher(Options{Private: true, Timeout: 500 * time.Millisecond}.orDefaults()).send(context.Background(), sub, "token")
		if got.accepted != (test.want == "") || got.reason != test.want || got.retryAfter != test.after {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := newPusher(Options{}.orDefaults()).send(context.Background(), sub, "token"); !strings.Contains(got.reason, "--events-private") {
		t.Errorf("a loopback address without the setting: %+v", got)
	}
	if elsewhere > 0 {
		t.Error("a redirect was followed")
	}
}
