package e2e_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// The persons of these tests.
const (
	annaToken = "anna-0123456789abcdef"
	benToken  = "ben-0123456789abcdefg"
	viewToken = "vera-0123456789abcdef"
)

// withConsole serves a console with two operators and a viewer; it returns its address.
func (w *world) withConsole() (home string) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	home = l.Addr().String()
	l.Close()
	w.cfg.Admin.Listen = home
	w.cfg.Console = config.Console{
		Viewers: []config.Person{{Name: "vera", Token: providers.NewSecret(viewToken)}},
		Operators: []config.Person{
			{Name: "anna", Token: providers.NewSecret(annaToken)}, {Name: "ben", Token: providers.NewSecret(benToken)},
		},
	}
	w.serve(nil)
	return home
}

// signIn signs a person in.
func (b *browser) signIn(home, token string) {
	b.t.Helper()
	b.do(
		chromedp.Navigate("http://"+home+"/console/"), chromedp.WaitVisible(chromedp.CSS("#token")),
		chromedp.SendKeys(chromedp.CSS("#token"), token+"\r"), chromedp.WaitVisible(chromedp.CSS(".tiles")),
	)
}

// rule fills the form in and sends it.
func (b *browser) rule(reference string) {
	b.t.Helper()
	b.do(
		chromedp.Click(chromedp.CSS(`input[name=as][value=succeeded]`)),
		chromedp.SendKeys(chromedp.CSS(`input[name=reference]`), reference),
		chromedp.SendKeys(chromedp.CSS(`input[name=reason]`), "asked the provider"),
		chromedp.SendKeys(chromedp.CSS(`input[name=evidence]`), "ticket 4711"),
		chromedp.SendKeys(chromedp.CSS(`input[name=evidence]`), "\r"),
		chromedp.WaitVisible(chromedp.CSS(`.notice.good, .notice.bad`)),
	)
}

func TestAPersonSettlesARefundInTheBrowserAndASecondWithAStalePageDoesNot(t *testing.T) {
	t.Parallel()
	w := setup(t)
	home := w.withConsole()
	two := openBrowsers(t, 2, home)
	anna, ben := two[0], two[1]
	l := w.follow()
	anna.signIn(home, annaToken)
	ben.signIn(home, benToken)

	// It appears in the open page, which is not loaded again.
	anna.do(
		chromedp.Navigate("http://"+home+"/console/queue"), chromedp.WaitReady(chromedp.CSS(`[data-count="0"]`)),
	)
	get(anna, chromedp.Evaluate[string](`window.opened = "once"`))
	w.lostRefund("529-7-1", simulator.CutAfter)
	l.await(func(all []event) string {
		if len(all) == 0 || all[len(all)-1].Data.Status != "reviewRequired" {
			return "reviewRequired"
		}
		return ""
	})
	took := anna.within(`document.querySelector('[data-count="1"]') !== null`)
	t.Logf("in the queue page %s after its event", took.Round(time.Millisecond))
	if took > 2*time.Second {
		t.Errorf("it took %s to appear in the queue", took)
	}
	if opened := get(anna, chromedp.Evaluate[string](`String(window.opened)`)); opened != "once" {
		t.Error("the page was loaded again")
	}

	// Both look at it; one rules.
	for _, b := range two {
		b.do(chromedp.Navigate("http://" + home + "/console/queue"))
		b.within(`document.querySelector("#rows a") !== null`)
		// Not by a click: the live page may put a new row in the place of the one that was found.
		address := get(b, chromedp.Evaluate[string](`document.querySelector("#rows a").href`))
		b.do(chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("form.ruling")))
	}
	anna.do(chromedp.Click(chromedp.CSS(`form[action$="/ask"] button`)), chromedp.WaitVisible(chromedp.CSS(`section .notice[role=status]`)))
	if said := anna.text(`section .notice[role=status]`); !strings.Contains(said, "the provider says") {
		t.Errorf("asked, the page says %q", said)
	}
	anna.calm("before ruling")
	anna.rule("rf-1")
	if said := anna.text(".notice"); !strings.Contains(said, "in the journal") {
		t.Errorf("ruled, the page says %q", said)
	}
	anna.calm("after ruling")
	anna.shoot("ruled")
	ben.within(`document.querySelector('[sse-swap=moved] .notice') !== null`)
	ben.rule("rf-2")
	if said := ben.text(".notice.bad"); !strings.Contains(said, "Not done") || !strings.Contains(said, "moved since it was shown") {
		t.Errorf("with a stale page, the page says %q", said)
	}
	ben.shoot("refused")
	if was := ben.forget(); len(was) != 1 || !strings.Contains(was[0], "409") {
		t.Errorf("the refusal is told as %q", was)
	}
	var ended []event
	for _, e := range l.await(func(all []event) string { return lacking(all, 1) }) {
		if e.terminal() {
			ended = append(ended, e)
		}
	}
	if len(ended) != 1 || len(w.audits("resolve")) != 1 {
		t.Errorf("%d terminal events and %d audits, want one each", len(ended), len(w.audits("resolve")))
	}
	if !strings.Contains(string(w.audits("resolve")[0].Data), `"identity":"token"`) {
		t.Errorf("the audit does not say how anna is known: %s", w.audits("resolve")[0].Data)
	}
}

func TestEveryPageIsAccessibleFitsAndComplainsOfNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	home := w.withConsole()
	b := openBrowsers(t, 1, home)[0]
	at := "http://" + home + "/console/"
	b.inspect("login", at+"login")
	b.signIn(home, annaToken)
	l := w.follow()
	w.lostRefund("529-7-2", simulator.CutAfter)
	bad := command("bad-1", "refund", map[string]any{"idempotencyKey": "k", "provider": "opay-eg", "ammount": 1})
	w.publish(bad)
	l.await(func(all []event) string {
		review, rejected := false, false
		for _, e := range all {
			review = review || e.Data.Status == "reviewRequired"
			rejected = rejected || e.rejection()
		}
		if !review || !rejected {
			return "a review and a rejection"
		}
		return ""
	})
	b.do(chromedp.Navigate(at+"queue"), chromedp.WaitReady(chromedp.CSS(`[data-count="1"]`)))
	for name, path := range map[string]string{
		"overview": "", "queue": "queue", "payment": "payments/openpay-eu/529-7-2", "rejected": "rejected", "live": "live",
	} {
		b.inspect(name, at+path)
	}
	// The keyboard gets past the navigation with its first stop.
	b.do(chromedp.Navigate(at+"queue"), chromedp.KeyEvent("\t"))
	if first := get(b, chromedp.Evaluate[string](`document.activeElement.className`)); first != "skip" {
		t.Errorf("the first stop of the keyboard is %q", first)
	}
	// The rejection is on its page, with its fault and without its text.
	b.do(chromedp.Navigate(at+"rejected"), chromedp.WaitReady(chromedp.CSS("summary")), chromedp.Click(chromedp.CSS("summary")))
	if said := b.text("main"); !strings.Contains(said, "unknown") {
		t.Errorf("the page of rejections says %q", said)
	}
}

func TestAViewerSeesEverythingAndDecidesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	home := w.withConsole()
	b := openBrowsers(t, 1, home)[0]
	w.lostRefund("529-7-3", simulator.CutAfter)
	b.signIn(home, viewToken)
	b.do(chromedp.Navigate("http://"+home+"/console/queue"), chromedp.WaitReady(chromedp.CSS(`[data-count="1"]`)),
		chromedp.Click(chromedp.CSS("#rows a")), chromedp.WaitVisible(chromedp.CSS("#timeline")))
	if forms := get(b, chromedp.Evaluate[int](`document.querySelectorAll("main form").length`)); forms != 0 {
		t.Errorf("a viewer is shown %d forms", forms)
	}
	b.do(chromedp.Click(chromedp.CSS(`form[action$="logout"] button`)), chromedp.WaitVisible(chromedp.CSS("#token")))
	b.calm("viewer")
}
