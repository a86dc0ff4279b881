package console

import (
	"context"
	"database/sql"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// execute changes the database behind the server's back, as only time does.
func (w *world) execute(t testing.TB, text string, args ...any) {
	t.Helper()
	driver, source := "pgx", w.database
	if path, embedded := strings.CutPrefix(w.database, "sqlite://"); embedded {
		driver, source = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	} else {
		for n := range args {
			text = strings.Replace(text, "?", fmt.Sprint("$", n+1), 1)
		}
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out, err := db.ExecContext(context.Background(), text, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := out.RowsAffected(); n == 0 || err != nil {
		t.Fatalf("%s changes nothing (%v)", text, err)
	}
}

// age makes a group one that was written last so many days ago.
func (w *world) age(t testing.TB, id string, days int) {
	t.Helper()
	w.execute(t, "UPDATE resources SET updated_at = ? WHERE id = ?", time.Now().AddDate(0, 0, -days).UnixMilli(), id)
}

// The page tells of the traffic, in all and by credential, of whom it has heard nothing,
// and of those who are told of changes.
func TestHealth_Page(t *testing.T) {
	c := newCompany(t)
	answer, body := c.get(t, "health?since=24h")
	body = html.UnescapeString(body)
	total, err := c.activity.GetTraffic(c.ctx, &musterv1.GetTrafficRequest{Total: true, UnknownTenant: true})
	if err != nil || total.GetSeries()[0].GetSum().GetRequests() < int64(len(verifying)) {
		t.Fatalf("the traffic is %v, %v", total, err)
	}
	sum := total.GetSeries()[0].GetSum()
	for _, want := range []string{
		"Requests, Last day: " + number(sum.GetRequests()) + ";", "Errors, Last day: " + errorRate(sum),
		`cyberark by REST: Requests, Last day: 5; at most 5 in 30 minutes`, "nobody known", "3 not let in",
		`<a href="/console/settings/webhooks/siem">siem</a>`, "Readers of the notes", `<span class="badge off">never used</span>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("it has no %s", want)
		}
	}
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
	// sync was heard of nine days ago, portal yesterday.
	for name, want := range map[string]string{"sync": `<span class="badge warn">silent</span>`, "portal": `<span class="badge good">in touch</span>`} {
		_, row, _ := strings.Cut(body, `<a class="row" href="/console/credentials/`+name+`">`)
		if row, _, _ = strings.Cut(row, "</tr>"); !strings.Contains(row, want) {
			t.Errorf("%s is shown as %s", name, row)
		}
	}
}

// A server that nobody has used has a page, too.
func TestHealth_Empty(t *testing.T) {
	w := newWorld(t)
	answer, body := w.get(t, "health")
	for _, want := range []string{"Nobody asked for anything.", "Nobody, over gRPC.", "There is none.", "A client has written each group in the last 30 days."} {
		if !strings.Contains(body, want) {
			t.Errorf("it has no %s", want)
		}
	}
	if answer.StatusCode != http.StatusOK || strings.Contains(body, "Clean up") {
		t.Errorf("%s, or there is something to clean up", answer.Status)
	}
}

// Bars stand where their time is, and are as high as their part of the highest.
func TestChart_Bars(t *testing.T) {
	c := newCompany(t)
	_, body := c.get(t, "health?since=7d")
	bars := regexp.MustCompile(`<rect class="usual" x="(\d+)\.1" y="([\d.]+)" width="0.8" height="([\d.]+)"/>`).FindAllStringSubmatch(body, -1)
	steps := regexp.MustCompile(`viewBox="0 0 (\d+) 100"`).FindStringSubmatch(body)
	if len(bars) == 0 || len(steps) == 0 || steps[1] != "43" && steps[1] != "42" {
		t.Fatalf("bars %v in %v steps", bars, steps)
	}
	for _, b := range bars {
		if b[1] != "42" && b[1] != "41" {
			t.Errorf("a bar of now stands at %s", b[1])
		}
	}
}

// A clean-up is looked at first, deletes what was ticked and nothing else, and only for
// who may do it.
func TestStale_CleanUp(t *testing.T) {
	c := newCompany(t)
	there := func(id string) bool {
		_, err := c.provisioning.GetGroup(c.ctx, &musterv1.GetGroupRequest{Id: id})
		if err != nil && status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}
		return err == nil
	}
	_, body := c.get(t, "health/stale/delete?days=90")
	ids := regexp.MustCompile(`name="id" value="([^"]+)" checked`).FindAllStringSubmatch(body, -1)
	if len(ids) != 2 || !strings.Contains(body, "Nothing is deleted yet") || strings.Contains(body, "Moving to the new building") {
		t.Fatalf("it would delete %v", ids)
	}
	first, second := ids[0][1], ids[1][1]
	form := url.Values{"id": {first, c.staff.GetId()}} // All staff is not stale

	c.signIn("viewer")
	for _, path := range []string{"health", "health/stale"} {
		if _, body := c.get(t, path); strings.Contains(body, "Clean up") || !strings.Contains(body, "Readers of the notes") {
			t.Errorf("%s has a button for a viewer, or not the groups", path)
		}
	}
	if answer, _ := c.post(t, "health/stale/delete?days=90", form); answer.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer deletes: %s", answer.Status)
	}
	c.signIn("administrator")
	if answer, _ := c.post(t, "health/stale/delete?days=90", nil); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("without any that is ticked: %s", answer.Status)
	}
	if answer, _ := c.post(t, "health/stale/delete?days=0", form); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("of no days: %s", answer.Status)
	}
	if !there(first) || !there(second) {
		t.Fatal("it is deleted before it is confirmed")
	}
	if answer, _ := c.post(t, "health/stale/delete?days=90", form); answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/console/health/stale?days=90" {
		t.Errorf("deleted: %s to %s", answer.Status, answer.Header.Get("Location"))
	}
	if there(first) || !there(second) || !there(c.staff.GetId()) {
		t.Errorf("there are: %t %t %t", there(first), there(second), there(c.staff.GetId()))
	}
}

// Who follows the changes is on the page with how far behind it is, for as long as it
// does.
func TestHealth_Watchers(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	stream, err := w.changes.WatchChanges(ctx, &musterv1.WatchChangesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	w.group(t, "Board")
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	shows := func(what string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			_, body := w.get(t, "health")
			_, card, _ := strings.Cut(body, "Who follows the changes now")
			if card, _, _ = strings.Cut(card, "</section>"); strings.Contains(card, what) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("it has no %s:\n%s", what, card)
			}
		}
	}
	shows(`<td class="main-cell">ada `)
	shows(`up to date`)
	cancel()
	shows("Nobody, over gRPC.")
}
