package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/test/postgres"
)

// quick is how long a page may take.
const quick = 100 * time.Millisecond

// Every page is quick with 100,000 users, one group of which has them all.
// MUSTER_TEST_SPEED says how many users there are; without it the test is skipped,
// since filling two databases takes minutes.
func TestPages_AreQuick(t *testing.T) {
	many, err := strconv.Atoi(os.Getenv("MUSTER_TEST_SPEED"))
	if err != nil {
		t.Skip("MUSTER_TEST_SPEED=100000 measures the pages")
	}
	t.Run("SQLite", func(t *testing.T) {
		measurePages(t, newWorldOn(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db")), many)
	})
	t.Run("PostgreSQL", func(t *testing.T) { measurePages(t, newWorldOn(t, postgres.URL(t)), many) })
}

func measurePages(t *testing.T, w *world, many int) {
	t.Helper()
	start := time.Now()
	ids := w.fill(t, many)
	t.Logf("%d users after %s", many, time.Since(start).Round(time.Second))
	all := w.fillGroup(t, "Everybody", ids)
	some := w.fillGroup(t, "Some", ids[:min(many, 5000)])
	half := w.fillGroup(t, "Half", ids[many/2:]) // many names are of nobody in it
	w.group(t, "Outer", all)
	for i := range 50 {
		w.group(t, fmt.Sprint("Team ", i), ids[i*7])
	}
	t.Logf("groups after %s", time.Since(start).Round(time.Second))
	// A program does this every second and every ten.
	for _, upkeep := range []func(context.Context) error{w.store.SequenceChanges, w.store.AnalyzeGrown} {
		if err := upkeep(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range append(plainPages(), "credentials/test", "credentials/test/connect", "tenants/default",
		"activity?errors=1", "activity?path=/nowhere", "audit?failures=1", "audit?reads=1", "audit?operator=nobody", "audit?resource="+ids[5], "activity/changes?attribute=nothing",
		"schemas/urn:ietf:params:scim:schemas:core:2.0:User", "users?q=a", "users?q=ada", "users?q=lovelace", "users?q=ada+lovelace.9", "users?q=user.77777", "users?q=u", "users?q=user", "users?q=nobody-of-this-name", "users?q=example.com",
		"users?sort=userName", "users?down=1", "users?sort=meta.lastModified&down=1",
		"users?filter="+"userName+sw+%22user.777%22", "users?filter=active+eq+false",
		"users/"+ids[many/2], "users/"+ids[many/2]+"/deactivate",
		"groups?q=team", "groups/"+all, "groups?sort=meta.lastModified",
		"groups/"+all+"?q=u", "groups/"+all+"?q=u#members", "groups/"+all+"?q=user.77777#members", "groups/"+all+"?q=ada#members", "groups/"+all+"?q=lovelace#members", "groups/"+all+"?q=nobody#members",
		"groups/"+half+"?q=user.1#members", "groups/"+half+"?q=user#members", "groups/"+some+"?q=user#members", "groups/"+some+"?q=nobody#members",
		"groups/"+all+"/members/"+ids[5]+"/remove",
	) {
		times := make([]time.Duration, 0, 12)
		for range 12 {
			times = append(times, w.timed(t, path))
		}
		first := times[0]
		slices.Sort(times)
		median, worst := times[len(times)/2], times[len(times)-1]
		line := fmt.Sprintf("%-60s first %8.1f ms, median %8.1f ms, worst %8.1f ms", shortened(path), ms(first), ms(median), ms(worst))
		t.Log(line)
		if median > quick {
			t.Errorf("not quick: %s", line)
		}
	}
}

// plainPages are the pages that have an address of their own: not streams and downloads, nor
// what goes on elsewhere, nor the verification of the audit log, which reads all of it.
func plainPages() (paths []string) {
	for _, rt := range routes {
		path, found := strings.CutPrefix(rt.pattern, "GET /")
		if path = strings.TrimSuffix(path, "{$}"); found && !strings.ContainsAny(path, "{") &&
			!slices.Contains([]string{"audit/export", "audit/verify", "activity/export", "activity/stream", "activity/changes/stream", "users-live", "groups-live", "credentials-refused", "oidc/callback", "saml/metadata", "signin/start"}, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func shortened(path string) string {
	return strings.ReplaceAll(path, "-", "")[:min(58, len(strings.ReplaceAll(path, "-", "")))]
}

// timed gets a page, or a fragment of it, and tells how long it took.
func (w *world) timed(t *testing.T, path string) time.Duration {
	t.Helper()
	path, fragment, _ := strings.Cut(path, "#")
	r, err := http.NewRequest(http.MethodGet, w.URL+root+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Muster-Fragment", fragment)
	start := time.Now()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(path, answer.Status, err)
	}
	return time.Since(start)
}

// fill makes many users; one in twenty is not active.
func (w *world) fill(t *testing.T, many int) []string {
	t.Helper()
	ids := make([]string, many)
	var g errgroup.Group
	g.SetLimit(64)
	for i := range many {
		g.Go(func() error {
			first, last := given[i%len(given)], fmt.Sprintf("%s-%d", family[i%len(family)], i/72)
			name := fmt.Sprintf("user.%d@example.com", i)
			out, err := w.provisioning.CreateUser(w.ctx, &musterv1.CreateUserRequest{User: &musterv1.User{
				UserName: name, DisplayName: first + " " + last, Name: &musterv1.Name{GivenName: first, FamilyName: last}, Active: new(i%20 != 0),
				Emails: []*musterv1.Email{{Value: strings.ToLower(first + "." + last + "@example.com"), Primary: new(true)}}, Title: "Engineer",
				EnterpriseUser: &musterv1.EnterpriseUser{Department: "Engines", EmployeeNumber: strconv.Itoa(i)},
			}})
			ids[i] = out.GetUser().GetId()
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// fillGroup makes a group of many members, some thousand at a time.
func (w *world) fillGroup(t *testing.T, name string, ids []string) string {
	t.Helper()
	id := w.group(t, name).GetId()
	for some := range slices.Chunk(ids, 5000) {
		g := &musterv1.Group{}
		for _, m := range some {
			g.Members = append(g.Members, &musterv1.Member{Value: m})
		}
		w.addMembers(t, id, g)
	}
	return id
}
