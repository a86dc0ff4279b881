package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Receivers of security event tokens find their keys and poll (RFC 8936) beside SCIM, in
// plain JSON as administration is, and with its errors. Members of a request that nobody
// knows are passed over, as that RFC wants.

// eventsPath is where receivers are served. http.yaml writes it out in each rule.
const eventsPath = "/events/v1"

// keysPath has the public keys, which may be kept for a while.
const keysPath = eventsPath + "/jwks.json"

func newEvents(ctx context.Context, conn grpc.ClientConnInterface) (*admin, error) {
	a := newPlain("there is nothing at this path; the keys of events are at "+keysPath, protojson.UnmarshalOptions{DiscardUnknown: true})
	if err := musterv1.RegisterEventServiceHandlerClient(ctx, a.mux, musterv1.NewEventServiceClient(knownParameters{conn})); err != nil {
		return nil, fmt.Errorf("registering the event service: %w", err)
	}
	return a, nil
}

// isEvents tells whether a request is of a receiver of events.
func isEvents(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, eventsPath+"/") }
