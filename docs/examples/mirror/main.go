// Command mirror is a service that keeps a copy of Muster's users and groups and answers
// questions about them over HTTP, without a call to Muster: also while Muster is not
// there, and at once when it is started again.
//
//	MUSTER_TOKEN=muster_… go run ./docs/examples/mirror -muster 127.0.0.1:9090 -copy users.db
//	curl 127.0.0.1:8090/users/ada.l@example.com
//	curl 127.0.0.1:8090/groups/Engineering/members/ada.l@example.com
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/muster-scim/muster/client"
	"github.com/muster-scim/muster/client/sqlite"
)

func main() {
	address := flag.String("muster", "127.0.0.1:9090", "gRPC address of Muster")
	listen := flag.String("listen", "127.0.0.1:8090", "address to answer on")
	file := flag.String("copy", "users.db", "file of the copy")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *address, *listen, *file)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		slog.Error("the mirror ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, listen, file string) error {
	c, err := client.Dial(client.Options{Address: address, Token: os.Getenv("MUSTER_TOKEN")})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	db, err := sqlite.Open(ctx, file)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	mirror := client.NewMirror(c, db)

	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	slog.Info("listening", "address", l.Addr().String())
	face := &http.Server{Handler: routes(mirror), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = face.Serve(l) }() // until the mirror ends
	defer func() { _ = face.Close() }()
	return mirror.Run(ctx)
}

func routes(m *client.Mirror) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{name}", func(w http.ResponseWriter, r *http.Request) { answer(m, w, r, user) })
	mux.HandleFunc("GET /groups/{group}/members/{name}", func(w http.ResponseWriter, r *http.Request) { answer(m, w, r, member) })
	return mux
}

var errNotFound = errors.New("not found")

// answer answers a question once there is a copy to ask.
func answer(m *client.Mirror, w http.ResponseWriter, r *http.Request, question func(m *client.Mirror, r *http.Request) (any, error)) {
	select {
	case <-m.Ready():
	default:
		http.Error(w, "the first copy is not complete yet", http.StatusServiceUnavailable)
		return
	}
	out, err := question(m, r)
	var body []byte
	if err == nil {
		body, err = json.Marshal(out)
	}
	switch {
	case errors.Is(err, errNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(append(body, '\n')) // the client may be gone
	}
}

// user tells of a user, with the names of its groups.
func user(m *client.Mirror, r *http.Request) (any, error) {
	u, err := m.UserByName(r.Context(), r.PathValue("name"))
	if err != nil || u == nil {
		return nil, errors.Join(err, errNotFound)
	}
	ids, err := m.GroupsOf(r.Context(), u.GetId(), false)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, id := range ids {
		g, err := m.Group(r.Context(), id)
		if err != nil {
			return nil, err
		}
		if g != nil { // the next change may be that it is gone
			names = append(names, g.GetDisplayName())
		}
	}
	slices.Sort(names)
	active := u.Active == nil || u.GetActive()
	return map[string]any{"id": u.GetId(), "userName": u.GetUserName(), "active": active, "groups": names}, nil
}

// member tells whether an active user is in one of the groups of a name.
func member(m *client.Mirror, r *http.Request) (any, error) {
	u, err := m.UserByName(r.Context(), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	groups, err := m.GroupsByName(r.Context(), r.PathValue("group"))
	if err != nil {
		return nil, err
	}
	allowed := false
	for _, g := range groups {
		in, err := m.IsMember(r.Context(), u.GetId(), g.GetId(), false)
		if err != nil {
			return nil, err
		}
		allowed = allowed || in && (u.Active == nil || u.GetActive())
	}
	return map[string]any{"allowed": allowed}, nil
}
