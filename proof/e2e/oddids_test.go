package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
)

// oddIDs are legal identifiers, each of which means something to somebody on
// the way: subjects, filters, percent encoding, URLs, forms, JSON, HTML, shells.
func oddIDs() []string {
	return []string{
		".", "..", "a.b.c", "*", ">", "a.*.>", "refund.succeeded.opay-eg.1.2", "$JS.API.STREAM.PURGE.X", "_INBOX.1",
		"=", "=2E", "=2e", "%", "%2E", "%2F..%2F", "%00", "a/b", "/", "../../etc", "\\", "?a=1#b", "#",
		"a&amount=1", "x&transactionId=529-1", "a=b", "a+b", "a;b", "<b>", "'", `"`, `"}`, `{"a":1}`, `\u0041`,
		"null", "0", "-1", "1e3", "$(id)", "`id`", "|", "~", "a:b", "a,b", "@at", "A", "a",
	}
}

func TestOddButLegalIdentifiersComeThroughUnharmed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	results := w.follow()
	atOPay := append(oddIDs(), strings.Repeat("~", 64), strings.Repeat("a", 63)+".")
	atOpenpay := append(oddIDs(), strings.Repeat("=", 32))
	for i, id := range atOPay {
		w.refundAtOPay(i, id)
	}
	for i, id := range atOpenpay {
		w.refundAtOpenpay(i, id)
	}
	w.serve(nil)
	total := len(atOPay) + len(atOpenpay)
	events := results.await(func(all []event) string {
		ended := 0
		for _, e := range all {
			if e.terminal() || e.rejection() {
				ended++
			}
		}
		if ended < total {
			return fmt.Sprintf("%d of %d results", total-ended, total)
		}
		return ""
	})
	want := map[string]bool{}
	for _, id := range atOPay {
		want["opay-eg "+id] = true
	}
	for _, id := range atOpenpay {
		want["openpay-eu "+id] = true
	}
	for _, e := range events {
		if n := strings.Count(e.Subject, ".") + 1; n != 6 || strings.ContainsAny(e.Subject, "*> \r\n") {
			t.Errorf("%q has %d tokens, want payment, operation, event, provider, payment, version", e.Subject, n)
		}
		if !e.terminal() {
			continue
		}
		name := e.Data.Provider + " " + e.Data.native()
		if e.Type != "payment.refund.succeeded" || !want[name] {
			t.Errorf("%s: %s %s", name, e.Type, e.Data.Code)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s: no result", name)
	}
	for i, id := range atOPay {
		w.checkMoved(id, w.opay.Ledger().Total(id)["EGP"], oddAmount(i))
	}
	for i, id := range atOpenpay {
		w.checkMoved(id, w.openpay.Ledger().Total(id)["EUR"], oddAmount(i))
	}
	if moved := len(w.opay.Ledger().Movements("")) + len(w.openpay.Ledger().Movements("")); moved != total {
		t.Errorf("money moved %d times for %d refunds", moved, total)
	}
}

// oddAmount is another one for each payment, so that none can stand for another.
func oddAmount(i int) int64 { return int64(100 + i) }

func (w *world) checkMoved(id string, got, want int64) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%q: %d moved at the provider, want %d", id, got, want)
	}
}

func (w *world) refundAtOPay(i int, id string) {
	w.t.Helper()
	if err := w.opay.AddPayment(opaysim.Payment{Reference: id, Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
		w.t.Fatal(err)
	}
	w.publish(command(fmt.Sprintf("opay-%d", i), "refund", map[string]any{
		"idempotencyKey": id, "provider": "opay-eg", "payment": map[string]any{"orderId": id, "country": "EG"}, "amount": egp(oddAmount(i)),
	}))
}

func (w *world) refundAtOpenpay(i int, id string) {
	w.t.Helper()
	if err := w.openpay.AddPayment(openpaysim.Payment{TransactionID: id, ReferenceNo: id, Amount: 40000, Currency: "EUR"}); err != nil {
		w.t.Fatal(err)
	}
	w.publish(command(fmt.Sprintf("openpay-%d", i), "refund", map[string]any{
		"idempotencyKey": id, "provider": "openpay-eu", "payment": map[string]any{"transactionId": id, "orderId": id},
		"amount": map[string]any{"value": oddAmount(i), "currency": "EUR"},
	}))
}
