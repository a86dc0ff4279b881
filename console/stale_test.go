package console

import (
	"database/sql"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-scim/muster/test/browser"
)

// A group that nobody has written for long is shown by a dry run, which deletes nothing,
// and deleted when that is confirmed; one that is not stale stays. A viewer cannot.
func TestStale_DryRunThenReal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "muster.db")
	w := newWorldOn(t, "sqlite://"+file)
	old, fresh := w.group(t, "Forgotten role"), w.group(t, "Used role")
	w.get(t, "health/stale") // what waits to be noted is
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{"UPDATE resources SET updated_at = 1000 WHERE id = ?", "DELETE FROM group_pushes WHERE group_id = ?"} {
		if _, err := db.Exec(statement, old.GetId()); err != nil {
			t.Fatal(err)
		}
	}

	w.signIn("viewer")
	if _, body := w.get(t, "health/stale"); !strings.Contains(body, "Forgotten role") || strings.Contains(body, "stale/delete") {
		t.Error("a viewer is not shown the group, or is offered to delete it")
	}
	if answer, _ := w.post(t, "health/stale/delete", url.Values{"id": {old.GetId()}, "days": {"30"}}); answer.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer's POST: %d", answer.StatusCode)
	}

	w.signIn("administrator")
	tab := browser.Open(t, w.URL+root)
	tab.Visit("health/stale")
	tab.Await("Forgotten role")
	tab.ClickText("Clean up")
	tab.Await("Delete stale groups?")
	tab.Await("Nothing is deleted yet")
	if answer, _ := w.get(t, "groups/"+old.GetId()); answer.StatusCode != http.StatusOK {
		t.Errorf("after the dry run the group is %d", answer.StatusCode)
	}
	tab.Click("button.danger")
	tab.Await("1 group is deleted.")
	tab.AwaitGone("Forgotten role")
	if answer, _ := w.get(t, "groups/"+old.GetId()); answer.StatusCode != http.StatusNotFound {
		t.Errorf("the stale group is %d", answer.StatusCode)
	}
	if answer, _ := w.get(t, "groups/"+fresh.GetId()); answer.StatusCode != http.StatusOK {
		t.Errorf("the other group is %d", answer.StatusCode)
	}
}
