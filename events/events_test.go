package events

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
	testpostgres "github.com/muster-scim/muster/test/postgres"
)

// onBoth runs a test on a database of each kind.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { test(t, newWorld(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newWorld(t, testpostgres.URL(t))) })
}

// world is a database with a tenant, as one server sees it.
type world struct {
	url    string
	store  *store.Store
	tenant store.Tenant
	tokens *Tokens
}

const testIssuer = "https://scim.example.com"

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	ctx := context.Background()
	st := openStore(t, url)
	if _, err := st.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Bootstrap(ctx, "default", "test", sha256.Sum256([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	tenant, err := st.Tenant(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	return &world{url, st, tenant, NewTokens(st, testIssuer, testIssuer+"/scim/v2")}
}

func openStore(t *testing.T, url string) *store.Store {
	t.Helper()
	st, err := store.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func (w *world) create(t *testing.T, rt *scim.ResourceType, format string, args ...any) string {
	t.Helper()
	r, err := rt.DecodeJSON(fmt.Appendf(nil, format, args...))
	if err == nil {
		err = rt.Prepare(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r, err = w.tenant.Create(context.Background(), rt, r, false); err != nil {
		t.Fatal(err)
	}
	return r.GetId()
}

func (w *world) patch(t *testing.T, rt *scim.ResourceType, id, operations string) {
	t.Helper()
	ops, err := scim.DecodePatch([]byte(`{"Operations":` + operations + `}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := rt.CompilePatch(ops)
	if err == nil {
		_, err = w.tenant.Update(context.Background(), rt, id, scim.Match{}, c, false)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// subscribe makes a subscription that begins with the first change.
func (w *world) subscribe(t *testing.T, sub store.Subscription) store.Subscription {
	t.Helper()
	beginning := int64(0)
	made, err := w.tenant.AddSubscription(context.Background(), sub, &beginning)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (w *world) subscription(t *testing.T, name string) store.Subscription {
	t.Helper()
	sub, err := w.tenant.Subscription(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// quick are options with which a test does not take long.
func quick(r *receiver) Options {
	return Options{
		Private: true, TLS: &tls.Config{RootCAs: r.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12},
		Timeout: 300 * time.Millisecond, FirstWait: 5 * time.Millisecond, LongestWait: 50 * time.Millisecond, Look: 20 * time.Millisecond, Lease: 3 * time.Second, Attempts: 1000,
	}
}

// deliver begins a delivery; stop ends it.
func (w *world) deliver(t *testing.T, o Options) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	d := NewDelivery(w.store, w.tokens, o)
	go func() { defer close(done); d.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// A receiver is told of events, and verifies each with a library that has not made it.
type receiver struct {
	t       *testing.T
	server  *httptest.Server
	keys    func() map[string]*ecdsa.PublicKey
	mu      sync.Mutex
	tokens  []jwt.MapClaims // as they came, once each
	seen    map[string]bool
	repeats int
	refuse  func(w http.ResponseWriter, claims jwt.MapClaims) bool // nil: never
	want    string                                                 // the header Authorization
	present int
}

func newReceiver(t *testing.T, w *world) *receiver {
	t.Helper()
	r := &receiver{t: t, seen: make(map[string]bool), keys: func() map[string]*ecdsa.PublicKey { return w.published(t) }}
	r.server = httptest.NewTLSServer(r)
	t.Cleanup(r.server.Close)
	return r
}

// published are the keys as a receiver reads them.
func (w *world) published(t *testing.T) map[string]*ecdsa.PublicKey {
	keys, err := w.tokens.Published(context.Background())
	if err != nil {
		t.Error(err)
	}
	all := make(map[string]*ecdsa.PublicKey)
	for _, k := range keys {
		x, _ := base64.RawURLEncoding.DecodeString(k.GetX())
		y, _ := base64.RawURLEncoding.DecodeString(k.GetY())
		point := slices.Concat([]byte{4}, x, y)
		if all[k.GetKid()], err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); err != nil {
			t.Error(err)
		}
	}
	return all
}

// verify checks a token as a receiver should.
func verify(token, audience string, keys map[string]*ecdsa.PublicKey) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		k := keys[fmt.Sprint(t.Header["kid"])]
		if k == nil {
			return nil, errors.New("an unknown key")
		}
		return k, nil
	}, jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(testIssuer), jwt.WithAudience(audience), jwt.WithIssuedAt())
	if err == nil && parsed.Header["typ"] != "secevent+jwt" {
		err = fmt.Errorf("the type is %v", parsed.Header["typ"])
	}
	return claims, err
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.present++
	r.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	claims, err := verify(string(body), "hr", r.keys())
	if err != nil || req.Header.Get("Content-Type") != "application/secevent+jwt" || req.Header.Get("Accept") != "application/json" || req.Header.Get("Authorization") != r.want {
		r.t.Errorf("%v, %v: %s", err, req.Header, body)
	}
	if r.refuse != nil && r.refuse(w, claims) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if id := claims["jti"].(string); r.seen[id] {
		r.repeats++
	} else {
		r.seen[id] = true
		r.tokens = append(r.tokens, claims)
	}
	w.WriteHeader(http.StatusAccepted)
}

func (r *receiver) got() []jwt.MapClaims {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tokens)
}

// until waits until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is not so: %s", what)
		}
	}
}

func uriOf(c jwt.MapClaims) string { return c["sub_id"].(map[string]any)["uri"].(string) }

// versions are those that came of each resource, in the order in which they came.
func versions(all []jwt.MapClaims) map[string][]string {
	out := make(map[string][]string)
	for _, c := range all {
		for _, e := range c["events"].(map[string]any) {
			if v, ok := e.(map[string]any)["version"].(string); ok {
				out[uriOf(c)] = append(out[uriOf(c)], v)
				break
			}
		}
	}
	return out
}

// flaky refuses half of all, in each way there is.
func flaky(w http.ResponseWriter, _ jwt.MapClaims) bool {
	switch rand.IntN(10) {
	case 0:
		w.WriteHeader(http.StatusInternalServerError)
	case 1:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"err":"invalid_request","description":"perhaps"}`)
	case 2:
		time.Sleep(400 * time.Millisecond)
		return false // it is accepted, but nobody waits for the answer
	case 3:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	case 4:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		return false
	}
	return true
}

func pushTo(r *receiver) store.Subscription {
	return store.Subscription{Name: "hr", Push: true, Settings: store.SubscriptionSettings{Endpoint: r.server.URL, Audience: []string{"hr"}}}
}

// A receiver that fails half the time gets everything, in the order of each resource,
// while others write; and a second server takes over when the first ends.
func TestDelivery_FlakyReceiver(t *testing.T) {
	const users, changes = 20, 15
	onBoth(t, func(t *testing.T, w *world) {
		r := newReceiver(t, w)
		r.refuse, r.want = flaky, "Bearer of-the-receiver"
		sub := pushTo(r)
		sub.Secret = r.want
		w.subscribe(t, sub)
		stop := w.deliver(t, quick(r))
		second := &world{w.url, w.store, w.tenant, w.tokens}
		if strings.HasPrefix(w.url, "postgres") {
			second.store = openStore(t, w.url)
		}
		second.deliver(t, quick(r))
		var ids []string
		for i := range users {
			ids = append(ids, w.create(t, scim.User, `{"userName":"user%d"}`, i))
		}
		for n := range changes {
			for _, id := range ids {
				w.patch(t, scim.User, id, fmt.Sprintf(`[{"op":"replace","path":"title","value":"%d"}]`, n))
			}
			if n == changes/2 {
				stop()
			}
		}
		until(t, "all have come", func() bool { return len(r.got()) == users*(changes+1) })
		for uri, came := range versions(r.got()) {
			for i, v := range came {
				if v != fmt.Sprintf(`W/"%d"`, i+1) {
					t.Errorf("of %s came %v", uri, came)
					break
				}
			}
		}
		until(t, "the position is written", func() bool {
			lag, _, err := w.tenant.Lag(context.Background(), w.subscription(t, "hr").Position)
			return err == nil && lag == 0
		})
		if got := w.subscription(t, "hr"); got.LastSuccess.IsZero() || got.LastError == "" || len(got.Progress.Done) > 0 {
			t.Errorf("it ends as %+v", got)
		}
		t.Logf("%d requests, %d tokens came more than once", r.present, r.repeats)
	})
}

// While an event fails, later ones of its resource wait, and others go on. It is given up
// at last, and then they come; tried again it comes, too.
func TestDelivery_DeadLetters(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		r := newReceiver(t, w)
		ada, bob := w.create(t, scim.User, `{"userName":"ada"}`), w.create(t, scim.User, `{"userName":"bob"}`)
		var mended bool
		var refused int
		var mu sync.Mutex
		r.refuse = func(hw http.ResponseWriter, c jwt.MapClaims) bool {
			mu.Lock()
			defer mu.Unlock()
			_, isCreate := c["events"].(map[string]any)[createNotice]
			if mended || !isCreate || uriOf(c) != "/Users/"+ada {
				return false
			}
			refused++
			hw.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(hw, `{"err":"invalid_request","description":"I do not like ada; Bearer s3cret"}`)
			return true
		}
		r.want = "Bearer s3cret"
		sub := pushTo(r)
		sub.Secret = r.want
		sub = w.subscribe(t, sub)
		w.patch(t, scim.User, ada, `[{"op":"replace","path":"title","value":"Dr"}]`)
		o := quick(r)
		o.Attempts = 40
		w.deliver(t, o)
		// An event is given up only if the receiver accepts others after its first failure.
		until(t, "one fails", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return refused >= 3
		})
		w.patch(t, scim.User, bob, `[{"op":"replace","path":"title","value":"Dr"}]`)
		until(t, "all but the first has come", func() bool { return len(r.got()) == 3 })
		got := r.got()
		if uriOf(got[0]) != "/Users/"+bob || uriOf(got[1]) != "/Users/"+bob || uriOf(got[2]) != "/Users/"+ada {
			t.Errorf("came %v", got)
		}
		var letters []store.DeadLetter
		until(t, "there is a dead letter", func() bool {
			letters, _ = w.tenant.DeadLetters(ctx, sub.ID, 0, 10)
			return len(letters) == 1
		})
		l := letters[0]
		if l.ResourceID != ada || l.Attempts < 40 || !strings.Contains(l.Reason, "I do not like ada") || strings.Contains(l.Reason, "s3cret") || !slices.Equal(Names(&l), []string{createNotice}) {
			t.Errorf("the dead letter is %+v", l)
		}
		mu.Lock()
		mended = true
		mu.Unlock()
		if n, err := w.tenant.RetryDeadLetters(ctx, "hr", []int64{l.ID}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		until(t, "it has come", func() bool { return len(r.got()) == 4 })
		until(t, "it is no dead letter", func() bool {
			letters, _ = w.tenant.DeadLetters(ctx, sub.ID, 0, 10)
			return len(letters) == 0
		})
	})
}

// A subscription that is replayed brings all again, with the same names; a position that
// is gone ends it, and says so.
func TestDelivery_ReplayAndGone(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		r := newReceiver(t, w)
		w.create(t, scim.User, `{"userName":"ada"}`)
		w.create(t, scim.User, `{"userName":"bob"}`)
		w.subscribe(t, pushTo(r))
		stop := w.deliver(t, quick(r))
		until(t, "both have come", func() bool { return len(r.got()) == 2 })
		beginning := int64(0)
		if _, err := w.tenant.ReplaySubscription(ctx, "hr", &beginning); err != nil {
			t.Fatal(err)
		}
		until(t, "both have come again", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.repeats >= 2
		})
		if len(r.got()) != 2 {
			t.Errorf("they have other names: %v", r.got())
		}
		stop()
		one := int64(1)
		if _, err := w.tenant.ReplaySubscription(ctx, "hr", &one); err != nil {
			t.Fatal(err)
		}
		w.create(t, scim.User, `{"userName":"eve"}`)
		if _, err := w.store.RemoveChanges(ctx, store.Retention{Count: 1}); err != nil {
			t.Fatal(err)
		}
		w.deliver(t, quick(r))
		until(t, "it has failed", func() bool { return strings.Contains(w.subscription(t, "hr").Failure, "replay the subscription") })
		if _, err := w.tenant.ReplaySubscription(ctx, "hr", &beginning); err != nil {
			t.Fatal(err)
		}
		until(t, "what is kept has come", func() bool { return len(r.got()) == 3 })
	})
}

// A server that ends without a word is followed by another once its lease has passed.
func TestDelivery_TakesOver(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := newReceiver(t, w)
		w.subscribe(t, pushTo(r))
		gone := time.Now().Add(time.Second)
		if all, err := w.store.Deliveries(context.Background(), "gone", gone, 1); err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		w.create(t, scim.User, `{"userName":"ada"}`)
		w.deliver(t, quick(r))
		until(t, "it has come", func() bool { return len(r.got()) == 1 })
		if time.Now().Before(gone) {
			t.Error("it came while another server had the lease")
		}
	})
}

// A receiver that says when it is back is left alone until then.
func TestDelivery_RetryAfter(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := newReceiver(t, w)
		var first time.Time
		r.refuse = func(hw http.ResponseWriter, _ jwt.MapClaims) bool {
			if !first.IsZero() {
				return false
			}
			first = time.Now()
			hw.Header().Set("Retry-After", "1")
			hw.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		w.subscribe(t, pushTo(r))
		w.create(t, scim.User, `{"userName":"ada"}`)
		w.deliver(t, quick(r))
		until(t, "it has come", func() bool { return len(r.got()) == 1 })
		if waited := time.Since(first); waited < 900*time.Millisecond || r.present != 2 {
			t.Errorf("after %v, with %d requests", waited, r.present)
		}
	})
}

// What is registered while a subscription to everything is delivered is told of, too.
func TestDelivery_RegisteredLater(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		r := newReceiver(t, w)
		w.subscribe(t, pushTo(r))
		w.deliver(t, quick(r))
		w.create(t, scim.User, `{"userName":"ada"}`)
		until(t, "the user has come", func() bool { return len(r.got()) == 1 })
		schemas, types, err := scim.ParseRegistrations([]byte(`[{"id":"urn:example:thing","attributes":[{"name":"colour"}]},{"name":"Thing","endpoint":"/Things","schema":"urn:example:thing"}]`))
		if err == nil {
			err = w.tenant.Register(ctx, false, schemas, types)
		}
		if err != nil {
			t.Fatal(err)
		}
		if w.tenant, err = w.store.Tenant(ctx, "default"); err != nil {
			t.Fatal(err)
		}
		id := w.create(t, w.tenant.Catalog().ResourceType("Thing"), `{"schemas":["urn:example:thing"],"colour":"red"}`)
		until(t, "the thing has come", func() bool { return len(r.got()) == 2 })
		if got := uriOf(r.got()[1]); got != "/Things/"+id {
			t.Errorf("it is %s", got)
		}
	})
}
