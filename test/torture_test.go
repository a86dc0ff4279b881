package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/muster-scim/muster/client"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// tortureTime is how long a test goes on that finds more the longer it does: as long as
// MUSTER_TEST_TORTURE says, which `make torture` sets.
func tortureTime(t *testing.T, usual time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("MUSTER_TEST_TORTURE")
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("MUSTER_TEST_TORTURE: %v", err)
	}
	return d
}

// Writers and watchers go on while servers are killed and connections are cut. In the
// end what each watcher has replayed is what the database has, and the database has all
// that was acknowledged.
func TestTorture(t *testing.T) {
	t.Run("PostgreSQL", func(t *testing.T) { torture(t, postgresURL(t), 2, tortureTime(t, 15*time.Second)) })
	t.Run("SQLite", func(t *testing.T) { torture(t, sqliteURL(t), 1, tortureTime(t, 15*time.Second)/3) })
}

func torture(t *testing.T, database string, servers int, long time.Duration) {
	cluster := startCluster(t, database, servers)
	network := newCutter(t, cluster.grpc...)
	shared := makeGroup(t, dialClient(t, cluster.grpc[0], token), "shared")
	watchers := []*watcher{newWatcher("all 1", false, network), newWatcher("all 2", false, network), newWatcher("snapshot 1", true, network), newWatcher("snapshot 2", true, network)}
	endWatchers := watchAll(t, watchers)
	writers, endWriters := writeAll(t, cluster, shared, 16)

	cuts, stop := 0, time.Now().Add(long)
	for round := 0; time.Now().Before(stop) && !t.Failed(); round++ {
		time.Sleep(time.Duration(200+rand.IntN(800)) * time.Millisecond)
		if round%2 == 0 {
			cuts += network.cut()
		} else {
			cluster.killOne(t, rand.IntN(servers))
		}
	}
	endWriters()
	c := dialClient(t, cluster.grpc[0], token)
	awaitAll(t, watchers, makeGroup(t, c, "last"))
	endWatchers()

	now := readAll(t, c)
	acked, failed := writers[0].acked.Load(), writers[0].failed.Load()
	t.Logf("%v: %d writes acknowledged, %d not; %d kills of servers, %d connections cut; in the end %d resources and %d memberships", long, acked, failed, cluster.kills, cuts, len(now.resources), len(now.members))
	for _, w := range writers {
		w.check(t, now)
	}
	positions := listPositions(t, c)
	for _, w := range watchers {
		t.Logf("watcher %s began %d times, with %d snapshots", w.name, w.begun, w.streams)
		w.now.mustEqual(t, w.name, now)
		if !w.snapshot && !slices.Equal(w.seen, positions) {
			t.Errorf("watcher %s saw %d changes, the log has %d", w.name, len(w.seen), len(positions))
		}
	}
	if acked < 50 || cluster.kills == 0 || cuts == 0 {
		t.Errorf("%d writes, %d kills and %d cuts prove little", acked, cluster.kills, cuts)
	}
	if int64(len(positions)) < acked/2 {
		t.Errorf("the log has %d changes of %d writes", len(positions), acked)
	}
	if servers > 1 {
		checkSequence(t, database, len(positions))
	}
	cluster.checkLogs(t)
}

// A cluster is some servers of one database, each of which keeps its addresses when it
// is started again.
type cluster struct {
	database   string
	http, grpc []string
	programs   []*program
	logs       []*output // of all that ever ran
	kills      int
}

func startCluster(t *testing.T, database string, servers int) *cluster {
	t.Helper()
	c := &cluster{database: database}
	for i := range servers {
		c.http, c.grpc, c.programs = append(c.http, lastingAddress(t)), append(c.grpc, lastingAddress(t)), append(c.programs, nil)
		c.start(t, i)
	}
	return c
}

// lastingAddress is an address on loopback that no connection takes by chance as its own
// end while nobody listens there: systems take those from 32768 up.
func lastingAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("there is no free port")
	return ""
}

func (c *cluster) start(t *testing.T, i int) {
	t.Helper()
	c.programs[i] = serve(t, c.database, "--http", c.http[i], "--grpc", c.grpc[i], "--log-level", "warn")
	c.logs = append(c.logs, c.programs[i].out)
}

// killOne kills a server, and starts it again after some time.
func (c *cluster) killOne(t *testing.T, i int) {
	t.Helper()
	c.programs[i].kill()
	c.kills++
	time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
	c.start(t, i)
}

// checkLogs fails the test if a server logged a fault of its own.
func (c *cluster) checkLogs(t *testing.T) {
	t.Helper()
	for _, out := range c.logs {
		for line := range strings.Lines(out.String()) {
			if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "panic") {
				t.Errorf("a server logged %.1000s", line)
			}
		}
	}
}

// writeAll runs writers, half of them through each door, until the returned function
// ends them.
func writeAll(t *testing.T, c *cluster, shared string, n int) ([]*writer, func()) {
	t.Helper()
	var all []*writer
	var acked, failed atomic.Int64
	var running sync.WaitGroup
	stop := make(chan struct{})
	for i := range n {
		w := &writer{name: fmt.Sprint("writer", i), shared: shared, facts: make(map[string]fact), acked: &acked, failed: &failed}
		for at := range c.grpc {
			at = (at + i/2) % len(c.grpc)
			if i%2 == 0 {
				w.ways = append(w.ways, viaREST{"http://" + c.http[at] + "/scim/v2"})
			} else {
				w.ways = append(w.ways, viaGRPC{dialClient(t, c.grpc[at], token)})
			}
		}
		all = append(all, w)
		running.Go(func() { w.run(t, stop) })
	}
	return all, func() {
		close(stop)
		running.Wait()
	}
}

// awaitAll waits until all watchers know a resource.
func awaitAll(t *testing.T, all []*watcher, id string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		late := slices.IndexFunc(all, func(w *watcher) bool { return !w.has(id) })
		if late < 0 {
			return
		}
		if t.Failed() || time.Now().After(deadline) {
			t.Fatalf("the last change never arrives at the watcher %s", all[late].name)
		}
	}
}

// readAll reads what there is, by the calls that read resources.
func readAll(t *testing.T, c *client.Client) *replayed {
	t.Helper()
	now, ctx := newReplayed(true), t.Context()
	users := &musterv1.ListUsersRequest{PageToken: new(string), ExcludedAttributes: []string{"groups"}}
	for {
		out, err := c.Provisioning.ListUsers(ctx, users)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range out.GetUsers() {
			now.resources[u.GetId()] = u
		}
		if *users.PageToken = out.GetNextPageToken(); out.GetNextPageToken() == "" {
			break
		}
	}
	groups := &musterv1.ListGroupsRequest{PageToken: new(string), ExcludedAttributes: []string{"members"}}
	for {
		out, err := c.Provisioning.ListGroups(ctx, groups)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range out.GetGroups() {
			now.resources[g.GetId()] = g
			for _, m := range streamMembers(ctx, t, c, g.GetId()) {
				now.members[[2]string{g.GetId(), m}] = true
			}
		}
		if *groups.PageToken = out.GetNextPageToken(); out.GetNextPageToken() == "" {
			return now
		}
	}
}

func streamMembers(ctx context.Context, t *testing.T, c *client.Client, group string) (members []string) {
	t.Helper()
	stream, err := c.Directory.StreamMembers(ctx, &musterv1.StreamMembersRequest{Group: &musterv1.GroupKey{Key: &musterv1.GroupKey_Id{Id: group}}})
	if err != nil {
		t.Fatal(err)
	}
	for {
		out, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return members
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.GetMembers() {
			members = append(members, m.GetValue())
		}
	}
}

// mustEqual compares what was replayed with what there is.
func (r *replayed) mustEqual(t *testing.T, name string, now *replayed) {
	t.Helper()
	if !maps.EqualFunc(r.resources, now.resources, func(a, b scim.Resource) bool { return proto.Equal(a, b) }) {
		t.Errorf("watcher %s has %d resources, the database %d", name, len(r.resources), len(now.resources))
		for id, have := range now.resources {
			if !proto.Equal(r.resources[id], have) {
				t.Errorf("for example %v in place of %v", r.resources[id], have)
				break
			}
		}
	}
	if !maps.Equal(r.members, now.members) {
		t.Errorf("watcher %s has %d memberships, the database %d", name, len(r.members), len(now.members))
	}
}

// listPositions reads the positions of the whole log, page by page.
func listPositions(t *testing.T, c *client.Client) (all []int64) {
	t.Helper()
	for after := int64(0); ; {
		out, err := c.Changes.ListChanges(t.Context(), &musterv1.ListChangesRequest{AfterPosition: after})
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range out.GetChanges() {
			all = append(all, change.GetPosition())
		}
		if after = out.GetPosition(); !out.GetMore() {
			return all
		}
	}
}

// checkSequence looks at the rows of the log on PostgreSQL themselves: each has one
// number, and none is left out.
func checkSequence(t *testing.T, database string, want int) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var rows, numbers, first, last int
	err = conn.QueryRow(ctx, "SELECT count(*), count(DISTINCT sequence), min(sequence), max(sequence) FROM changes").Scan(&rows, &numbers, &first, &last)
	if err != nil || rows != want || numbers != want || first != 1 || last != want {
		t.Errorf("%v; the log has %d rows with %d numbers from %d to %d, and tells of %d", err, rows, numbers, first, last, want)
	}
}
