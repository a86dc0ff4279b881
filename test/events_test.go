package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// eventOrigin is where receivers find keys and poll.
func (p *program) eventOrigin() string { return strings.TrimSuffix(p.base, "/scim/v2") + "/events/v1" }

// eventKeys reads the keys as a receiver does: without a credential.
func (p *program) eventKeys() (map[string]*ecdsa.PublicKey, error) {
	res, err := http.Get(p.eventOrigin() + "/jwks.json")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil || res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Cache-Control"), "max-age") {
		return nil, fmt.Errorf("the keys: %d %v %v", res.StatusCode, res.Header, err) //nolint:errorlint // it may be none
	}
	keys := make(map[string]*ecdsa.PublicKey)
	for _, k := range set.Keys {
		x, _ := base64.RawURLEncoding.DecodeString(k["x"])
		y, _ := base64.RawURLEncoding.DecodeString(k["y"])
		if k["kty"] != "EC" || k["crv"] != "P-256" || k["alg"] != "ES256" || k["use"] != "sig" || k["d"] != "" {
			return nil, fmt.Errorf("the key is %v", k)
		}
		if keys[k["kid"]], err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y)); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// readToken verifies a token with a library that has not made it.
func (p *program) readToken(token, issuer, audience string) (jwt.MapClaims, error) {
	keys, err := p.eventKeys()
	if err != nil {
		return nil, err
	}
	options := []jwt.ParserOption{jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(audience)}
	if issuer != "" {
		options = append(options, jwt.WithIssuer(issuer))
	}
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) { return keys[fmt.Sprint(t.Header["kid"])], nil }, options...)
	if err == nil && parsed.Header["typ"] != "secevent+jwt" {
		err = fmt.Errorf("the type is %v", parsed.Header["typ"])
	}
	return claims, err
}

// polls asks as a receiver does (RFC 8936).
func (p *program) polls(t *testing.T, bearer, name, body string) (status int, sets map[string]string, more bool) {
	t.Helper()
	got := p.rest(t, http.MethodPost, p.eventOrigin()+"/subscriptions/"+name+"/poll", body, "Authorization", "Bearer "+bearer, "Content-Type", "application/json")
	var answer struct {
		Sets          map[string]string `json:"sets"`
		MoreAvailable bool              `json:"moreAvailable"`
	}
	if err := json.Unmarshal(got.body, &answer); err != nil {
		t.Fatalf("%s: %v", got.body, err)
	}
	return got.status, answer.Sets, answer.MoreAvailable
}

// onlyEvent is the one event of the one token of an answer, with the token's jti.
func (p *program) onlyEvent(t *testing.T, sets map[string]string, audience string) (id, uri string, events map[string]any) {
	t.Helper()
	if len(sets) != 1 {
		t.Fatalf("%d tokens: %v", len(sets), sets)
	}
	for id, token := range sets {
		claims, err := p.readToken(token, strings.TrimSuffix(p.base, "/scim/v2"), audience)
		if err != nil || claims["jti"] != id {
			t.Fatalf("%v: %v", err, claims)
		}
		subject := claims["sub_id"].(map[string]any)
		if subject["format"] != "scim" || claims["sub"] != nil || claims["txn"] == nil || claims["iat"] == nil {
			t.Errorf("the claims are %v", claims)
		}
		return id, subject["uri"].(string), claims["events"].(map[string]any)
	}
	return "", "", nil
}

// A receiver that polls gets each event until it acknowledges it, in the order of the
// resource; what it does not accept is a dead letter.
func TestEvents_Poll(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		if p.must(t, 200, http.MethodGet, "/ServiceProviderConfig", "")["securityEvents"] != nil {
			t.Error("events are advertised where nobody gets them")
		}
		reader := p.credential(t, "portal", "scim:read")
		p.runs(t, "subscription", "create", "portal", "--poll", "--credential", "portal", "--detail", "full", "--audience", "https://portal.example.com")
		advertised, _ := p.must(t, 200, http.MethodGet, "/ServiceProviderConfig", "")["securityEvents"].(map[string]any)
		if uris, _ := advertised["eventUris"].([]any); advertised["asyncRequest"] != "none" || len(uris) != 7 || !slices.Contains(uris, any("urn:ietf:params:scim:event:prov:create:full")) {
			t.Errorf("events are advertised as %v", advertised)
		}
		const audience = "https://portal.example.com"
		if status, sets, more := p.polls(t, reader, "portal", `{"returnImmediately":true,"unknown":1}`); status != 200 || sets == nil || len(sets) > 0 || more {
			t.Errorf("nothing: %d %v %v", status, sets, more)
		}
		p.must(t, 201, http.MethodPost, "/Users", `{"userName":"nobody"}`, "Authorization", "Bearer "+p.previewToken(t, "previewer"))
		if _, sets, _ := p.polls(t, reader, "portal", `{"returnImmediately":true}`); len(sets) > 0 {
			t.Errorf("what a preview did is told: %v", sets)
		}
		ada := p.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada","externalId":"a-1","name":{"givenName":"Ada","familyName":"L"},"active":true,"password":"Secret-12345"}`)["id"].(string)
		p.must(t, 200, http.MethodPatch, "/Users/"+ada, `{"Operations":[{"op":"replace","path":"active","value":false},{"op":"remove","path":"name.givenName"}]}`)
		_, sets, more := p.polls(t, reader, "portal", `{}`)
		first, uri, events := p.onlyEvent(t, sets, audience)
		created, _ := events["urn:ietf:params:scim:event:prov:create:full"].(map[string]any)
		data, _ := created["data"].(map[string]any)
		if uri != "/Users/"+ada || !more || data["userName"] != "ada" || data["id"] != ada || data["password"] != nil || created["version"] == nil || created["attributes"] != nil {
			t.Errorf("%s, more %v: %v", uri, more, events)
		}
		if _, again, _ := p.polls(t, reader, "portal", `{"returnImmediately":true}`); len(again) != 1 || again[first] == "" {
			t.Errorf("not acknowledged it does not come again: %v", again)
		}
		_, sets, more = p.polls(t, reader, "portal", `{"ack":["`+first+`","nonsense"],"returnImmediately":true}`)
		second, _, events := p.onlyEvent(t, sets, audience)
		patched, _ := json.Marshal(events)
		if more || events["urn:ietf:params:scim:event:prov:deactivate"] == nil ||
			!strings.Contains(string(patched), `{"op":"replace","path":"active","value":false},{"op":"remove","path":"name"},{"op":"replace","path":"name","value":{"familyName":"L"}}`) {
			t.Errorf("the change is %s, more %v", patched, more)
		}
		if _, sets, more := p.polls(t, reader, "portal", `{"maxEvents":0,"setErrs":{"`+second+`":{"err":"invalid_audience","description":"not mine"}}}`); len(sets) != 0 || more {
			t.Errorf("after it was refused: %v %v", sets, more)
		}
		letters := p.runs(t, "subscription", "dead-letters", "portal")
		if !strings.Contains(letters, "invalid_audience: not mine") || !strings.Contains(letters, "User/"+ada) {
			t.Errorf("the dead letters are %s", letters)
		}
		p.runs(t, "subscription", "retry", "portal")
		_, sets, _ = p.polls(t, reader, "portal", `{"returnImmediately":true}`)
		if again, _, _ := p.onlyEvent(t, sets, audience); again != second {
			t.Errorf("tried again it is %s, was %s", again, second)
		}
		p.polls(t, reader, "portal", `{"maxEvents":0,"ack":["`+second+`"]}`)
		if letters := p.runs(t, "subscription", "dead-letters", "portal", "--json"); strings.TrimSpace(letters) != "[]" {
			t.Errorf("the dead letters are %s", letters)
		}
		// One who waits is answered when something happens.
		begun := time.Now()
		time.AfterFunc(300*time.Millisecond, func() { _, _ = p.tryREST(http.MethodDelete, "/Users/"+ada, "") })
		_, sets, _ = p.polls(t, reader, "portal", `{}`)
		third, _, events := p.onlyEvent(t, sets, audience)
		if events["urn:ietf:params:scim:event:prov:delete"] == nil || time.Since(begun) > 10*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), events)
		}
		p.polls(t, reader, "portal", `{"maxEvents":0,"ack":["`+third+`"]}`)
		p.refusesPollers(t, reader)
		// One who waits does not keep the server from ending.
		waiting := make(chan error, 1)
		go func() {
			_, err := p.tryREST(http.MethodPost, p.eventOrigin()+"/subscriptions/portal/poll", `{"maxEvents":5,"ack":[]}`, "Authorization", "Bearer "+reader, "Content-Type", "application/json")
			waiting <- err
		}()
		time.Sleep(300 * time.Millisecond)
		begun = time.Now()
		if err := p.terminate(t); err != nil || time.Since(begun) > 10*time.Second {
			t.Errorf("the end took %v: %v", time.Since(begun), err)
		}
		if err := <-waiting; err != nil {
			t.Errorf("who waited got no answer: %v", err)
		}
	})
}

// refusesPollers sees that only who may fetch the tokens of the subscription portal does.
func (p *program) refusesPollers(t *testing.T, reader string) {
	t.Helper()
	addTenant(t, p.database, "token-of-the-other", "scim admin")
	for who, test := range map[string]struct {
		token, name string
		status      int
	}{
		"another tenant":          {"token-of-the-other", "portal", 404},
		"another credential":      {token, "portal", 403},
		"a preview":               {p.previewToken(t, "look"), "portal", 403},
		"of another subscription": {reader, "nothing", 404},
		"nobody":                  {"wrong", "portal", 401},
	} {
		if status, sets, _ := p.polls(t, test.token, test.name, `{"returnImmediately":true}`); status != test.status || len(sets) > 0 {
			t.Errorf("%s: %d %v", who, status, sets)
		}
	}
	p.runs(t, "subscription", "create", "open", "--poll")
	if status, _, _ := p.polls(t, p.credential(t, "groups-only", "scim:Group:read"), "open", `{"returnImmediately":true}`); status != 403 {
		t.Errorf("who may not read users polls events of all types: %d", status)
	}
	p.runs(t, "subscription", "create", "pushed", "--push", "https://receiver.example.com/")
	if status, _, _ := p.polls(t, token, "pushed", `{"returnImmediately":true}`); status != 409 && status != 400 {
		t.Errorf("what is pushed is polled: %d", status)
	}
}

// pushed is a receiver over HTTP on this machine.
type pushed struct {
	mu     sync.Mutex
	tokens []string
	seen   map[string]bool
	auth   map[string]bool
}

func (r *pushed) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.auth[req.Header.Get("Authorization")] = true
	if !r.seen[string(body)] {
		r.seen[string(body)] = true
		r.tokens = append(r.tokens, string(body))
	}
	w.WriteHeader(http.StatusAccepted)
}

// byResource are the versions that came of each resource, without repeats.
func (r *pushed) byResource(t *testing.T, p *program) (all map[string][]string, n int) {
	t.Helper()
	r.mu.Lock()
	tokens := append([]string(nil), r.tokens...)
	r.mu.Unlock()
	all, ids := make(map[string][]string), make(map[string]bool)
	for _, text := range tokens {
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(text, claims); err != nil {
			t.Fatal(err)
		}
		if ids[claims["jti"].(string)] {
			continue
		}
		ids[claims["jti"].(string)] = true
		uri := claims["sub_id"].(map[string]any)["uri"].(string)
		for _, e := range claims["events"].(map[string]any) {
			if v, ok := e.(map[string]any)["version"].(string); ok {
				all[uri] = append(all[uri], v)
			}
		}
	}
	for _, text := range tokens[:min(len(tokens), 3)] {
		if _, err := p.readToken(text, "", "hr"); err != nil {
			t.Error(err)
		}
	}
	return all, len(ids)
}

// Two servers share a subscription; the one that delivers is killed, and everything
// comes, in order. The authorization stands in no answer and no log.
func TestEvents_PushSurvivesAKill(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		const secret = "Bearer the-receivers-own-secret"
		r := &pushed{seen: make(map[string]bool), auth: make(map[string]bool)}
		receiver := httptest.NewServer(r)
		t.Cleanup(receiver.Close)
		args := []string{"--events-private"}
		one := start(t, database, args...)
		file := filepath.Join(t.TempDir(), "authorization.txt")
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		shown := one.runs(t, "subscription", "create", "hr", "--push", receiver.URL, "--authorization-file", file, "--audience", "hr", "--json")
		ids := make([]string, 10)
		for i := range ids {
			ids[i] = one.must(t, 201, http.MethodPost, "/Users", fmt.Sprintf(`{"userName":"user%d"}`, i))["id"].(string)
		}
		two, logs := one, ""
		if database != "" && strings.HasPrefix(database, "postgres") {
			two = serve(t, database, args...)
		}
		const changes = 10
		for n := range changes {
			for _, id := range ids {
				two.must(t, 200, http.MethodPatch, "/Users/"+id, fmt.Sprintf(`{"Operations":[{"op":"replace","path":"title","value":"%d"}]}`, n))
			}
			if n != changes/2 {
				continue
			}
			one.kill() // as kill -9 does
			logs += one.out.String()
			if two == one {
				two = serve(t, database, args...)
			}
		}
		for end := time.Now().Add(90 * time.Second); ; time.Sleep(200 * time.Millisecond) {
			if _, n := r.byResource(t, two); n == len(ids)*(changes+1) {
				break
			} else if time.Now().After(end) {
				t.Fatalf("%d of %d have come", n, len(ids)*(changes+1))
			}
		}
		all, _ := r.byResource(t, two)
		for uri, came := range all {
			for i, v := range came {
				if v != fmt.Sprintf(`W/"%d"`, i+1) {
					t.Errorf("of %s came %v", uri, came)
					break
				}
			}
		}
		if !r.auth[secret] || len(r.auth) != 1 {
			t.Errorf("the authorizations are %v", r.auth)
		}
		shown += two.runs(t, "subscription", "get", "hr", "--json") + two.runs(t, "subscription", "list") + two.runs(t, "audit", "list", "--json") + logs + two.out.String()
		if strings.Contains(shown, "receivers-own-secret") {
			t.Errorf("the authorization is shown: %s", shown)
		}
	})
}
