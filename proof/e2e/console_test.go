package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
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
	home, _ = w.withConsoleUntil()
	return home
}

// withConsoleUntil does so until the returned function is called.
func (w *world) withConsoleUntil() (home string, stop func()) {
	w.t.Helper()
	home = natstest.FreeAddress(w.t)
	w.cfg.Admin.Listen = home
	w.cfg.Console = config.Console{
		Viewers: []config.Person{{Name: "vera", Token: providers.NewSecret(viewToken)}},
		Operators: []config.Person{
			{Name: "anna", Token: providers.NewSecret(annaToken)}, {Name: "ben", Token: providers.NewSecret(benToken)},
		},
	}
	return home, w.serve(nil)
}

// signIn signs a person in.
func (b *browser) signIn(home, token string) {
	b.t.Helper()
	b.open("http://"+home+"/console/", "#token")
	b.fill("#token", token)
	do(b, chromedp.KeyEvent("\r"))
	b.see(".tiles")
}

// rule fills the form in and sends it.
func (b *browser) rule(reference string) {
	b.t.Helper()
	b.click(`input[name=as][value=succeeded]`)
	b.fill(`input[name=reference]`, reference)
	b.fill(`input[name=reason]`, "asked the provider")
	b.fill(`input[name=evidence]`, "ticket 4711")
	b.click(`form.ruling button`)
	b.see(`.notice.good, .notice.bad`)
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

	// It appears in the open page, which is not loaded again, before that asks by itself.
	do(anna, chromedp.Navigate("http://"+home+"/console/queue"))
	anna.within(`document.querySelector('[data-count="0"]') !== null`)
	do(anna, chromedp.Evaluate[string](`window.opened = "once"`))
	w.lostRefund("529-7-1", simulator.CutAfter)
	l.await(reviewed)
	took := anna.within(`document.querySelector('[data-count="1"]') !== null`)
	t.Logf("in the queue page %s after its event", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("it took %s to appear in the queue", took)
	}
	if opened := do(anna, chromedp.Evaluate[string](`String(window.opened)`)); opened != "once" {
		t.Error("the page was loaded again")
	}

	// Both look at it; one rules.
	for _, b := range two {
		b.open("http://"+home+"/console/queue", "#rows a")
		b.click("#rows a")
		b.see("form.ruling")
	}
	anna.click(`form[action$="/ask"] button`)
	anna.see(`section .notice[role=status]`)
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
	if said := ben.text(".notice.bad"); !strings.Contains(said, "Not done") || !strings.Contains(said, "contradicts the ruling on record: anna, ruled as succeeded, 4.00 EUR moved") {
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

func TestAboveTheSetAmountASecondPersonRulesTheSameInTheBrowser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Desk.SecondPersonAbove = []config.Amount{{Value: 399, Currency: "EUR"}}
	home := w.withConsole()
	two := openBrowsers(t, 2, home)
	anna, ben := two[0], two[1]
	l := w.follow()
	w.lostRefund("529-7-4", simulator.CutAfter)
	l.await(reviewed)
	anna.signIn(home, annaToken)
	ben.signIn(home, benToken)
	address := "http://" + home + "/console/payments/openpay-eu/529-7-4"

	// The first is told before and after that it takes another.
	anna.open(address, "form.ruling")
	if said := anna.text("form.ruling"); strings.Count(said, "Another person has to rule the same") != 3 {
		t.Errorf("before, the form says %q", said)
	}
	anna.rule("rf-1")
	if said := anna.text(".notice.good"); !strings.Contains(said, "takes effect when another person rules the same") {
		t.Errorf("proposed, the page says %q", said)
	}
	anna.shoot("proposed")
	anna.calm("proposed")
	anna.open(address, "form.ruling")
	anna.rule("rf-1")
	if said := anna.text(".notice.bad"); !strings.Contains(said, "you have said this already") {
		t.Errorf("to the same person again the page says %q", said)
	}
	if was := anna.forget(); len(was) != 1 || !strings.Contains(was[0], "403") {
		t.Errorf("the refusal is told as %q", was)
	}
	if n := len(ended(w, l)); n != 0 || len(w.audits("propose")) != 1 || len(w.audits("resolve")) != 0 {
		t.Errorf("%d have ended, with %d proposals and %d rulings: want only the proposal", n, len(w.audits("propose")), len(w.audits("resolve")))
	}

	// The second sees who has ruled what, and rules the same.
	ben.open(address, "form.ruling")
	if said := ben.text("main"); !strings.Contains(said, "anna has ruled: succeeded, 4.00 EUR moved, reference rf-1.") {
		t.Errorf("to the second person the page says %q", said)
	}
	ben.rule("rf-1")
	if said := ben.text(".notice.good"); !strings.Contains(said, "in the journal") {
		t.Errorf("confirmed, the page says %q", said)
	}
	ben.calm("confirmed")
	l.await(terminal(1))
	all := ended(w, l)
	if len(all) != 1 || all[0].Data.Status != "succeeded" || all[0].Data.ResolvedBy == nil || all[0].Data.ResolvedBy.Operator != "anna and ben" {
		t.Errorf("it ended with %+v", all)
	}
	if p, r := len(w.audits("propose")), len(w.audits("resolve")); p != 1 || r != 1 {
		t.Errorf("%d proposals and %d rulings are recorded, want one each", p, r)
	}
}

func TestOfACancelItIsChosenInTheBrowserWhatItDid(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range w.cfg.Providers {
		w.cfg.Providers[i].Retry.Initial, w.cfg.Providers[i].Retry.Max = time.Hour, time.Hour // it stays as it is
	}
	home := w.withConsole()
	b := openBrowsers(t, 1, home)[0]
	l := w.follow()
	if err := w.opay.Fault(simulator.Fault{Operation: "cancel", Mode: simulator.RateLimit, Times: 1}); err != nil {
		t.Fatal(err)
	}
	w.publish(command("c-1", "cancel", map[string]any{"idempotencyKey": "k", "provider": "opay-eg", "payment": map[string]any{"orderId": "2001", "country": "EG"}}))
	l.await(func(all []event) string {
		if len(all) == 0 || all[len(all)-1].Data.Status != "deferred" {
			return "deferred"
		}
		return ""
	})
	b.signIn(home, annaToken)
	address := "http://" + home + "/console/payments/opay-eg/2001"
	b.inspect("cancel", address)
	b.open(address, "form.ruling")
	if chosen := on[string](b, "select[name=effect]", `return e.value`); chosen != "closed" {
		t.Errorf("chosen at first is %q", chosen)
	}
	b.fill("select[name=effect]", "voided")
	b.rule("")
	if said := b.text(".notice"); !strings.Contains(said, "in the journal") {
		t.Errorf("ruled, the page says %q", said)
	}
	l.await(terminal(1))
	if all := ended(w, l); len(all) != 1 || all[0].Data.Effect != "voided" || all[0].Type != "payment.cancel.succeeded" {
		t.Errorf("it ended with %+v", all)
	}
	b.calm("ruled")
}

// reviewed is what await waits for: the newest event calls for a person.
func reviewed(all []event) string {
	if len(all) == 0 || all[len(all)-1].Data.Status != "reviewRequired" {
		return "reviewRequired"
	}
	return ""
}

// ended are the terminal events, once the ledger has read the whole journal.
func ended(w *world, l *ledger) []event {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), w.cfg.Streams.Events)
	if err != nil {
		w.t.Fatal(err)
	}
	audits := len(w.audits("*"))
	l.await(func(all []event) string {
		if uint64(len(all)+audits) < s.CachedInfo().State.Msgs {
			return "the rest of the journal"
		}
		return ""
	})
	var list []event
	all, _ := l.all()
	for _, e := range all {
		if e.terminal() {
			list = append(list, e)
		}
	}
	return list
}

// The metrics count what is open once a minute; what needs a person they know
// within seconds, as the console does.
func TestTheMetricsKnowWithinSecondsThatAPersonIsNeededAndThatOneHasRuled(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.lookEvery = 15 * time.Second // as in production: a count a minute
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.cfg.Desk.SelfAsserted = true
	l := w.follow()
	w.serve(nil)
	const series = `countermand_review_required{provider="openpay-eu"}`
	w.awaitMetric(series, "0")
	known := func(what, want string, since time.Time) {
		t.Helper()
		w.awaitMetric(series, want)
		took := time.Since(since)
		t.Logf("%s: in the metrics %s after its event", what, took.Round(time.Millisecond))
		if took > 20*time.Second {
			t.Errorf("%s: in the metrics only %s after its event", what, took)
		}
	}
	w.lostRefund("529-7-5", simulator.CutAfter)
	l.await(reviewed)
	known("a person is needed", "1", time.Now())
	ana := w.operator("ana")
	story, err := ana.Payment(t.Context(), payment.ID{Provider: "openpay-eu", Native: "529-7-5"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ana.Resolve(t.Context(), rulingOn(story, desk.AsFailed)); err != nil {
		t.Fatal(err)
	}
	known("a person has ruled", "0", time.Now())
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
	do(b, chromedp.Navigate(at+"queue"))
	b.within(`document.querySelector('[data-count="1"]') !== null`)
	for name, path := range map[string]string{
		"overview": "", "queue": "queue", "payment": "payments/openpay-eu/529-7-2", "rejected": "rejected", "live": "live",
	} {
		b.inspect(name, at+path)
	}
	// The keyboard gets past the navigation with its first stop.
	b.open(at+"queue", "main")
	do(b, chromedp.KeyEvent("\t"))
	if first := do(b, chromedp.Evaluate[string](`document.activeElement.className`)); first != "skip" {
		t.Errorf("the first stop of the keyboard is %q", first)
	}
	// The rejection is on its page, with its fault and without its text.
	b.open(at+"rejected", "summary")
	b.click("summary")
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
	b.open("http://"+home+"/console/queue", "#rows a")
	b.click("#rows a")
	b.see("#timeline")
	if forms := do(b, chromedp.Evaluate[int](`document.querySelectorAll("main form").length`)); forms != 0 {
		t.Errorf("a viewer is shown %d forms", forms)
	}
	b.follows() // a stream that is asked for after the session has ended is refused
	b.click(`form[action$="logout"] button`)
	b.see("#token")
	b.calm("viewer")
}
