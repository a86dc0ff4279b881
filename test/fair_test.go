package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A tenant that asks for as much as it can does not slow down one that asks for little,
// nor does it take anything from what that one may ask for.
func TestLimits_ANoisyTenantDoesNotSlowAQuietOne(t *testing.T) {
	if raceEnabled {
		t.Skip("it measures time")
	}
	onBothDatabases(t, func(t *testing.T, database string) {
		p := start(t, database, "--log-level", "error")
		noisy, quiet := token, p.secondTenant(t, "quiet")
		p.fillUsers(t, noisy, 3000)
		id := p.must(t, 201, "POST", "/Users", `{"userName":"b"}`, "Authorization", "Bearer "+quiet)["id"].(string)
		for range 3 { // the machine may be busy with something else
			if p.isQuietBesideNoisy(t, quiet, noisy, id) {
				return
			}
		}
		t.Error("the noisy tenant slows the quiet one")
	})
}

// isQuietBesideNoisy measures how long requests of a quiet tenant take, alone and beside
// a noisy one. They share the processors with this test and with each other, so that
// all takes somewhat longer; but none waits behind the requests of the other tenant.
func (p *program) isQuietBesideNoisy(t *testing.T, quiet, noisy, id string) bool {
	t.Helper()
	alone := p.askNowAndThen(t, quiet, id, 2*time.Second)
	stop := p.flood(t, noisy)
	time.Sleep(500 * time.Millisecond)
	beside := p.askNowAndThen(t, quiet, id, 5*time.Second)
	done := stop()
	t.Logf("the quiet tenant: alone 50 %% in %s, 99 %% in %s; beside the noisy one %s, %s, which had %d requests done",
		quantile(alone, 50), quantile(alone, 99), quantile(beside, 50), quantile(beside, 99), done)
	if done < 200 {
		t.Errorf("the noisy tenant had only %d requests done: it was not noisy", done)
	}
	return quantile(beside, 50) < max(20*quantile(alone, 50), 50*time.Millisecond) &&
		quantile(beside, 99) < max(20*quantile(alone, 99), 300*time.Millisecond)
}

// operator is a context for calls of an administrator of all tenants.
func (p *program) operator(t *testing.T) context.Context {
	t.Helper()
	name := fmt.Sprint("operator", time.Now().UnixNano())
	out, err := command(p.database, "credential", "create", name, "--scope", "admin").Output()
	if err != nil {
		t.Fatal(err)
	}
	return bearing(strings.Fields(string(out))[0])
}

// secondTenant makes a tenant and returns a secret for it.
func (p *program) secondTenant(t *testing.T, name string) string {
	t.Helper()
	conn, ctx := p.dial(t), p.operator(t)
	if _, err := musterv1.NewTenantServiceClient(conn).CreateTenant(ctx, &musterv1.CreateTenantRequest{Tenant: &musterv1.Tenant{Name: name}}); err != nil {
		t.Fatal(err)
	}
	made, err := musterv1.NewCredentialServiceClient(conn).CreateCredential(ctx, &musterv1.CreateCredentialRequest{
		Credential: &musterv1.Credential{Tenant: name, Name: "c", Kind: musterv1.Credential_KIND_BEARER, Scopes: []string{"scim"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.GetSecret()
}

// fillUsers creates users by bulk requests.
func (p *program) fillUsers(t *testing.T, token string, n int) {
	t.Helper()
	const most = 1000
	for at := 0; at < n; at += most {
		var ops []string
		for i := at; i < min(at+most, n); i++ {
			ops = append(ops, fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":"%d","data":{"userName":"filled%d","nickName":"nick%d","title":"%s"}}`, i, i, i, strings.Repeat("t", 200)))
		}
		p.must(t, 200, "POST", "/Bulk", `{"Operations":[`+strings.Join(ops, ",")+`]}`, "Authorization", "Bearer "+token)
	}
}

// askNowAndThen reads or changes a user every 20 ms, and returns how long it took.
func (p *program) askNowAndThen(t *testing.T, token, id string, during time.Duration) (took []time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range int(during / (20 * time.Millisecond)) {
		<-tick.C
		method, path, body := "GET", "/Users/"+id, ""
		switch i % 3 {
		case 1:
			path = "/Users?filter=" + url.QueryEscape(`userName eq "b"`)
		case 2:
			method, body = "PATCH", fmt.Sprintf(`{"Operations":[{"op":"replace","path":"displayName","value":"%d"}]}`, i)
		}
		wg.Go(func() {
			begin := time.Now()
			r, err := p.tryREST(method, path, body, "Authorization", "Bearer "+token)
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, time.Since(begin)); err != nil || r.status != 200 {
				t.Errorf("%s %s: %d, %v", method, path, r.status, err)
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took
}

func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)-1)*percent/100]
}

// flood writes with 64 clients, and searches with 16 for what no index finds, until
// stop, which returns how many requests were done.
func (p *program) flood(t *testing.T, token string) (stop func() int64) {
	t.Helper()
	var ended atomic.Bool
	var done, n atomic.Int64
	var wg sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	ask := func(method, path, body string) {
		req, err := http.NewRequest(method, p.base+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := client.Do(req)
		if err != nil {
			return
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err == nil && res.StatusCode < 300 {
			done.Add(1)
		}
	}
	for i := range 80 {
		wg.Go(func() {
			for !ended.Load() {
				if i%5 == 0 {
					ask("GET", "/Users?count=1&sortBy=title&filter="+url.QueryEscape(`nickName co "7" and not (title ew "z") or emails.value co "x"`), "")
				} else {
					ask("POST", "/Users", fmt.Sprintf(`{"userName":"noise%d","nickName":"x","emails":[{"value":"%[1]d@example.com"}]}`, n.Add(1)))
				}
			}
		})
	}
	return func() int64 {
		ended.Store(true)
		wg.Wait()
		return done.Load()
	}
}
