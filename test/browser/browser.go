// Package browser lets tests use pages as a person would: a real browser, headless, with
// real clicks and keys. It also asks axe-core whether a page is accessible, and tells
// what a page loaded from elsewhere or complained of.
package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// patience is how long one step may take, on a machine that does much else.
const patience = 30 * time.Second

// The browser of this test process, started when the first test needs it.
var (
	start     sync.Once
	browser   context.Context //nolint:gochecknoglobals // chromedp has it in a context
	startup   error
	stop      func()
	errAbsent = errors.New("no Chromium or Chrome here: install one (Debian: chromium), or name it in MUSTER_TEST_BROWSER")
)

// names are what the program is called.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell"}

func program() (string, error) {
	if named := os.Getenv("MUSTER_TEST_BROWSER"); named != "" {
		return named, nil
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errAbsent
}

func startBrowser() {
	path, err := program()
	if err != nil {
		startup = err
		return
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*time.Minute),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("lang", "en-US"),
	)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), opts...)
	var stopBrowser context.CancelFunc
	browser, stopBrowser = chromedp.NewContext(allocator, chromedp.WithErrorf(quiet)) //nolint:fatcontext // one browser for all tests
	stop = func() { stopBrowser(); stopAllocator() }
	startup = chromedp.Run(browser)
}

// quiet is for what the library says of events that a newer browser has and it does not
// know.
func quiet(string, ...any) {}

// Stop ends the browser, if one was started. TestMain calls it when all tests are done.
func Stop() {
	if stop != nil {
		stop()
	}
}

// A Tab is one page of a person who has nothing in common with others: it has its own
// cookies. Every method fails the test where it cannot do what it says.
type Tab struct {
	t    testing.TB
	ctx  context.Context
	home *url.URL

	mu      sync.Mutex
	outside []string
	errors  []string
}

// Open opens a tab at a size of 1280 by 800. home is the URL of the server; paths are
// below it. Where there is no browser the test is skipped, loudly;
// MUSTER_TEST_BROWSER_REQUIRED makes that a failure.
func Open(t testing.TB, home string) *Tab {
	t.Helper()
	start.Do(startBrowser)
	if startup != nil {
		if errors.Is(startup, errAbsent) && os.Getenv("MUSTER_TEST_BROWSER_REQUIRED") == "" {
			t.Skip("NOT TESTED IN A BROWSER: ", startup)
		}
		t.Fatal(startup)
	}
	ctx := newTab(t)
	u, err := url.Parse(home)
	if err != nil {
		t.Fatal(err)
	}
	tab := &Tab{t: t, ctx: ctx, home: u}
	chromedp.ListenTarget(ctx, tab.listen)
	tab.run("opening a tab", network.Enable(), log.Enable(), runtime.Enable(), security.SetIgnoreCertificateErrors(true))
	tab.Size(1280, 800)
	return tab
}

// newTab is a window of a person of its own.
func newTab(t testing.TB) context.Context {
	t.Helper()
	ctx := cdp.WithExecutor(browser, chromedp.FromContext(browser).Browser)
	person, err := target.CreateBrowserContext().WithDisposeOnDetach(true).Do(ctx)
	if err != nil {
		t.Fatal(err)
	}
	window, err := target.CreateTarget("about:blank").WithBrowserContextID(person).WithNewWindow(true).Do(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tab, cancel := chromedp.NewContext(browser, chromedp.WithTargetID(window))
	t.Cleanup(cancel)
	if err := chromedp.Run(tab); err != nil { // the context of the first run is that of the tab
		t.Fatal(err)
	}
	return tab
}

// listen keeps what should not happen.
func (tab *Tab) listen(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Host != tab.home.Host && u.Scheme != "data" && u.Scheme != "about" {
			tab.outside = append(tab.outside, e.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		tab.errors = append(tab.errors, e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			var text []string
			for _, a := range e.Args {
				text = append(text, string(a.Value)+a.Description)
			}
			tab.errors = append(tab.errors, strings.Join(text, " "))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			tab.errors = append(tab.errors, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	}
}

// Problems are what the pages loaded from elsewhere, and what they complained of in the
// browser's console, since they were asked for last.
func (tab *Tab) Problems() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	var all []string
	for _, u := range tab.outside {
		all = append(all, "loaded from outside: "+u)
	}
	all = append(all, tab.errors...)
	tab.outside, tab.errors = nil, nil
	return all
}

// run takes some steps, with patience.
func (tab *Tab) run(what string, steps ...chromedp.Action) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, steps...); err != nil {
		tab.t.Fatalf("%s: %v\n%s", what, err, tab.state())
	}
}

// state is what the tab shows, for a test that fails.
func (tab *Tab) state() string {
	ctx, cancel := context.WithTimeout(tab.ctx, 5*time.Second)
	defer cancel()
	var text, at string
	if err := chromedp.Run(ctx, chromedp.Location(&at), chromedp.Evaluate(`document.body ? document.body.innerText : ""`, &text)); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("at %s, which shows:\n%.3000s", at, text)
}

// Visit loads a page: a path, or a whole URL.
func (tab *Tab) Visit(path string) {
	tab.t.Helper()
	u, err := tab.home.Parse(path)
	if err != nil {
		tab.t.Fatal(err)
	}
	tab.run("visiting "+path, chromedp.Navigate(u.String()))
}

// SetCookie gives the browser a cookie of the server.
func (tab *Tab) SetCookie(name, value string) {
	tab.t.Helper()
	tab.run("setting a cookie", network.SetCookie(name, value).WithURL(tab.home.String()).WithPath("/"))
}

// Size sets the size of the window, in CSS pixels.
func (tab *Tab) Size(width, height int64) {
	tab.t.Helper()
	tab.run("sizing", emulation.SetDeviceMetricsOverride(width, height, 1, false))
}

// Prefer sets what the browser says of its user: "dark" or "light" colours.
func (tab *Tab) Prefer(colours string) {
	tab.t.Helper()
	tab.run("preferring "+colours, emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}}))
}

// NoScript switches JavaScript off, for the pages that are visited from now on.
func (tab *Tab) NoScript() {
	tab.t.Helper()
	tab.run("switching scripts off", emulation.SetScriptExecutionDisabled(true))
}

// Click clicks on the first element that a CSS selector finds, once it is there.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.run("clicking "+selector, chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// ClickText clicks on the button or link with a text.
func (tab *Tab) ClickText(text string) {
	tab.t.Helper()
	xpath := fmt.Sprintf(`//*[self::a or self::button][normalize-space(.)=%q or @aria-label=%[1]q]`, text)
	tab.run("clicking on "+text, chromedp.Click(xpath, chromedp.BySearch, chromedp.NodeVisible))
}

// Type types into the element that a selector finds, after what is there.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.run("typing into "+selector, chromedp.SendKeys(selector, text, chromedp.ByQuery, chromedp.NodeVisible))
}

// Upload chooses a file in the field that a selector finds.
func (tab *Tab) Upload(selector, file string) {
	tab.t.Helper()
	tab.run("choosing a file in "+selector, chromedp.SetUploadFiles(selector, []string{file}, chromedp.ByQuery))
}

// Press presses one key after the other, wherever the focus is.
func (tab *Tab) Press(keys string) {
	tab.t.Helper()
	for _, key := range keys {
		down := input.DispatchKeyEvent(input.KeyDown).WithKey(string(key)).WithText(string(key)) // a page may take it, and then it types nothing
		tab.run("pressing "+keys, down, input.DispatchKeyEvent(input.KeyUp).WithKey(string(key)))
	}
}

// Await waits until the page shows a text.
func (tab *Tab) Await(text string) {
	tab.t.Helper()
	tab.AwaitTrue(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// AwaitGone waits until the page no longer shows a text.
func (tab *Tab) AwaitGone(text string) {
	tab.t.Helper()
	tab.AwaitTrue(fmt.Sprintf("!document.body.innerText.includes(%q)", text))
}

// AwaitTrue waits until an expression of JavaScript is true, whatever pages come and go
// meanwhile.
func (tab *Tab) AwaitTrue(expression string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	for {
		var so bool
		err := chromedp.Run(ctx, chromedp.Evaluate(expression, &so, awaitPromise))
		switch {
		case err == nil && so:
			return
		case ctx.Err() != nil:
			tab.t.Fatalf("it does not become true: %s (%v)\n%s", expression, err, tab.state())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Text is the text that the page shows, or a part of it.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	var text string
	tab.run("reading "+selector, chromedp.Text(selector, &text, chromedp.ByQuery))
	return text
}

// Has tells whether the page has an element now.
func (tab *Tab) Has(selector string) bool {
	tab.t.Helper()
	var has bool
	tab.run("looking for "+selector, chromedp.Evaluate(fmt.Sprintf("document.querySelector(%q) !== null", selector), &has))
	return has
}

// Evaluate evaluates an expression of JavaScript into a value, as JSON has it.
func (tab *Tab) Evaluate(expression string, into any) {
	tab.t.Helper()
	tab.run("evaluating", chromedp.Evaluate(expression, into, awaitPromise))
}

func awaitPromise(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// Path is the path and query of the page.
func (tab *Tab) Path() string {
	tab.t.Helper()
	var at string
	tab.run("reading the address", chromedp.Location(&at))
	u, err := url.Parse(at)
	if err != nil {
		tab.t.Fatal(err)
	}
	return u.RequestURI()
}

// highest is how high a picture is at most, in CSS pixels.
const highest = 2400

// Screenshot writes a picture of the page, as far down as is of use, to a PNG file.
func (tab *Tab) Screenshot(file string) {
	tab.t.Helper()
	var picture []byte
	tab.run("taking a picture", chromedp.ActionFunc(func(ctx context.Context) (err error) {
		_, _, _, _, _, whole, err := page.GetLayoutMetrics().Do(ctx)
		if err != nil {
			return err
		}
		clip := &page.Viewport{Width: whole.Width, Height: min(whole.Height, highest), Scale: 1}
		picture, err = page.CaptureScreenshot().WithCaptureBeyondViewport(true).WithClip(clip).Do(ctx)
		return err
	}))
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		tab.t.Fatal(err)
	}
}

// Overflow is by how many pixels the page is wider than the window.
func (tab *Tab) Overflow() int {
	tab.t.Helper()
	var by int
	tab.Evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth", &by)
	return by
}
