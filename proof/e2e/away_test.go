package e2e_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/simulator"
)

// openToThisMachine is a world whose service is ready, and whose console needs no
// sign-in from here.
func openToThisMachine(t *testing.T) *world {
	t.Helper()
	w := setup(t)
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.cfg.Console.AllowLoopback = true
	w.serve(nil)
	w.awaitReady(http.StatusOK, "ok")
	return w
}

func TestWithoutNATSThePagesAnswerWithinSecondsAndSaySinceWhen(t *testing.T) {
	t.Parallel()
	w := openToThisMachine(t)
	l := w.follow()
	w.lostRefund("529-7-6", simulator.CutAfter)
	l.await(reviewed)
	const page = "/console/payments/openpay-eu/529-7-6"
	if status, body := w.ask(page); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	w.server.Shutdown(t)
	w.poll("the console does not say that NATS is away", func() bool {
		_, body := w.ask("/console/state")
		return strings.Contains(body, "No connection to NATS")
	})
	for path, status := range map[string]int{page: 503, "/console/": 200, "/console/queue": 200, "/console/numbers": 503} {
		began := time.Now()
		got, body := w.ask(path)
		if took := time.Since(began); took > 5*time.Second || got != status {
			t.Errorf("%s: status %d after %s", path, got, took)
		}
		if !regexp.MustCompile(`(No|no) connection to NATS(</strong>)? since`).MatchString(body) || strings.Contains(body, "nothing waits") {
			t.Errorf("%s: %s", path, body)
		}
	}
	w.server.Restart(t)
	w.poll("the console does not come back", func() bool {
		status, body := w.ask(page)
		return status == http.StatusOK && !strings.Contains(body, "No connection")
	})
}

func TestAnOpenPageSaysThatNATSOrTheServiceIsAwayAndGreysItsFigures(t *testing.T) {
	t.Parallel()
	w := setup(t)
	home, stop := w.withConsoleUntil()
	two := openBrowsers(t, 2, home)
	anna, ben := two[0], two[1]
	l := w.follow()
	w.lostRefund("529-7-7", simulator.CutAfter)
	l.await(reviewed)
	anna.signIn(home, annaToken)
	ben.signIn(home, benToken)
	anna.within(`document.querySelector(".tile .figure").innerText === "1"`)
	ben.open("http://"+home+"/console/queue", `#rows a`)
	anna.calm("before")
	ben.calm("before")
	colour := `getComputedStyle(document.querySelector(".tile .figure")).color`
	fresh := do(anna, chromedp.Evaluate[string](colour))

	w.server.Shutdown(t)
	for _, b := range two {
		took := b.within(`document.querySelector("#state[role=status] [data-away]") !== null && document.body.classList.contains("stale")`)
		t.Logf("NATS away: said after %s", took.Round(time.Millisecond))
		if said := b.text("#state"); !regexp.MustCompile(`No connection to NATS since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`).MatchString(said) {
			t.Errorf("the page says %q", said)
		}
	}
	// What was known stays, greyed, with its time.
	if said := anna.text("#numbers"); !strings.Contains(said, "As of ") || strings.Contains(said, "nothing waits") {
		t.Errorf("the figures say %q", said)
	}
	if n := anna.text(".tile .figure"); n != "1" || do(anna, chromedp.Evaluate[string](colour)) == fresh {
		t.Errorf("the figure is %s, as fresh as before: %t", n, n == "1")
	}
	if said := ben.text("#rows"); !strings.Contains(said, "529-7-7") || !strings.Contains(said, "As of ") {
		t.Errorf("the queue says %q", said)
	}
	anna.forget()
	anna.shoot("nats-away")
	anna.readable("NATS away")
	began := time.Now()
	ben.open("http://"+home+"/console/payments/openpay-eu/529-7-7", "main p")
	if said := ben.text("main"); !strings.Contains(said, "could not read the payment") || time.Since(began) > 10*time.Second {
		t.Errorf("after %s the payment's page says %q", time.Since(began), said)
	}

	w.server.Restart(t)
	anna.within(`document.querySelector("[data-away]") === null && !document.body.classList.contains("stale")`)
	ben.open("http://"+home+"/console/payments/openpay-eu/529-7-7", "#timeline")

	stop()
	for _, b := range two {
		took := b.within(`document.body.classList.contains("stale") && document.querySelector("[role=status][data-gone]").innerText !== ""`)
		t.Logf("service gone: said after %s", took.Round(time.Millisecond))
		if said := b.text("[data-gone]"); !regexp.MustCompile(`The service has not answered since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`).MatchString(said) {
			t.Errorf("the page says %q", said)
		}
	}
	anna.forget()
	anna.shoot("service-gone")
	anna.readable("service gone")
}

// readable fails if the accessibility checker finds anything.
func (b *browser) readable(where string) {
	b.t.Helper()
	do(b, chromedp.Evaluate[bool](axe(b.t)))
	found, _ := b.accessible()
	for _, v := range found {
		b.t.Errorf("%s: %s: %s %+v", where, v.ID, v.Help, v.Nodes)
	}
}
