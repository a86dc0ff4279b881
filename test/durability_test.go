package test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-scim/muster/store"
)

// userJSON is a user with attributes that stand in different tables.
func userJSON(name string) string {
	return fmt.Sprintf(`{"userName":%q,"externalId":%q,"displayName":%q,"emails":[{"value":%q},{"value":%q}]}`,
		name, "ext-"+name, "User "+name, name+"@work.example", name+"@home.example")
}

// creating is a load of creates, which goes on until the server does not answer.
type creating struct {
	mu    sync.Mutex
	acked map[string]string // userName to id, of every create that was answered 201
	sent  map[string]bool
	wg    sync.WaitGroup
	stop  chan struct{}
}

func newCreating() *creating {
	return &creating{acked: make(map[string]string), sent: make(map[string]bool), stop: make(chan struct{})}
}

// begin creates users from several clients, with names that begin with prefix.
func (c *creating) begin(p *program, prefix string) {
	for client := range 8 {
		c.wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-c.stop:
					return
				default:
				}
				name := fmt.Sprintf("%s-%d-%d", prefix, client, i)
				c.note(name, "", false)
				r, err := p.tryREST(http.MethodPost, "/Users", userJSON(name))
				if err != nil {
					return
				}
				if r.status == http.StatusCreated {
					id := string(r.body[len(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"`):][:36])
					c.note(name, id, true)
				}
			}
		})
	}
}

func (c *creating) note(name, id string, acked bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[name] = true
	if acked {
		c.acked[name] = id
	}
}

// check compares what was acknowledged with what is there: all of it, and whole.
// What was sent and not acknowledged may be there or not, but whole too.
func (c *creating) check(t *testing.T, p *program) {
	t.Helper()
	for name := range c.sent {
		list := p.must(t, 200, http.MethodGet, "/Users?filter=userName+eq+%22"+name+"%22", "")
		byEmail := p.must(t, 200, http.MethodGet, "/Users?filter=emails.value+eq+%22"+name+"@home.example%22", "")
		n := list["totalResults"].(float64)
		if n != byEmail["totalResults"].(float64) {
			t.Errorf("%s: %v found by name, %v by e-mail address", name, n, byEmail["totalResults"])
		}
		id, acked := c.acked[name]
		switch {
		case acked && n != 1:
			t.Errorf("%s was acknowledged, and %v are there", name, n)
		case n > 0:
			u := list["Resources"].([]any)[0].(map[string]any)
			if acked && u["id"] != id || u["externalId"] != "ext-"+name || len(u["emails"].([]any)) != 2 {
				t.Errorf("%s is not whole: %v", name, u)
			}
		}
	}
}

// checkAudit looks whether each create that was acknowledged has its one event in the
// audit log, and whether the log holds together.
func (c *creating) checkAudit(t *testing.T, database string) {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tenant, err := s.Tenant(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range c.acked {
		page, err := s.AuditEvents(ctx, store.AuditQuery{TenantID: tenant.ID(), ResourceID: id, Count: 10})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(page.Events); n != 1 || page.Events[0].Outcome != store.AuditOK || !strings.Contains(page.Events[0].Changes, `"`+name+`"`) {
			t.Errorf("%s was acknowledged, and has the events %+v", name, page.Events)
		}
	}
	if v, err := s.VerifyAudit(ctx, tenant.ID(), nil); err != nil || v.Problem != "" {
		t.Errorf("the audit log: %+v, %v", v, err)
	}
}

// Twenty times the server is killed in the middle of a load: every create that
// was answered is there afterwards, and none half; and it is in the audit log.
func TestKill_LosesNothing(t *testing.T) {
	database := sqliteURL(t)
	p := start(t, database)
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	acked := 0
	for round := range rounds {
		load := newCreating()
		load.begin(p, fmt.Sprint("round", round))
		time.Sleep(time.Duration(100+round*10) * time.Millisecond)
		p.kill()
		load.wg.Wait()
		p = serve(t, database)
		load.check(t, p)
		acked += len(load.acked)
		load.checkAudit(t, database)
	}
	if acked < rounds*10 {
		t.Errorf("only %d creates were acknowledged in %d rounds: the test proves little", acked, rounds)
	}
}

// A server that is told to stop answers what it has begun: nothing that it took
// is lost, and it ends well.
func TestTerminate_FinishesRequests(t *testing.T) {
	for name, database := range map[string]func() string{
		"SQLite":     func() string { return sqliteURL(t) },
		"PostgreSQL": func() string { return postgresURL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			url := database()
			p := start(t, url)
			load := newCreating()
			load.begin(p, "stop")
			time.Sleep(300 * time.Millisecond)
			if err := p.terminate(t); err != nil {
				t.Fatalf("it ended with %v:\n%s", err, p.out)
			}
			load.wg.Wait()
			load.check(t, serve(t, url))
			load.checkAudit(t, url)
			if len(load.acked) < 20 {
				t.Errorf("only %d creates were acknowledged", len(load.acked))
			}
		})
	}
}
