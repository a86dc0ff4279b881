package test

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A cutter is a proxy for TCP, whose connections break as those of a bad network do.
// Each goes to one of the targets, by chance, or to another if that one is not there.
type cutter struct {
	address string
	targets []string
	mu      sync.Mutex
	links   map[*cutLink]bool
}

// cutLink is a connection through the proxy.
type cutLink struct {
	near, far net.Conn
	// stalled: what is sent gets lost, and nobody is told.
	stalled atomic.Bool
}

func newCutter(t *testing.T, targets ...string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{address: l.Addr().String(), targets: targets, links: make(map[*cutLink]bool)}
	t.Cleanup(func() {
		l.Close()
		c.cut()
	})
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(near)
		}
	}()
	return c
}

func (c *cutter) serve(near net.Conn) {
	defer near.Close()
	var far net.Conn
	for _, at := range rand.Perm(len(c.targets)) {
		var err error
		if far, err = net.Dial("tcp", c.targets[at]); err == nil {
			break
		}
	}
	if far == nil {
		return
	}
	link := &cutLink{near: near, far: far}
	c.mu.Lock()
	c.links[link] = true
	c.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { link.pass(near, far) })
	both.Go(func() { link.pass(far, near) })
	both.Wait()
	c.mu.Lock()
	delete(c.links, link)
	c.mu.Unlock()
}

// pass hands on what comes, until one end is closed, and then closes the other.
func (l *cutLink) pass(to io.WriteCloser, from io.Reader) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if l.stalled.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// cut breaks all connections, and tells how many there were.
func (c *cutter) cut() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for link := range c.links {
		link.near.Close()
		link.far.Close()
	}
	return len(c.links)
}

// stall loses what is sent over the connections that there are, as a cable does that
// was pulled: neither end is told.
func (c *cutter) stall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for link := range c.links {
		link.stalled.Store(true)
	}
}
