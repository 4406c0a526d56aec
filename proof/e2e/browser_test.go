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

// openBrowsers starts Chromium with one context for each of n persons. Where
// there is no Chromium the test is skipped.
func openBrowsers(t *testing.T, n int, home string) []*browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium here: the console's pages are not looked at (Debian: apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true))
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	first, closeFirst := chromedp.NewContext(allocated)
	t.Cleanup(closeFirst)
	if err := chromedp.Do(first); err != nil {
		t.Fatalf("start %s: %v", path, err)
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

// do runs actions, all within the tests' patience.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for _, action := range actions {
		err := chromedp.Do(ctx, action)
		for replaced(err) && ctx.Err() == nil {
			err = chromedp.Do(ctx, action)
		}
		if err != nil {
			b.t.Fatalf("browser: %v", err)
		}
	}
}

// replaced reports whether an action met an element that the page had replaced
// just then, by a reload or its live updates. Nothing was done with it.
func replaced(err error) bool {
	return err != nil && strings.Contains(err.Error(), "No node with given id")
}

// get runs one action within the tests' patience and returns what it gives.
func get[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	for replaced(err) && ctx.Err() == nil {
		v, err = chromedp.Run(ctx, action)
	}
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	return v
}

// call sends one command of the protocol.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// text returns an element's text.
func (b *browser) text(selector chromedp.CSS) string {
	b.t.Helper()
	return get(b, chromedp.Text(selector))
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

// accessible runs the checker over the page as it is.
func (b *browser) accessible() (found []violation, passes int) {
	b.t.Helper()
	source, err := os.ReadFile(axeFile)
	if err != nil {
		b.t.Fatal(err)
	}
	const run = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
		.then(r => JSON.stringify({violations: r.violations, passes: r.passes.length}))`
	get(b, chromedp.Evaluate[bool](string(source)+";true"))
	report := get(b, chromedp.Evaluate[string](run, chromedp.EvalAwaitPromise))
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
	png := get(b, chromedp.FullScreenshot(100))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// inspect looks at one page in every look: the checker, the width, the console.
func (b *browser) inspect(name, address string) {
	b.t.Helper()
	for _, l := range looks() {
		where := name + "-" + l.String()
		b.as(l)
		b.do(chromedp.Navigate(address), chromedp.WaitReady(chromedp.CSS("main")))
		if get(b, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > `+strconv.FormatInt(l.width, 10))) {
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

// within waits until script is true and returns how long that took.
func (b *browser) within(script string) time.Duration {
	b.t.Helper()
	began := time.Now()
	get(b, chromedp.Poll[bool](script, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(patience)))
	return time.Since(began)
}
