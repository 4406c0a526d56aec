package opay_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
)

// BenchmarkRefund is one refund from request to outcome, the HTTP call over
// loopback included: the other side answers at once, on the same processors.
func BenchmarkRefund(b *testing.B) {
	const answer = `{"code":"00000","message":"SUCCESSFUL","data":{"reference":"cm-1","originalReference":"1001000",` +
		`"orderNo":"211009140896593010","country":"EG","orderStatus":"SUCCESS","refundAmount":{"currency":"EGP","total":400}}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}))
	b.Cleanup(server.Close)
	p, err := opay.New(settings(server.URL), providers.NewClient(nil))
	if err != nil {
		b.Fatal(err)
	}
	r := providers.Request{
		Op: payment.Refund, Key: "k", Attempt: 1, Reference: "cm-1",
		Payment: payment.Details{OrderID: "1001000", Country: "EG", Currency: "EGP"},
		Amount:  &payment.Money{Value: 400, Currency: "EGP"},
	}
	b.ReportAllocs()
	for b.Loop() {
		if out := p.Call(b.Context(), r); out.Result != payment.Succeeded {
			b.Fatalf("%+v", out)
		}
	}
}
