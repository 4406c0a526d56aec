package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// axeFile is the accessibility checker.
const axeFile = "../../console/testdata/axe/axe-4.14.1.min.js"

// shotsDir is where screenshots are kept, if it is set.
const shotsDir = "CONSOLE_SCREENSHOTS"

// browser is one person's: cookies of its own, and what went wrong in its pages.
type browser struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // the driver names a page by its context

	mu     sync.Mutex
	wrong  []string // errors in a page's console
	abroad []string // requests to anywhere but the console
}

// chromium is the one browser process of these tests: persons are apart in it,
// each with cookies of their own.
var chromium struct {
	start sync.Once
	first context.Context //nolint:containedctx // the driver names a browser by its context
	stop  func()
	err   error
}

// startChromium starts it for the first test that looks at a page. Where there is
// none the context is nil.
func startChromium() (context.Context, error) {
	chromium.start.Do(func() {
		path := ""
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if found, err := exec.LookPath(name); err == nil {
				path = found
				break
			}
		}
		if path == "" {
			return
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true))
		allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
		var closeFirst func()
		chromium.first, closeFirst = chromedp.NewContext(allocated) //nolint:fatcontext // once
		chromium.stop = func() { closeFirst(); stop() }
		if err := chromedp.Do(chromium.first); err != nil {
			chromium.err = fmt.Errorf("start %s: %w", path, err)
		}
	})
	return chromium.first, chromium.err
}

// stopChromium ends it, when all tests are done.
func stopChromium() {
	if chromium.stop != nil {
		chromium.stop()
	}
}

// openBrowsers opens a page for each of n persons, who have nothing in common.
// Where there is no Chromium the test is skipped.
func openBrowsers(t *testing.T, n int, home string) []*browser {
	t.Helper()
	first, err := startChromium()
	if err != nil {
		t.Fatal(err)
	}
	if first == nil {
		t.Skip("no Chromium here: the console's pages are not looked at (Debian: apt-get install chromium)")
	}
	var all []*browser
	for range n {
		ctx, closeIt := chromedp.NewContext(first, chromedp.WithNewBrowserContext())
		t.Cleanup(closeIt)
		b := &browser{t: t, ctx: ctx}
		if err := chromedp.Listen(ctx, func(ev any) { b.heard(ev, home) }); err != nil {
			t.Fatalf("open a page: %v", err)
		}
		call(b, network.Enable, network.EnableParams{})
		call(b, log.Enable, cdp.Empty{})
		call(b, runtime.Enable, cdp.Empty{})
		all = append(all, b)
	}
	return all
}

// heard keeps what a page complains of and asks for.
func (b *browser) heard(ev any, home string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, fmt.Sprint(e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.wrong = append(b.wrong, fmt.Sprint("console: ", e.Args))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.wrong = append(b.wrong, e.Entry.Text+" "+e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Host != home {
			b.abroad = append(b.abroad, e.Request.URL)
		}
	}
}

// do runs one action of the driver within the tests' patience. It must not name an
// element: see on.
func do[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	return v
}

// on runs script on e, the first element that selector finds, once the page is
// loaded and there is one that can be seen. It is found and used in one step of the page: the console's
// pages replace elements at any moment, and one that the driver found by itself
// may be gone when it comes to use it. A script that returns null is run again.
func on[T any](b *browser, selector, script string) T {
	b.t.Helper()
	name, err := json.Marshal(selector)
	if err != nil {
		b.t.Fatal(err)
	}
	return until[T](b, fmt.Sprintf(
		`(() => {
			const e = document.readyState === "complete" && document.querySelector(%s);
			if (!e || !e.checkVisibility()) return null;
			%s
		})()`, name, script))
}

// until runs a script in the page until its result is not null, and returns that.
func until[T any](b *browser, script string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		v, err := chromedp.Run(ctx, chromedp.Evaluate[*T](script))
		switch {
		case err == nil && v != nil:
			return *v
		case err != nil && !betweenPages(err):
			b.t.Fatalf("browser: %v\n%s", err, script)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			b.t.Fatalf("browser: after %s there is still nothing from\n%s\nin\n%s", patience, script, do(b, chromedp.Evaluate[string](`document.body.innerText`)))
		}
	}
}

// betweenPages reports whether there was no page that could have run a script:
// one was on its way out, and the next one not there yet.
func betweenPages(err error) bool {
	for _, said := range []string{"Execution context was destroyed", "Cannot find context", "Inspected target navigated", "Cannot find default execution context"} {
		if strings.Contains(err.Error(), said) {
			return true
		}
	}
	return false
}

// see waits until an element can be seen.
func (b *browser) see(selector string) { b.t.Helper(); on[bool](b, selector, `return true`) }

// text returns an element's text.
func (b *browser) text(selector string) string {
	b.t.Helper()
	return on[string](b, selector, `return e.innerText`)
}

// click clicks on an element that nothing lies over.
func (b *browser) click(selector string) {
	b.t.Helper()
	on[bool](b, selector, `e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getClientRects()[0], there = document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2);
		if (!e.contains(there)) return null;
		e.click(); return true`)
}

// fill writes into a field, and leaves the keyboard's focus there.
func (b *browser) fill(selector, text string) {
	b.t.Helper()
	value, err := json.Marshal(text)
	if err != nil {
		b.t.Fatal(err)
	}
	on[bool](b, selector, fmt.Sprintf(`e.focus(); e.value = %s;
		for (const name of ["input", "change"]) e.dispatchEvent(new Event(name, {bubbles: true}));
		return true`, value))
}

// open loads a page and waits for an element of it.
func (b *browser) open(address, selector string) {
	b.t.Helper()
	do(b, chromedp.Navigate(address))
	b.see(selector)
}

// call sends one command of the protocol.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// calm fails if a page complained or asked for anything from elsewhere. What is
// found is forgotten.
func (b *browser) calm(where string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.wrong) > 0 || len(b.abroad) > 0 {
		b.t.Errorf("%s: errors %q, requests elsewhere %q", where, b.wrong, b.abroad)
	}
	b.wrong, b.abroad = nil, nil
}

// forget drops the complaints of a page that was refused on purpose; they are returned.
func (b *browser) forget() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.wrong
	b.wrong = nil
	return was
}

// violation is one finding of the accessibility checker.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// axe is the accessibility checker's source, for a page to load.
func axe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(axeFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(source) + ";true"
}

// accessible runs the checker over the page as it is.
func (b *browser) accessible() (found []violation, passes int) {
	b.t.Helper()
	const run = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
		.then(r => JSON.stringify({violations: r.violations, passes: r.passes.length}))`
	report := do(b, chromedp.Evaluate[string](run, chromedp.EvalAwaitPromise))
	var r struct {
		Violations []violation `json:"violations"`
		Passes     int         `json:"passes"`
	}
	if err := json.Unmarshal([]byte(report), &r); err != nil {
		b.t.Fatal(err)
	}
	return r.Violations, r.Passes
}

// look is how a page is looked at.
type look struct {
	width int64
	dark  bool
}

func (l look) String() string {
	if l.dark {
		return fmt.Sprintf("%d-dark", l.width)
	}
	return fmt.Sprintf("%d-light", l.width)
}

// looks are the widths and schemes every page is looked at in.
func looks() []look { return []look{{360, false}, {360, true}, {1920, false}, {1920, true}} }

// as sets width and scheme.
func (b *browser) as(l look) {
	b.t.Helper()
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: l.width, Height: 900, DeviceScaleFactor: 1, Mobile: l.width < 600,
	})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// shoot keeps a screenshot of the whole page, where somebody wants it.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv(shotsDir)
	if dir == "" {
		return
	}
	png := do(b, chromedp.FullScreenshot(100))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// inspect opens a page and looks at it in every look: the checker, the width, the console.
func (b *browser) inspect(name, address string) {
	b.t.Helper()
	b.open(address, "main")
	do(b, chromedp.Evaluate[bool](axe(b.t)))
	for _, l := range looks() {
		where := name + "-" + l.String()
		b.as(l)
		if do(b, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > `+strconv.FormatInt(l.width, 10))) {
			b.t.Errorf("%s: the page is wider than the window", where)
		}
		found, passes := b.accessible()
		if passes == 0 {
			b.t.Errorf("%s: the accessibility checker has checked nothing", where)
		}
		for _, v := range found {
			var at []string
			for _, n := range v.Nodes {
				at = append(at, n.HTML+": "+n.Summary)
			}
			b.t.Errorf("%s: %s: %s\n%s", where, v.ID, v.Help, strings.Join(at, "\n"))
		}
		b.shoot(where)
		b.calm(where)
	}
}

// follows waits until the page is told of what happens. The marker is where htmx
// keeps the stream of an element.
func (b *browser) follows() {
	b.t.Helper()
	b.within(`[...document.querySelectorAll("[sse-connect]")].some(e => e["htmx-internal-data"]?.sseEventSource?.readyState === EventSource.OPEN)`)
}

// within waits until script is true and returns how long that took.
func (b *browser) within(script string) time.Duration {
	b.t.Helper()
	began := time.Now()
	until[bool](b, "("+script+") || null")
	return time.Since(began)
}
