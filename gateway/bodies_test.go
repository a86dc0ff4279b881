package gateway

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Large bodies that are slow to come leave room for small ones, and for large ones from
// elsewhere; they wait a little, and are then sent away.
func TestBodies_LargeOnesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBodies(allBodies / 8)
		here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		var ends []func()
		take := func(from netip.Addr) (waited time.Duration, refused *problem) {
			begin := time.Now()
			done, refused := b.take(t.Context(), from)
			if refused == nil {
				ends = append(ends, done)
			}
			return time.Since(begin), refused
		}
		for range 2 {
			if waited, refused := take(here); refused != nil || waited != 0 {
				t.Fatalf("after %s: %v", waited, refused)
			}
		}
		if waited, refused := take(here); refused == nil || refused.status != http.StatusServiceUnavailable || waited != maxBodyWait {
			t.Errorf("one more from the same address, after %s: %v", waited, refused)
		}
		if waited, refused := take(there); refused != nil || waited != 0 {
			t.Errorf("from elsewhere, after %s: %v", waited, refused)
		}
		go func() {
			time.Sleep(time.Second)
			ends[0]()
		}()
		if waited, refused := take(here); refused != nil || waited != time.Second {
			t.Errorf("when a place is free, after %s: %v", waited, refused)
		}
		for i := range 9 { // all places, from many addresses
			if _, refused := take(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})); (refused != nil) != (i >= 5) {
				t.Errorf("address %d: %v", i, refused)
			}
		}
		for _, end := range ends[1:] {
			end()
		}
		if len(b.of) != 0 {
			t.Errorf("%d addresses are remembered", len(b.of))
		}
	})
}

// A body of any size comes through whole.
func TestFace_LargeBodies(t *testing.T) {
	c := &canned{}
	h := newFace(t, c, Options{})
	for _, size := range []int{smallBody - 1, smallBody, smallBody + 1, 5 * smallBody} {
		frame := `{"userName":""}`
		body := strings.Replace(frame, `""`, `"`+strings.Repeat("a", size-len(frame))+`"`, 1)
		for _, length := range []int64{int64(size), -1} { // -1: it is not told
			c.calls = 0
			r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/scim/v2/Users", io.NopCloser(strings.NewReader(body)))
			r.ContentLength = length
			h.ServeHTTP(httptest.NewRecorder(), r)
			if c.calls != 1 {
				t.Errorf("a body of %d bytes, of which %d are told, did not pass", size, length)
			}
		}
	}
}
