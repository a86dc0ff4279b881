package server

import (
	"context"
	"time"

	"github.com/muster-scim/muster/scim"
)

// recheck is how often a stream makes sure that its credential is still good.
const recheck = 5 * time.Second

// errStopping ends streams when the server stops.
var errStopping = scim.Errorf(scim.Unavailable, "the server is stopping; go on from the last position")

// A vigil watches over a stream: that the server does not stop, and that the caller may
// still read what it began to read.
type vigil struct {
	server  *Server
	types   []string // names of the resource types that are read
	checked time.Time
}

func newVigil(s *Server, types ...string) *vigil {
	return &vigil{server: s, types: types, checked: time.Now()}
}

// check fails when the stream has to end. It may be called often: it asks for the
// credential from time to time.
func (v *vigil) check(ctx context.Context) error {
	select {
	case <-v.server.stopping:
		return errStopping
	default:
	}
	if time.Since(v.checked) < v.server.recheck {
		return nil
	}
	v.checked = time.Now()
	c := callOf(ctx)
	if err := v.server.identify(ctx, c); err != nil {
		return err
	}
	if c.preview != nil {
		c.principal.Tenant = c.preview.copy.Tenant // as usePreview did
	}
	for _, name := range v.types {
		if err := c.permit(c.method, name); err != nil {
			return err
		}
	}
	return nil
}
