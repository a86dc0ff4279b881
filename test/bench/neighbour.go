package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What a tenant does that wants all of the server.
const (
	noisyWriters   = 64
	noisySearchers = 16
)

// neighbour measures how long the requests of a tenant take that makes one every 20 ms:
// alone, and beside one that writes and searches as much as it can.
func (b *bench) neighbour(ctx context.Context) error {
	quiet, err := b.muster.secondTenant(ctx)
	if err != nil {
		return err
	}
	data, err := send(ctx, b.client, http.MethodPost, b.muster.base+"/Users", quiet, strings.NewReader(`{"userName":"quiet"}`), http.StatusCreated)
	if err != nil {
		return err
	}
	_, id, _ := bytes.Cut(data, []byte(`"id":"`))
	path := "/Users/" + string(id[:36])
	alone, err := b.now(ctx, quiet, path)
	if err != nil {
		return err
	}
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	var done atomic.Int64
	var wg sync.WaitGroup
	noisy := newClient(noisyWriters + noisySearchers)
	for i := range noisyWriters + noisySearchers {
		wg.Go(func() {
			for flooding.Err() == nil {
				if b.noise(flooding, noisy, i < noisyWriters) == nil {
					done.Add(1)
				}
			}
		})
	}
	beside, err := b.now(ctx, quiet, path)
	stop()
	wg.Wait()
	if err != nil {
		return err
	}
	at := func(took []time.Duration, percent int) time.Duration {
		return took[(len(took)-1)*percent/100].Round(10 * time.Microsecond)
	}
	sayf("  a quiet tenant         50 %% in %s, 99 %% in %s\n", at(alone, 50), at(alone, 99))
	sayf("    beside a noisy one   50 %% in %s, 99 %% in %s   while that has %d requests done\n", at(beside, 50), at(beside, 99), done.Load())
	return nil
}

// noise is a request of the tenant that wants all: a write, or a search that no index
// helps.
func (b *bench) noise(ctx context.Context, client *http.Client, write bool) error {
	if write {
		_, err := send(ctx, client, http.MethodPost, b.muster.base+"/Users", token, bytes.NewReader(userBody(1<<40+rand.Int64N(1<<40))), http.StatusCreated)
		return err
	}
	filter := url.QueryEscape(`nickName co "77" and not (title ew "x")`)
	_, err := send(ctx, client, http.MethodGet, b.muster.base+"/Users?count=1&sortBy=title&filter="+filter, token, nil, http.StatusOK)
	return err
}

// now makes a request every 20 ms, and returns how long they took, in order.
func (b *bench) now(ctx context.Context, token, path string) ([]time.Duration, error) {
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	var wg sync.WaitGroup
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range max(int(b.round/(20*time.Millisecond)), 50) {
		<-tick.C
		wg.Go(func() {
			begin := time.Now()
			_, err := send(ctx, b.client, http.MethodGet, b.muster.base+path, token, nil, http.StatusOK)
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, time.Since(begin)), errors.Join(failed, err)
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took, failed
}

// secondTenant makes a tenant and returns a secret of it.
func (m *muster) secondTenant(ctx context.Context) (string, error) {
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, m.cmd.Path, args...)
		cmd.Env, cmd.Stderr = m.cmd.Env, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("muster %s: %w", strings.Join(args, " "), err)
		}
		return string(out), err
	}
	if _, err := run("tenant", "create", "quiet"); err != nil {
		return "", err
	}
	out, err := run("credential", "create", "c", "--tenant", "quiet", "--scope", "scim")
	if err != nil || out == "" {
		return "", errors.Join(err, errors.New("there is no secret"))
	}
	return strings.Fields(out)[0], nil
}
