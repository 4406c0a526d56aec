package console_test

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/payment"
)

func local(t *testing.T) *bundle { t.Helper(); return setup(t, console.Access{Local: "demo"}) }

func TestEveryAnswerForbidsWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	b := local(t)
	b.desk.no = &desk.Error{Fault: desk.FaultRefused, Message: "no"}
	b.feed.Take(console.Result{ID: payment.ID{Provider: "opay-eg", Native: "1"}, Op: payment.Refund, Type: payment.EventFailed, At: b.clock()})
	b.feed.TakeRejection(console.Rejection{Token: "1-0", Code: payment.CodeInvalidCommand, Faults: []payment.Fault{{Pointer: "/x", Rule: "unknown"}}, At: began})
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(>|\s[^>]*>[^<])|javascript:|(src|href|action)="(https?:)?//`)
	pages := map[string]*http.Response{"resolve": b.send(resolvePath, ruling()), "ask": b.send(paymentPage+"/ask", ruling())}
	for _, path := range []string{"", "numbers", "queue", "queue/rows", "rejected", "live", "login", "nowhere", "static/console.css", "payments/opay-eg/2"} {
		pages[path] = b.send("/console/"+path, nil)
	}
	pages["payment"] = b.send(paymentPage, nil)
	for name, r := range pages {
		csp := r.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", name, csp)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", name, r.Header)
		}
		if strings.HasPrefix(name, "static") {
			continue
		}
		if found := inline.FindString(b.want(r, r.StatusCode)); found != "" {
			t.Errorf("%s holds %q", name, found)
		}
	}
}

func TestWhatComesFromOutsideIsTextAndNeverMarkup(t *testing.T) {
	t.Parallel()
	b := local(t)
	body := b.want(b.send(paymentPage+"/ask", ruling()), http.StatusOK)
	for _, raw := range []string{"<b>nothing", `1/<i>"x`} {
		if strings.Contains(body, raw) {
			t.Errorf("the page holds %s", raw)
		}
	}
	if !strings.Contains(body, "&lt;b&gt;nothing") {
		t.Error("the provider's words are not shown")
	}
	if !strings.Contains(b.want(b.send("/console/queue", nil), http.StatusOK), `href="`+paymentPage+`"`) {
		t.Error("the queue does not lead to the payment")
	}
}

func TestAPaymentIsFoundByItsIdentifier(t *testing.T) {
	t.Parallel()
	b := local(t)
	r := b.send("/console/payments?"+url.Values{"provider": {" opay-eg"}, "payment": {`1/<i>"x`}}.Encode(), nil)
	b.want(r, http.StatusSeeOther)
	if to := r.Header.Get("Location"); to != paymentPage {
		t.Errorf("leads to %s", to)
	}
	b.want(b.send("/console/payments?provider=opay-eg&payment=a+b", nil), http.StatusBadRequest)
	b.want(b.send("/console/payments?provider=../x&payment=a", nil), http.StatusBadRequest)
	b.want(b.send("/console/payments/opay-eg/2", nil), http.StatusNotFound)
	b.want(b.send("/console/payments/opay-eg/=zz", nil), http.StatusNotFound)
}

func TestARulingReachesTheDeskAsItWasTyped(t *testing.T) {
	t.Parallel()
	seen := time.Date(2026, 3, 4, 6, 6, 7, 0, time.UTC)
	base := desk.Ruling{
		Provider: "opay-eg", Payment: `1/<i>"x`, Operation: payment.Refund, Key: "k-1", Version: 3, Seen: seen,
		Reason: "asked", Evidence: "ticket 4711",
	}
	four := &payment.Money{Value: 400, Currency: "EGP"}
	succeeded, failed, retry := base, base, base
	succeeded.As, succeeded.Moved, succeeded.ProviderReference = desk.AsSucceeded, four, "rf-1"
	failed.As = desk.AsFailed
	retry.As, retry.ConfirmAmount = desk.AsRetry, four
	for _, c := range []struct {
		form url.Values
		want desk.Ruling
	}{
		{ruling(), succeeded},
		{ruling("as", "failed"), failed}, // what moved is of the other choice: left out
		{ruling("as", "retry", "confirm", "4.00 EGP"), retry},
	} {
		b := local(t)
		b.want(b.send(resolvePath, c.form), http.StatusSeeOther)
		if diff := cmp.Diff([]desk.Ruling{c.want}, b.desk.ruled); diff != "" {
			t.Errorf("ruled (-want +got):\n%s", diff)
		}
	}
}

func TestOfACancelThePageAsksWhatItDid(t *testing.T) {
	t.Parallel()
	page := func(op payment.Op) (*bundle, string) {
		b := local(t)
		o := &b.desk.story.Operations[0]
		o.Operation, o.Choices[0].NeedsMoved = op, op == payment.Refund
		if op == payment.Cancel {
			o.Choices[0].Effects = []payment.Effect{payment.EffectClosed, payment.EffectVoided, payment.EffectNone, payment.EffectRefunded}
		}
		body := b.want(b.send(paymentPage, nil), http.StatusOK)
		return b, body
	}
	if _, body := page(payment.Refund); strings.Contains(body, `name="effect"`) {
		t.Error("of a refund it is asked too")
	}
	if _, body := page(payment.Cancel); strings.Count(body, "<option ") != 4 || !strings.Contains(body, `<option value="voided">`) {
		t.Error("the effects cannot be chosen from")
	}
	four := &payment.Money{Value: 400, Currency: "EGP"}
	for effect, moved := range map[payment.Effect]*payment.Money{"": nil, payment.EffectVoided: nil, payment.EffectRefunded: four} {
		b, _ := page(payment.Cancel)
		b.want(b.send(resolvePath, ruling("operation", "cancel", "effect", string(effect))), http.StatusSeeOther)
		got := b.desk.ruled[0]
		if got.Effect != effect || !cmp.Equal(got.Moved, moved) || (got.ProviderReference == "rf-1") != (moved != nil) {
			t.Errorf("effect %q: ruled %+v", effect, got)
		}
	}
	b, _ := page(payment.Cancel)
	b.want(b.send(resolvePath, ruling("operation", "cancel", "effect", "refunded", "moved", "4 EGP")), http.StatusUnprocessableEntity)
	b.desk.no = &desk.Error{Fault: desk.FaultInvalid, Message: "no"}
	if body := b.want(b.send(resolvePath, ruling("operation", "cancel", "effect", "voided")), http.StatusUnprocessableEntity); !strings.Contains(body, `<option value="voided" selected>`) {
		t.Error("what was chosen is gone")
	}
	b.want(b.send(resolvePath, ruling("operation", "cancel", "as", "failed", "effect", "voided")), http.StatusUnprocessableEntity)
	if got := b.desk.ruled[len(b.desk.ruled)-1]; got.Effect != "" {
		t.Errorf("failed with the effect %q", got.Effect)
	}
}

func TestAnAmountThatCouldMeanAHundredTimesAsMuchNeverReachesTheDesk(t *testing.T) {
	t.Parallel()
	b := local(t)
	for _, typed := range []string{" 4.00 EGP", "4.00 EGP ", "4.00 EGP\n", "4 EGP", "4.0 EGP", "4.000 EGP", "4,00 EGP", "1 000.00 EGP", "-4.00 EGP", "+4.00 EGP", ".00 EGP", "", "4.00", "4.00 EG", "90071992547409.93 EGP", "٤.00 EGP"} {
		body := b.want(b.send(resolvePath, ruling("moved", typed)), http.StatusUnprocessableEntity)
		if !strings.Contains(body, "decimals") {
			t.Errorf("%q: the page does not say how an amount is typed", typed)
		}
		if typed != "" {
			b.want(b.send(resolvePath, ruling("as", "retry", "confirm", typed)), http.StatusUnprocessableEntity)
		}
	}
	if body := b.want(b.send(resolvePath, ruling("moved", "4 EGP")), http.StatusUnprocessableEntity); !strings.Contains(body, "write &#34;4.00 EGP&#34;") {
		t.Error("the page does not say what would be read")
	}
	if len(b.desk.ruled) != 0 {
		t.Errorf("ruled %+v", b.desk.ruled)
	}
}

func TestARefusalShowsThePaymentAsItIsNowAndKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	b := local(t)
	now := b.desk.story
	now.Version = 4
	checked := regexp.MustCompile(`value="(\w+)" checked`)
	for name, c := range map[string]struct {
		no      error
		status  int
		checked bool
		says    string
	}{
		"stale":   {&desk.Error{Fault: desk.FaultStale, Message: "the payment has moved", Now: &now}, http.StatusConflict, false, "the payment has moved"},
		"invalid": {&desk.Error{Fault: desk.FaultInvalid, Message: "reason is required"}, http.StatusUnprocessableEntity, true, "reason is required"},
		"down":    {errors.New("dial tcp 10.0.0.1: secret thing"), http.StatusInternalServerError, true, "the log says why"},
	} {
		b.desk.no = c.no
		body := b.want(b.send(resolvePath, ruling()), c.status)
		if !strings.Contains(body, c.says) || !strings.Contains(body, `role="alert"`) || strings.Contains(body, "secret thing") {
			t.Errorf("%s: the page does not say it as it must", name)
		}
		if !strings.Contains(body, `value="ticket 4711"`) || !strings.Contains(body, `value="rf-1"`) {
			t.Errorf("%s: what was typed is gone", name)
		}
		if checked.MatchString(body) != c.checked {
			t.Errorf("%s: a ruling is chosen: %t, want %t", name, !c.checked, c.checked)
		}
		if name == "stale" && !strings.Contains(body, `name="version" value="4"`) {
			t.Error("the form is not about the new version")
		}
	}
}

func TestAFormLargerThanAnyRulingIsNotRead(t *testing.T) {
	t.Parallel()
	b := local(t)
	if r := b.send(resolvePath, ruling("reason", strings.Repeat("x", 1<<20))); r.StatusCode == http.StatusSeeOther {
		t.Error("it was carried out")
	}
	if len(b.desk.ruled) != 0 {
		t.Error("it reached the desk")
	}
}
