package handlers_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// rewriting changes what a provider answers to whatever has moved money, until it is told
// to stop; counted is how many answers it changed.
func rewriting(change *strings.Replacer, counted *atomic.Int32) middleman {
	return func(h http.Handler, base *simulator.Base) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			body := answer.Body.String()
			if len(base.Ledger().Movements("")) > 0 {
				if changed := change.Replace(body); changed != body {
					counted.Add(1)
					body = changed
				}
			}
			maps.Copy(w.Header(), answer.Header())
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.WriteHeader(answer.Code)
			_, _ = w.Write([]byte(body))
		})
	}
}

// currencyAt is the currency of an instance's payments.
func currencyAt(instance string) payment.Currency {
	all := simulators.Accounts()
	return payment.Currency(all[slices.IndexFunc(all, func(k simulator.Kind) bool { return k.Instance == instance })].Currency)
}

// A refund is executed, and all answers from then on speak of another currency, or of more.
func TestNoKindBelievesThatMoreMovedThanWasAskedOrAnotherCurrency(t *testing.T) {
	t.Parallel()
	more := strings.NewReplacer(
		`"4.00"`, `"5.00"`, ":4.00", ":5.00", ":400,", ":500,", ":400}", ":500}", ":4,", ":5,", ":4}", ":5}", `"400"`, `"500"`,
		`"400.00"`, `"500.00"`, ":40000", ":50000", `"40000"`, `"50000"`, ":400.00", ":500.00",
	)
	other := strings.NewReplacer(
		`"EGP"`, `"USD"`, `"UAH"`, `"USD"`, `"GBP"`, `"USD"`, `"MXN"`, `"USD"`, `"EUR"`, `"USD"`, `"PHP"`, `"USD"`,
	)
	all := subjects()
	for _, s := range all {
		if s.movesMoney { // a full refund names what was captured, or nobody knows how much is too much
			money := fmt.Sprintf(`"payment":{"capturedAmount":{"value":40000,"currency":%q},`, currencyAt(s.id.Provider))
			s.name += " of a known amount"
			s.data = strings.Replace(s.data, `"payment":{`, money, 1)
			all = append(all, s)
		}
	}
	for what, change := range map[string]*strings.Replacer{"more": more, "another currency": other} {
		for _, s := range all {
			if !s.movesMoney {
				continue
			}
			t.Run(what+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				var changed atomic.Int32
				b := newSetupBehind(t, rewriting(change, &changed))
				base := b.seed(s)
				b.deliver(b.command(s.op, s.data))
				ended := func() bool {
					op := b.operation(s.id, s.op, key)
					return op.Status.Terminal() || op.Open != nil && op.Open.Review != nil
				}
				b.drive(ended)
				op := b.operation(s.id, s.op, key)
				if changed.Load() == 0 {
					t.Error("no answer speaks of money")
				}
				moved := base.Ledger().Movements("")
				if len(moved) != 1 {
					t.Fatalf("money moved %d times", len(moved))
				}
				truth := payment.Money{Value: moved[0].Amount, Currency: payment.Currency(moved[0].Currency)}
				known := op.Amount != nil || strings.Contains(s.data, "capturedAmount")
				if known && op.Status == payment.StatusSucceeded && op.Moved != nil && *op.Moved != truth {
					t.Errorf("%v moved, and %v is told (%s)", truth, *op.Moved, op.Code)
				}
				if op.Status == payment.StatusFailed {
					t.Error("what moved is called failed")
				}
			})
		}
	}
}
