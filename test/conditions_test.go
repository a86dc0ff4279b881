package test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// An attempt is one of several writers who all saw the same version: it changes a
// user or group to something that is its own, on a condition, and tells how that
// ended.
type attempt func(t *testing.T, id, version string, i int) string

// attempts are the writes of each door. "won" is a success and "412" a version that
// does not match; "404" is what a deleted resource says.
func (p *program) attempts(t *testing.T) map[string]attempt {
	t.Helper()
	client := musterv1.NewProvisioningServiceClient(p.dial(t))
	all := map[string]attempt{}
	for name, write := range map[string]struct{ method, path, body string }{
		"REST PUT /Users":     {http.MethodPut, "/Users/", `{"userName":"ID","title":"title %d"}`},
		"REST PATCH /Users":   {http.MethodPatch, "/Users/", `{"Operations":[{"op":"replace","path":"title","value":"title %d"}]}`},
		"REST DELETE /Users":  {http.MethodDelete, "/Users/", ""},
		"REST PUT /Groups":    {http.MethodPut, "/Groups/", `{"displayName":"group %d"}`},
		"REST PATCH /Groups":  {http.MethodPatch, "/Groups/", `{"Operations":[{"op":"replace","path":"displayName","value":"group %d"}]}`},
		"REST DELETE /Groups": {http.MethodDelete, "/Groups/", ""},
	} {
		all[name] = func(t *testing.T, id, version string, i int) string {
			body := write.body
			if strings.Contains(body, "%d") {
				body = strings.ReplaceAll(fmt.Sprintf(body, i), "ID", id)
			}
			return restOutcome(p.rest(t, write.method, write.path+id, body, "If-Match", version).status)
		}
	}
	replace := func(path string, i int) []*musterv1.PatchOperation {
		return []*musterv1.PatchOperation{{Op: musterv1.PatchOperation_OP_REPLACE, Path: path, Value: structpb.NewStringValue(fmt.Sprint("value ", i))}}
	}
	calls := map[string]func(ctx context.Context, id, version string, i int) error{
		"gRPC ReplaceUser": func(ctx context.Context, id, version string, i int) error {
			_, err := client.ReplaceUser(ctx, &musterv1.ReplaceUserRequest{Id: id, IfMatch: version, User: &musterv1.User{UserName: id, Title: fmt.Sprint("title ", i)}})
			return err
		},
		"gRPC PatchUser": func(ctx context.Context, id, version string, i int) error {
			_, err := client.PatchUser(ctx, &musterv1.PatchUserRequest{Id: id, IfMatch: version, Operations: replace("title", i)})
			return err
		},
		"gRPC DeleteUser": func(ctx context.Context, id, version string, _ int) error {
			_, err := client.DeleteUser(ctx, &musterv1.DeleteUserRequest{Id: id, IfMatch: version})
			return err
		},
		"gRPC ReplaceGroup": func(ctx context.Context, id, version string, i int) error {
			_, err := client.ReplaceGroup(ctx, &musterv1.ReplaceGroupRequest{Id: id, IfMatch: version, Group: &musterv1.Group{DisplayName: fmt.Sprint("group ", i)}})
			return err
		},
		"gRPC PatchGroup": func(ctx context.Context, id, version string, i int) error {
			_, err := client.PatchGroup(ctx, &musterv1.PatchGroupRequest{Id: id, IfMatch: version, Operations: replace("displayName", i)})
			return err
		},
		"gRPC DeleteGroup": func(ctx context.Context, id, version string, _ int) error {
			_, err := client.DeleteGroup(ctx, &musterv1.DeleteGroupRequest{Id: id, IfMatch: version})
			return err
		},
	}
	for name, call := range calls {
		all[name] = func(_ *testing.T, id, version string, i int) string {
			return grpcOutcome(call(authorized(), id, version, i))
		}
	}
	for door, send := range map[string]func(*testing.T, string) ([]bulkResult, string){"REST": p.bulkREST, "gRPC": p.bulkGRPC} {
		all[door+" bulk PATCH /Users"] = func(t *testing.T, id, version string, i int) string {
			results, problem := send(t, fmt.Sprintf(`{"Operations":[{"method":"PATCH","path":"/Users/%s","version":%q,"data":{"Operations":[{"op":"replace","path":"title","value":"title %d"}]}}]}`, id, version, i))
			if problem != "" {
				return problem
			}
			return strings.ReplaceAll(results[0].Status, "200", "won")
		}
	}
	return all
}

func restOutcome(status int) string {
	if status/100 == 2 {
		return "won"
	}
	return fmt.Sprint(status)
}

func grpcOutcome(err error) string {
	switch status.Code(err).String() {
	case "OK":
		return "won"
	case "Aborted":
		return "412"
	case "NotFound":
		return "404"
	}
	return err.Error()
}

// race lets writers begin together and counts their outcomes.
func race(writers int, write func(i int) string) map[string]int {
	outcomes := make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range writers {
		wg.Go(func() {
			<-begin
			outcome := write(i)
			mu.Lock()
			defer mu.Unlock()
			outcomes[outcome]++
		})
	}
	close(begin)
	wg.Wait()
	return outcomes
}

// create makes a user or a group for a test, and returns id and version.
func (p *program) create(t *testing.T, endpoint, name string) (id, version string) {
	t.Helper()
	r := p.must(t, 201, http.MethodPost, endpoint, fmt.Sprintf(`{"userName":%q,"displayName":%[1]q}`, name))
	return r["id"].(string), r["meta"].(map[string]any)["version"].(string)
}

func endpointOf(name string) string {
	if strings.Contains(name, "User") {
		return "/Users"
	}
	return "/Groups"
}

// Of several writers with the same If-Match exactly one wins, by whatever verb and
// door.
func TestConditions_OneOfManyWins(t *testing.T) {
	const writers, rounds = 16, 3
	onBoth(t, func(t *testing.T, p *program) {
		for name, write := range p.attempts(t) {
			t.Run(name, func(t *testing.T) {
				for round := range rounds {
					id, version := p.create(t, endpointOf(name), fmt.Sprint(name, round))
					got := race(writers, func(i int) string { return write(t, id, version, i) })
					want := map[string]int{"won": 1, "412": writers - 1}
					if strings.Contains(strings.ToUpper(name), "DELETE") {
						want = map[string]int{"won": 1, "404": writers - 1}
					} else if v := p.must(t, 200, http.MethodGet, endpointOf(name)+"/"+id, "")["meta"].(map[string]any)["version"]; v != `W/"2"` {
						t.Errorf("afterwards the version is %v", v)
					}
					if !maps.Equal(got, want) {
						t.Errorf("round %d: %v, want %v", round, got, want)
					}
				}
			})
		}
	})
}

// The same where the writers come by different verbs and doors.
func TestConditions_OneOfManyWins_Mixed(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		var writes []attempt
		for name, write := range p.attempts(t) {
			if endpointOf(name) == "/Users" && !strings.Contains(strings.ToUpper(name), "DELETE") {
				writes = append(writes, write, write)
			}
		}
		for round := range 8 {
			id, version := p.create(t, "/Users", fmt.Sprint("mixed ", round))
			got := race(len(writes), func(i int) string { return writes[i](t, id, version, i) })
			if want := map[string]int{"won": 1, "412": len(writes) - 1}; !maps.Equal(got, want) {
				t.Errorf("round %d: %v, want %v", round, got, want)
			}
		}
	})
}

// Of several writers who all want to be the first to create a user, by single
// requests and by bulk, one is.
func TestConditions_OneCreates(t *testing.T) {
	const writers = 16
	onBoth(t, func(t *testing.T, p *program) {
		for round := range 4 {
			name := fmt.Sprint("one-creates-", round)
			user := fmt.Sprintf(`{"userName":%q}`, name)
			bulk := fmt.Sprintf(`{"Operations":[{"method":"POST","path":"/Users","bulkId":"a","data":%s}]}`, user)
			got := race(writers, func(i int) string {
				if i%2 == 0 {
					return fmt.Sprint(p.rest(t, http.MethodPost, "/Users", user).status)
				}
				results, problem := p.bulkREST(t, bulk)
				if problem != "" {
					return problem
				}
				return results[0].Status
			})
			if want := map[string]int{"201": 1, "409": writers - 1}; !maps.Equal(got, want) {
				t.Errorf("round %d: %v, want %v", round, got, want)
			}
		}
	})
}

// Every condition on every verb, on a resource at version 2.
func TestConditions_EveryVerb(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		client := musterv1.NewProvisioningServiceClient(p.dial(t))
		for _, c := range []struct {
			match, noneMatch string
			read, write      int
		}{
			{"", "", 200, 200},
			{`W/"2"`, "", 200, 200}, {`"2"`, "", 200, 200}, {`W/"1", W/"2"`, "", 200, 200}, {"*", "", 200, 200},
			{`W/"1"`, "", 412, 412}, {`W/"x"`, "", 412, 412},
			{"", `W/"2"`, 304, 412}, {"", `"2"`, 304, 412}, {"", `W/"1", W/"2"`, 304, 412}, {"", "*", 304, 412},
			{"", `W/"1"`, 200, 200}, {"", `W/"x"`, 200, 200},
			{`W/"2"`, `W/"1"`, 200, 200}, {`W/"2"`, `W/"2"`, 304, 412}, {`W/"1"`, `W/"1"`, 412, 412},
			{"2", "", 412, 400}, {"", "2", 200, 400},
		} {
			t.Run(c.match+"|"+c.noneMatch, func(t *testing.T) {
				id, _ := p.create(t, "/Users", c.match+"|"+c.noneMatch)
				path := "/Users/" + id
				p.must(t, 200, http.MethodPatch, path, `{"Operations":[{"op":"add","path":"title","value":"second"}]}`)
				wantWrite := c.write
				for _, step := range []struct {
					method, body string
					want         int
				}{
					{http.MethodGet, "", c.read},
					{http.MethodHead, "", c.read},
					{http.MethodPatch, `{"Operations":[{"op":"add","path":"title","value":"second"}]}`, wantWrite}, // changes nothing
					{http.MethodPut, fmt.Sprintf(`{"userName":%q,"displayName":%[1]q,"title":"second"}`, c.match+"|"+c.noneMatch), wantWrite},
				} {
					r := p.rest(t, step.method, path, step.body, "If-Match", c.match, "If-None-Match", c.noneMatch)
					if r.status != step.want {
						t.Errorf("%s: %d, want %d: %.200s", step.method, r.status, step.want, r.body)
					}
				}
				_, err := client.PatchUser(authorized(), &musterv1.PatchUserRequest{Id: id, IfMatch: c.match, IfNoneMatch: c.noneMatch, Operations: []*musterv1.PatchOperation{
					{Op: musterv1.PatchOperation_OP_REPLACE, Path: "title", Value: structpb.NewStringValue("second")},
				}})
				if got, want := status.Code(err).String(), map[int]string{200: "OK", 412: "Aborted", 400: "InvalidArgument"}[c.write]; got != want {
					t.Errorf("gRPC PatchUser: %v, want %s", err, want)
				}
				if c.write == 200 {
					wantWrite = 204
				}
				if r := p.rest(t, http.MethodDelete, path, "", "If-Match", c.match, "If-None-Match", c.noneMatch); r.status != wantWrite {
					t.Errorf("DELETE: %d, want %d: %.200s", r.status, wantWrite, r.body)
				}
			})
		}
		// A PUT makes no resource, whatever the condition.
		p.must(t, 404, http.MethodPut, "/Users/none", `{"userName":"none"}`, "If-None-Match", "*")
		etag := p.rest(t, http.MethodGet, "/Schemas", "").header.Get("ETag")
		if r := p.rest(t, http.MethodGet, "/Schemas", "", "If-None-Match", etag); r.status != 304 || len(r.body) != 0 {
			t.Errorf("GET /Schemas again: %d, %d bytes", r.status, len(r.body))
		}
	})
}
