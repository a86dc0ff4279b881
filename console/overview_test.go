package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// On an empty server the page says what to do next, and to an administrator where; once
// a client has been here and there are users it does not any more.
func TestOverview_WhatNext(t *testing.T) {
	w := newWorld(t)
	answer, body := w.get(t, "")
	if answer.StatusCode != http.StatusOK || !strings.Contains(body, "What to do next") || !strings.Contains(body, `<a class="button primary" href="/console/connect">`) || !strings.Contains(body, "No user or group was changed yet.") {
		t.Errorf("%s\n%s", answer.Status, body)
	}
	w.signIn("viewer")
	if _, body := w.get(t, ""); strings.Contains(body, `href="/console/connect"`) || !strings.Contains(body, "An administrator can connect it.") {
		t.Errorf("a viewer sees %s", body)
	}
	w.user(t, &musterv1.User{UserName: "ada@example.com"})
	secret := w.credential(t, &musterv1.Credential{Name: "cyberark", Scopes: []string{"scim"}})
	if _, body := w.get(t, ""); !strings.Contains(body, "What to do next") || !strings.Contains(body, "No client has been here yet.") {
		t.Errorf("before the first client: %s", body)
	}
	w.scim(t, secret, verifying[0], http.StatusOK)
	w.kept(t, 1)
	if _, body := w.get(t, ""); strings.Contains(body, "What to do next") || !strings.Contains(body, `<span class="figure">1</span><span class="muted">user</span>`) {
		t.Errorf("after the first user: %s", body)
	}
}

// The page counts users and groups, and tells clients, errors with what to mend, and the
// last changes by the names that people and groups have now.
func TestOverview_Tells(t *testing.T) {
	c := newCompany(t)
	groups, err := c.provisioning.ListGroups(c.ctx, &musterv1.ListGroupsRequest{Count: new(int32)})
	if err != nil {
		t.Fatal(err)
	}
	var body string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if _, body = c.get(t, ""); strings.Contains(body, ">cyberark</a>") {
			break // who was in touch is known a little later
		}
	}
	for _, want := range []string{
		`<span class="muted">users</span>`, `<span class="figure">` + number(groups.GetTotalResults()) + `</span><span class="muted">groups</span>`,
		`href="/console/credentials/cyberark">cyberark</a>`, "The secret is not known here", "Rotate the credential (or make one), paste the new secret whole",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("it has not %q", want)
		}
	}
	if strings.Contains(body, "Edna Krabappel") {
		t.Error("what a preview would have made is told as made")
	}
	g := &musterv1.Group{Members: []*musterv1.Member{{Value: c.ada.GetId()}}}
	c.addMembers(t, c.board.GetId(), g)
	if _, err := c.provisioning.DeleteUser(c.ctx, &musterv1.DeleteUserRequest{Id: c.mallory.GetId()}); err != nil {
		t.Fatal(err)
	}
	_, body = c.get(t, "")
	_, changes, _ := strings.Cut(body, "<h2>Last changes</h2>")
	deleted, after, _ := strings.Cut(changes, "</li>")
	if !strings.Contains(deleted, "<strong>Mallory Xi</strong><span>deleted</span>") && !strings.Contains(deleted, "<strong>mallory.xi@example.com</strong><span>deleted</span>") {
		t.Errorf("the newest is %s", deleted)
	}
	if patched, _, _ := strings.Cut(after, "</li>"); !strings.Contains(patched, `<a href="/console/groups/`+c.board.GetId()+`">Board</a><span>changed</span><span class="muted">by ada</span>`) {
		t.Errorf("the one before is %s", patched)
	}
}
