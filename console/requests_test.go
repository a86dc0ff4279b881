package console

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-scim/muster/simulate"
	"github.com/muster-scim/muster/test/browser"
)

// A request that comes while the page is open appears on it, an error among the errors
// too, without the page being loaded anew.
func TestActivity_Live(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	tab.Visit("activity")
	tab.AwaitTrue(`document.querySelector(".live").dataset.streamState === "open"`)
	tab.Evaluate(`window.sameText = "same page"`, nil)
	c.ask(t, c.cyberark, "GET", "/Users?count=3&attributes=title", "")
	tab.Await("GET /scim/v2/Users?count=3&attributes=title")
	c.ask(t, c.cyberark, "GET", "/Users?filter=nickname+zz+1", "")
	tab.AwaitTrue(`document.querySelector("[data-event=errors]").innerText.includes("400") && document.querySelector("[data-event=request]").innerText.includes("nickname")`)

	tab.Click("#hold")
	tab.Await("Paused")
	c.ask(t, c.cyberark, "GET", "/Groups?count=77", "")
	for c.find(t, "count=77") == "" {
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond) // long enough that it would be there
	if strings.Contains(tab.Text("#results"), "count=77") {
		t.Error("what comes is shown though the page is held")
	}
	tab.Click("#hold")
	tab.Await("count=77")

	// Another condition: another stream.
	tab.Click("[name=errors]")
	tab.AwaitGone("count=77")
	tab.AwaitTrue(`document.querySelector(".live").dataset.streamState === "open"`)
	c.ask(t, c.cyberark, "GET", "/Groups?count=78", "")
	c.ask(t, c.cyberark, "GET", "/Groups/nobody-knows-this-one", "")
	tab.Await("nobody-knows-this-one")
	if strings.Contains(tab.Text("#results"), "count=78") {
		t.Error("a request without an error is shown among errors")
	}
	var same string
	tab.Evaluate(`window.sameText || ""`, &same)
	if same != "same page" {
		t.Error("the page was loaded anew")
	}
}

// An error that is opened says what to mend, what was sent and answered, and shows no
// secret.
func TestActivity_ErrorOpened(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	tab.Visit("activity?status=409")
	tab.Click("[data-event=request] a")
	tab.Await("Another user has this userName")
	tab.Await("give one of the two another login name in CyberArk") // the hint
	tab.Await("ada.lovelace@example.com")                           // what was sent
	tab.Await("Content-Type")
	if text := tab.Text("main"); strings.Contains(text, c.cyberark) {
		t.Error("the page shows the secret")
	}
	tab.Visit("activity?status=401")
	tab.Click("[data-event=request] a")
	tab.Await("The secret is not known here")
	tab.Await("paste the new secret whole")
	if text := tab.Text("main"); strings.Contains(text, "an-old-secret") {
		t.Error("the page shows what was tried")
	}
}

// What a request changed stands on its page.
func TestActivity_WhatItChanged(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	tab.Visit("activity?method=PATCH")
	tab.Click("#results a.row.line")
	tab.Await("What it changed")
	tab.Await("Countess")
	tab.Await("Principal engineer")
}

// The export has what the page was narrowed to, and no secret.
func TestActivity_Export(t *testing.T) {
	c := newCompany(t)
	_, body := c.get(t, "activity/export?errors=1&own=1")
	n := 0
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); n++ {
		var line struct {
			Status int `json:"status"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Status < 400 {
			t.Errorf("%s: %v", lines.Text(), err)
		}
	}
	if n != 3 || strings.Contains(body, c.cyberark) {
		t.Errorf("%d lines:\n%s", n, body)
	}
}

// A change appears live, with what it changed.
func TestChanges_Live(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	tab.Visit("activity/changes?attribute=title")
	tab.AwaitTrue(`document.querySelector(".live").dataset.streamState === "open"`)
	tab.Await("Ada Lovelace")
	c.mallory.Title = "Consultant"
	c.replace(t, c.mallory)
	tab.Await("Mallory Xi")
	tab.Click("#results summary")
	tab.Await("Consultant")
	tab.Await("Contractor")
}

// A client is recorded, the recording stopped, downloaded, and deleted.
func TestRecordings(t *testing.T) {
	c := newWorld(t)
	secret := c.client(t, "cyberark-prod")
	tab := browser.Open(t, c.URL+root)
	tab.Visit("activity/recordings")
	tab.Await("Nothing is recorded")
	tab.ClickText("Record a client")
	tab.Type("#credential", "nobody-of-this-name")
	tab.ClickText("Start recording")
	tab.Await("nobody-of-this-name") // the core says what is wrong, on the form
	tab.AwaitTrue(`document.querySelector("[role=alert]") !== null`)
	tab.Evaluate(`document.querySelector("#credential").value = ""`, nil)
	tab.Type("#credential", "cyberark-prod")
	tab.ClickText("Start recording")
	tab.Await("What cyberark-prod asks is recorded")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(300 * time.Millisecond) {
		c.ask(t, secret, "GET", "/Users?count=5", "")
		if _, body := c.get(t, "activity/recordings"); !strings.Contains(body, `>0 <span class="muted">of at most`) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nothing is recorded")
		}
	}
	tab.Visit("activity/recordings")
	tab.ClickText("Stop recording cyberark-prod")
	tab.ClickText("Stop recording")
	tab.Await("has ended")
	tab.Await("ended")

	var path string
	tab.Evaluate(`document.querySelector("a[href$=export]").getAttribute("href")`, &path)
	_, file := c.get(t, strings.TrimPrefix(path, root))
	played, err := simulate.ReadCase(strings.NewReader(file))
	if err != nil || len(played.Exchanges) == 0 || strings.Contains(file, secret) {
		t.Errorf("%v:\n%s", err, file)
	}
	tab.ClickText("Delete the recording of cyberark-prod")
	tab.Click("dialog button.danger")
	tab.Await("The recording is deleted.")
	tab.Await("Nothing is recorded")
}

// A viewer sees no deed of these pages, and a POST of one is refused.
func TestActivity_Viewer(t *testing.T) {
	c := newCompany(t)
	c.signIn("viewer")
	for _, path := range []string{"activity", "activity/changes", "activity/recordings"} {
		answer, body := c.get(t, path)
		if answer.StatusCode != http.StatusOK || strings.Contains(body, "recordings/start") || strings.Contains(body, "/delete") {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	for _, path := range []string{"activity/recordings/start", "activity/recordings/1/stop", "activity/recordings/1/delete"} {
		answer, err := c.Client().PostForm(c.URL+root+path, url.Values{"credential": {"cyberark-prod"}, "time": {"1h"}, "most": {"10"}})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Body.Close(); answer.StatusCode != http.StatusForbidden {
			t.Errorf("POST %s: %d", path, answer.StatusCode)
		}
	}
}
