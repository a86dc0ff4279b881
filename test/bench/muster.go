package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const token = "bench-token-for-a-server-on-loopback"

// muster is the program under measurement, in a process of its own.
type muster struct {
	cmd  *exec.Cmd
	base string
}

func startMuster(ctx context.Context, program, database string) (*muster, error) {
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	env := append(os.Environ(), "MUSTER_DATABASE="+database, "MUSTER_BOOTSTRAP_TOKEN="+token)
	migrate := exec.CommandContext(ctx, program, "migrate")
	migrate.Env = env
	if out, err := migrate.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s migrate: %w: %s", program, err, out)
	}
	m := &muster{cmd: exec.CommandContext(ctx, program, "serve", "--http", addr, "--grpc", "127.0.0.1:0", "--log-level", "error",
		"--rate-limit", "0", "--credential-rate-limit", "0"), base: "http://" + addr + "/scim/v2"}
	m.cmd.Env, m.cmd.Stderr = env, os.Stderr
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	if err := await(ctx, http.DefaultClient, m.base+"/ServiceProviderConfig"); err != nil {
		m.stop()
		return nil, err
	}
	return m, nil
}

func (m *muster) stop() {
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	_ = m.cmd.Wait()
}

// reportMemory prints what the server has resident now and had at most.
func (m *muster) reportMemory() error {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		sayf("  resident memory: %v\n", err)
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		kb, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch name {
		case "VmHWM":
			sayf("  resident, at most      %8d MB\n", kb>>10)
		case "VmRSS":
			sayf("  resident, now          %8d MB\n", kb>>10)
		}
	}
	return lines.Err()
}

// bench is a filled server and the client that measures it.
type bench struct {
	plan

	muster *muster
	client *http.Client
	users  int64
	ids    []string
}

// fill creates users until there are n, and returns creates a second.
func (b *bench) fill(ctx context.Context, n int) (float64, error) {
	next := atomic.Int64{}
	next.Store(b.users)
	ids := make([]string, n)
	copy(ids, b.ids)
	rate, err := load(ctx, b.connections, 0, func(ctx context.Context) error {
		i := next.Add(1) - 1
		if i >= int64(n) {
			return errDone
		}
		data, err := send(ctx, b.client, http.MethodPost, b.muster.base+"/Users", token, bytes.NewReader(userBody(i)), http.StatusCreated)
		if err != nil {
			return err
		}
		_, id, _ := bytes.Cut(data, []byte(`"id":"`))
		if len(id) < 36 {
			return errors.New("the answer to a create has no id")
		}
		ids[i] = string(id[:36])
		return nil
	})
	b.users, b.ids = int64(n), ids
	return rate, err
}

// reads measures get, lookup and page with the users there are.
func (b *bench) reads(ctx context.Context, c ceilings) error {
	get := func(url func() string) (float64, error) {
		return b.best(ctx, func(ctx context.Context) error {
			_, err := send(ctx, b.client, http.MethodGet, b.muster.base+url(), token, nil, http.StatusOK)
			return err
		})
	}
	sayf("  with %d users:\n", b.users)
	rate, err := get(func() string { return "/Users/" + b.ids[rand.IntN(len(b.ids))] })
	if err != nil {
		return err
	}
	row("  get", rate, "net/http", c.get)
	if rate, err = get(func() string {
		return "/Users?filter=" + url.QueryEscape(fmt.Sprintf(`userName eq "USER.%d@example.com"`, rand.Int64N(b.users)))
	}); err != nil {
		return err
	}
	row("  lookup by userName", rate, "net/http", c.get)
	if rate, err = get(func() string { return "/Users?count=100" }); err != nil {
		return err
	}
	row("  page of 100", rate, "net/http", c.page)
	last, err := b.walk(ctx)
	if err != nil {
		return err
	}
	for _, p := range []struct{ name, cursor string }{{"first page by cursor", ""}, {"last page by cursor", last}} {
		if rate, err = get(func() string { return "/Users?count=100&cursor=" + p.cursor }); err != nil {
			return err
		}
		row("  "+p.name, rate, "net/http", c.page)
	}
	return nil
}

// walk reads all users by cursor, a hundred at a time, and returns the cursor of
// the last page.
func (b *bench) walk(ctx context.Context) (last string, err error) {
	start := time.Now()
	found := 0
	for next := ""; ; last = next {
		data, err := send(ctx, b.client, http.MethodGet, b.muster.base+"/Users?count=100&cursor="+next, token, nil, http.StatusOK)
		if err != nil {
			return "", err
		}
		var page struct {
			NextCursor   string `json:"nextCursor"`
			ItemsPerPage int    `json:"itemsPerPage"`
		}
		if err := json.Unmarshal(data, &page); err != nil {
			return "", err
		}
		if found += page.ItemsPerPage; page.NextCursor == "" {
			break
		}
		next = page.NextCursor
	}
	if found != int(b.users) {
		return "", fmt.Errorf("by cursor there are %d users, not %d", found, b.users)
	}
	sayf("    all of them by cursor %8.0f/s   on one connection\n", float64(found)/time.Since(start).Seconds())
	return last, nil
}

// members measures adding one member to a small and to a large group.
func (b *bench) members(ctx context.Context) error {
	sizes := []int{10, min(b.group, len(b.ids)-2000)}
	rates := make([]float64, len(sizes))
	for i, size := range sizes {
		group, err := b.makeGroup(ctx, size)
		if err != nil {
			return err
		}
		if rates[i], err = b.patchMembers(ctx, group, b.ids[size:]); err != nil {
			return err
		}
		sayf("  patch-member           %8.0f/s   one member more in a group of %d\n", rates[i], size)
		if err := b.readGroup(ctx, group); err != nil {
			return err
		}
	}
	sayf("  in the large group it costs %.2f times as much as in the small one\n", rates[0]/rates[1])
	return nil
}

// makeGroup makes a group of the first users.
func (b *bench) makeGroup(ctx context.Context, size int) (string, error) {
	data, err := send(ctx, b.client, http.MethodPost, b.muster.base+"/Groups", token, strings.NewReader(fmt.Sprintf(`{"displayName":"group of %d"}`, size)), http.StatusCreated)
	if err != nil {
		return "", err
	}
	var group struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(data, &group); err != nil {
		return "", err
	}
	for start := 0; start < size; start += 5000 {
		if err := b.addMembers(ctx, group.ID, b.ids[start:min(start+5000, size)]); err != nil {
			return "", err
		}
	}
	return group.ID, nil
}

func (b *bench) addMembers(ctx context.Context, group string, ids []string) error {
	var members []map[string]string
	for _, id := range ids {
		members = append(members, map[string]string{"value": id})
	}
	body, err := json.Marshal(map[string]any{"Operations": []any{map[string]any{"op": "add", "path": "members", "value": members}}})
	if err != nil {
		return err
	}
	_, err = send(ctx, b.client, http.MethodPatch, b.muster.base+"/Groups/"+group, token, bytes.NewReader(body), http.StatusNoContent)
	return err
}

// patchMembers adds members one by one, on all connections.
func (b *bench) patchMembers(ctx context.Context, group string, ids []string) (float64, error) {
	var next atomic.Int64
	return load(ctx, b.connections, b.round, func(ctx context.Context) error {
		i := int(next.Add(1)) - 1
		if i >= len(ids) {
			return errDone
		}
		return b.addMembers(ctx, group, ids[i:i+1])
	})
}

// readGroup reads a group with and without its members.
func (b *bench) readGroup(ctx context.Context, group string) error {
	for _, query := range []string{"?excludedAttributes=members", ""} {
		start := time.Now()
		data, err := send(ctx, b.client, http.MethodGet, b.muster.base+"/Groups/"+group+query, token, nil, http.StatusOK)
		if err != nil {
			return err
		}
		sayf("    read it %-27s %10s   %d KB\n", query, time.Since(start).Round(10*time.Microsecond), len(data)>>10)
	}
	return nil
}
