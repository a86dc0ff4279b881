package test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Watchers that do not read take nothing from those who write, and the server holds
// little for them; when they read again they miss nothing.
func TestWatchers_ThatDoNotRead(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		load := &creates{program: p}
		load.run(t, time.Second) // what is new costs more
		var with, without []float64
		for pair := range 7 {
			for _, stalled := range []bool{pair%2 == 0, pair%2 == 1} {
				if !stalled {
					without = append(without, load.run(t, 400*time.Millisecond))
					continue
				}
				streams, end := stall(t, p, 20)
				with = append(with, load.run(t, 400*time.Millisecond))
				if end(); len(streams) == 0 {
					t.Fatal("there was no stream")
				}
			}
		}
		slices.Sort(with)
		slices.Sort(without)
		t.Logf("creates each second, as medians: %.0f with 20 watchers that do not read, %.0f without", with[3], without[3])
		if with[3] < without[3]/2 {
			t.Errorf("writers are slowed down: %.0f with, %.0f without", with, without)
		}
		holdStalled(t, p, load, tortureTime(t, 6*time.Second)/3)
	})
}

// holdStalled lets watchers stand still for some time, looks at the server's memory
// meanwhile, and then reads all that one of them is owed.
func holdStalled(t *testing.T, p *program, load *creates, long time.Duration) {
	t.Helper()
	before := p.memory(t)
	streams, end := stall(t, p, 20)
	defer end()
	most := before
	var rate float64
	for stop := time.Now().Add(long); time.Now().Before(stop); most = max(most, p.memory(t)) {
		rate = load.run(t, 500*time.Millisecond)
	}
	t.Logf("after %v of %.0f creates each second, %d in all: the server has %d MiB, had %d before", long, rate, load.made.Load(), most>>20, before>>20)
	if grown := most - before; grown > 200<<20 {
		t.Errorf("the server holds %d MiB more for 20 watchers that do not read", grown>>20)
	}
	last := int64(0)
	for got := int64(1); got < load.made.Load(); { // the first was read by stall
		out, err := streams[0].Recv()
		if err != nil {
			t.Fatal(err)
		}
		if c := out.GetChange(); c != nil {
			if got++; c.GetPosition() <= last {
				t.Fatalf("position %d after %d", c.GetPosition(), last)
			}
			last = c.GetPosition()
		}
	}
}

// stall opens streams of all changes, each over a connection of its own, and reads one
// message of each.
func stall(t *testing.T, p *program, n int) (streams []grpc.ServerStreamingClient[musterv1.WatchChangesResponse], end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	for range n {
		stream, err := dialClient(t, p.grpc, token).Changes.WatchChanges(ctx, &musterv1.WatchChangesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	return streams, cancel
}

// creates is a load of creates of some size.
type creates struct {
	program *program
	made    atomic.Int64
}

// run creates users from several clients, and returns how many each second.
func (c *creates) run(t *testing.T, long time.Duration) float64 {
	t.Helper()
	var clients sync.WaitGroup
	before, start := c.made.Load(), time.Now()
	for range 8 {
		clients.Go(func() {
			for time.Since(start) < long {
				body := fmt.Sprintf(`{"userName":"user%d","title":%q}`, c.made.Add(1), strings.Repeat("x", 1000))
				if r, err := c.program.tryREST(http.MethodPost, "/Users", body); err != nil || r.status != http.StatusCreated {
					t.Errorf("%v: %d %s", err, r.status, r.body)
					return
				}
			}
		})
	}
	clients.Wait()
	return float64(c.made.Load()-before) / time.Since(start).Seconds()
}

// memory is how much memory the program uses; 0 on systems that do not tell.
func (p *program) memory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	return 0
}
