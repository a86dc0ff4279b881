package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/muster-scim/muster/client"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A way is how a writer reaches a server: REST or gRPC. kind is User or Group.
type way interface {
	create(kind, name string) (id string, err error)
	patch(kind, id, op, path string, value any) error
	remove(kind, id string) error
}

// errFault is a server's answer that tells of a fault of its own, whatever breaks
// around it.
var errFault = errors.New("the server is at fault")

// viaREST is REST as provisioning clients use it, at one server.
type viaREST struct{ base string }

func (d viaREST) call(method, path string, body map[string]any) (map[string]any, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(method, d.base+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/scim+json")
	res, err := noRedirects.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode >= 400 && res.StatusCode != http.StatusServiceUnavailable:
		return nil, fmt.Errorf("%w: %s %s: %d %s", errFault, method, path, res.StatusCode, answer)
	case res.StatusCode >= 400:
		return nil, errors.New(string(answer))
	case len(answer) == 0:
		return map[string]any{}, nil
	}
	var resource map[string]any
	return resource, json.Unmarshal(answer, &resource)
}

func (d viaREST) create(kind, name string) (string, error) {
	body := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:" + kind}}
	if kind == "User" {
		body["userName"], body["emails"] = name, []map[string]any{{"value": name + "@example.com"}}
	} else {
		body["displayName"] = name
	}
	out, err := d.call(http.MethodPost, "/"+kind+"s", body)
	if err != nil {
		return "", err
	}
	return out["id"].(string), nil
}

func (d viaREST) patch(kind, id, op, path string, value any) error {
	operation := map[string]any{"op": op, "path": path}
	if value != nil {
		operation["value"] = value
	}
	_, err := d.call(http.MethodPatch, "/"+kind+"s/"+id, map[string]any{
		"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": []any{operation},
	})
	return err
}

func (d viaREST) remove(kind, id string) error {
	_, err := d.call(http.MethodDelete, "/"+kind+"s/"+id, nil)
	return err
}

// viaGRPC is gRPC as services use it, at one server.
type viaGRPC struct{ client *client.Client }

// call is the context of one call; what a server does not answer in a minute, it never
// will.
func (viaGRPC) call() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

// judged tells faults of the server from those that its end brings.
func judged(err error) error {
	switch status.Code(err) {
	case codes.OK, codes.Unavailable, codes.Canceled:
		return err
	default:
		return fmt.Errorf("%w: %w", errFault, err)
	}
}

func (d viaGRPC) create(kind, name string) (string, error) {
	ctx, cancel := d.call()
	defer cancel()
	if kind == "Group" {
		out, err := d.client.Provisioning.CreateGroup(ctx, &musterv1.CreateGroupRequest{Group: &musterv1.Group{DisplayName: name}})
		return out.GetGroup().GetId(), judged(err)
	}
	u := &musterv1.User{UserName: name, Emails: []*musterv1.Email{{Value: name + "@example.com"}}}
	out, err := d.client.Provisioning.CreateUser(ctx, &musterv1.CreateUserRequest{User: u})
	return out.GetUser().GetId(), judged(err)
}

func (d viaGRPC) patch(kind, id, op, path string, value any) (err error) {
	ctx, cancel := d.call()
	defer cancel()
	var v *structpb.Value
	if value != nil {
		v, err = structpb.NewValue(value)
	}
	if err != nil {
		return err
	}
	words := map[string]musterv1.PatchOperation_Op{"add": musterv1.PatchOperation_OP_ADD, "remove": musterv1.PatchOperation_OP_REMOVE, "replace": musterv1.PatchOperation_OP_REPLACE}
	ops := []*musterv1.PatchOperation{{Op: words[op], Path: path, Value: v}}
	if kind == "Group" {
		_, err = d.client.Provisioning.PatchGroup(ctx, &musterv1.PatchGroupRequest{Id: id, Operations: ops})
	} else {
		_, err = d.client.Provisioning.PatchUser(ctx, &musterv1.PatchUserRequest{Id: id, Operations: ops})
	}
	return judged(err)
}

func (d viaGRPC) remove(kind, id string) (err error) {
	ctx, cancel := d.call()
	defer cancel()
	if kind == "Group" {
		_, err = d.client.Provisioning.DeleteGroup(ctx, &musterv1.DeleteGroupRequest{Id: id})
	} else {
		_, err = d.client.Provisioning.DeleteUser(ctx, &musterv1.DeleteUserRequest{Id: id})
	}
	return judged(err)
}

// A fact is what a writer knows of one thing that it alone changes.
type fact struct {
	sure string // the last that was acknowledged
	// may is what was asked for and not answered. It can come true at any time, also
	// after a later request that was answered: nobody said that it would not.
	may []string
}

// A writer changes users and groups of its own, and their membership in a group that
// all writers share. Where a server does not answer it goes to the next.
type writer struct {
	name   string
	ways   []way
	shared string

	users, groups []string // that are there for sure
	facts         map[string]fact
	made          int
	acked, failed *atomic.Int64
}

// learn keeps what is known of a thing after it was asked to be so.
func (w *writer) learn(t *testing.T, thing, value string, err error) bool {
	f := w.facts[thing]
	if err == nil {
		w.acked.Add(1)
		f.sure = value
	} else {
		w.failed.Add(1)
		f.may = append(f.may, value)
		w.ways = append(w.ways[1:], w.ways[0])
		if errors.Is(err, errFault) {
			t.Errorf("%s makes %s %s: %v", w.name, thing, value, err)
		}
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
	}
	w.facts[thing] = f
	return err == nil
}

func (w *writer) run(t *testing.T, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		switch n := rand.IntN(20); {
		case len(w.groups) == 0 || n == 0:
			w.create(t, "Group", &w.groups)
		case len(w.users) < 5 || n < 6:
			w.create(t, "User", &w.users)
		case n < 10:
			user := w.users[rand.IntN(len(w.users))]
			w.made++
			title := fmt.Sprint(w.made)
			w.learn(t, "title/"+user, title, w.ways[0].patch("User", user, "replace", "title", title))
		case n < 14:
			group, user := w.pair()
			w.learn(t, "member/"+group+"/"+user, "in", w.ways[0].patch("Group", group, "add", "members", []any{map[string]any{"value": user}}))
		case n < 17:
			group, user := w.pair()
			w.learn(t, "member/"+group+"/"+user, "out", w.ways[0].patch("Group", group, "remove", `members[value eq "`+user+`"]`, nil))
		case n < 19:
			w.remove(t, "User", &w.users)
		case len(w.groups) > 1:
			w.remove(t, "Group", &w.groups)
		}
	}
}

// pair is a group, often the one that all share, and a user.
func (w *writer) pair() (group, user string) {
	group = w.shared
	if rand.IntN(2) == 0 {
		group = w.groups[rand.IntN(len(w.groups))]
	}
	return group, w.users[rand.IntN(len(w.users))]
}

func (w *writer) create(t *testing.T, kind string, all *[]string) {
	w.made++
	name := fmt.Sprintf("%s-%d", w.name, w.made)
	id, err := w.ways[0].create(kind, name)
	if err == nil {
		w.facts["name/"+id] = fact{sure: name}
		*all = append(*all, id)
	}
	w.learn(t, "there/"+id, "yes", err)
}

// remove deletes one of them. It is not used again, whether that is answered or not.
func (w *writer) remove(t *testing.T, kind string, all *[]string) {
	at := rand.IntN(len(*all))
	id := (*all)[at]
	*all = append((*all)[:at], (*all)[at+1:]...)
	w.learn(t, "there/"+id, "no", w.ways[0].remove(kind, id))
}

// check compares what the writer was told with what is there.
func (w *writer) check(t *testing.T, now *replayed) {
	t.Helper()
	for thing, f := range w.facts {
		if f.sure == "" {
			continue // nothing was ever acknowledged
		}
		what, id, _ := strings.Cut(thing, "/")
		got := ""
		switch r := now.resources[id]; what {
		case "there":
			got = map[bool]string{true: "yes", false: "no"}[r != nil]
		case "name":
			switch r := r.(type) {
			case *musterv1.User:
				got = r.GetUserName()
			case *musterv1.Group:
				got = r.GetDisplayName()
			}
		case "title":
			u, _ := r.(*musterv1.User)
			got = u.GetTitle()
		case "member":
			group, user, _ := strings.Cut(id, "/")
			if now.resources[group] == nil || now.resources[user] == nil {
				continue
			}
			got = map[bool]string{true: "in", false: "out"}[now.members[[2]string{group, user}]]
		}
		if what != "there" && what != "member" && now.resources[id] == nil {
			continue // that it should be there is another fact
		}
		if got != f.sure && !slices.Contains(f.may, got) {
			t.Errorf("%s was told that %s is %s, perhaps %v, and it is %q", w.name, thing, f.sure, f.may, got)
		}
	}
}
