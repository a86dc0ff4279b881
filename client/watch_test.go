package client

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A watcher that begins while no server is there waits for one, and forgets nothing.
func TestWatch_NoServer(t *testing.T) {
	c, err := Dial(Options{Address: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	err = c.Watch(ctx, WatchOptions{Snapshot: true}, func(_ context.Context, e Event) error {
		t.Errorf("nobody sent %v", e)
		return nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
