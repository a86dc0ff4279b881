package test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-scim/muster/gateway"
	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
)

// BenchmarkActivity_Creates creates users with and without exchanges being kept, in turns
// on one database, and reports how many a second each way.
func BenchmarkActivity_Creates(b *testing.B) {
	ctx := b.Context()
	st, err := store.Open(ctx, "sqlite://"+filepath.Join(b.TempDir(), "muster.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Migrate(ctx); err != nil {
		b.Fatal(err)
	}
	if _, err := st.Bootstrap(ctx, "default", "bootstrap", server.HashToken(token)); err != nil {
		b.Fatal(err)
	}
	var faces [2]http.Handler
	for i, a := range []server.Activity{{Off: true}, {Bodies: 10}} {
		if faces[i], err = gateway.New(server.New(st, server.Options{Activity: a}).Conn(), gateway.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	const turns, turn, clients = 20, 500 * time.Millisecond, 16
	var next, made [2]atomic.Int64
	for n := range turns {
		way := (n + n/2) % 2 // without, with, with, without
		end := time.Now().Add(turn)
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for time.Now().Before(end) {
					body := fmt.Sprintf(`{"userName":"u%d-%d","name":{"givenName":"A","familyName":"B"},"emails":[{"value":"a@x.test"}]}`, way, next[way].Add(1))
					r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/scim/v2/Users", strings.NewReader(body))
					r.Header.Set("Authorization", "Bearer "+token)
					w := httptest.NewRecorder()
					faces[way].ServeHTTP(w, r)
					if w.Code == http.StatusCreated {
						made[way].Add(1)
					}
				}
			})
		}
		wg.Wait()
	}
	seconds := float64(turns) / 2 * turn.Seconds()
	without, with := float64(made[0].Load())/seconds, float64(made[1].Load())/seconds
	b.ReportMetric(without, "off/s")
	b.ReportMetric(with, "on/s")
	b.ReportMetric(100*(1-with/without), "%cost")
}
