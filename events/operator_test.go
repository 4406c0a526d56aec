package events_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

func operatorAction() payment.OperatorAction {
	return payment.OperatorAction{
		ULID: "01J8Z3N9Q8K6M2V4T7R5W1X0YA", Action: "resolve", Operator: "dana", Identity: "nats", Reason: "found in the portal", Evidence: "ticket 4711",
		ID: payment.ID{Provider: "openpay-eu", Native: "529.1"}, Op: payment.Refund, Key: "k", Version: 3, Token: "7-0123456789ab", Ruling: "succeeded",
		Testimony: payment.Testimony{Effect: payment.EffectRefunded, Moved: &payment.Money{Value: 400, Currency: "EUR"}, ProviderReference: "rf-1"}, Outcome: "refused", Follows: "01J8Z3N9Q8K6M2V4T7R5W1X0YB",
		At: time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC),
	}
}

func TestAnOperatorsActionComesBackAsItWentOutInEitherMode(t *testing.T) {
	t.Parallel()
	for _, binary := range []bool{false, true} {
		for name, a := range map[string]payment.OperatorAction{
			"full":  operatorAction(),
			"small": {ULID: "01J8Z3N9Q8K6M2V4T7R5W1X0YA", Action: "reveal", Operator: "dana", Reason: "why", At: operatorAction().At},
		} {
			m, err := events.NewEncoder(&events.EncoderOptions{Binary: binary}).EncodeOperator(a)
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject != "payment.operator."+a.Action+"."+a.ULID {
				t.Errorf("%s lies on %s", name, m.Subject)
			}
			got, err := events.DecodeOperator(m)
			if diff := cmp.Diff(a, got); err != nil || diff != "" {
				t.Errorf("%s, binary %t: %v (-out +back):\n%s", name, binary, err, diff)
			}
		}
	}
}

func TestAnOperatorsActionHoldsNoCardNumber(t *testing.T) {
	t.Parallel()
	for _, card := range []string{"4111 1111 1111 1111", "4111.1111.1111.1111", "4111.1111/1111|1111", "4111    1111    1111    1111"} {
		a := operatorAction()
		a.Operator, a.Reason, a.Evidence, a.ProviderReference = card, card, card, card
		m, err := events.NewEncoder(nil).EncodeOperator(a)
		if err != nil || strings.Contains(string(m.Data), "4111") {
			t.Errorf("written: %s, %v", m.Data, err)
		}
	}
	a := operatorAction()
	a.ProviderReference = "41:11.1111/111|1_111=1" // no text would be divided like that
	if m, err := events.NewEncoder(nil).EncodeOperator(a); err != nil || strings.Contains(string(m.Data), "41:11") {
		t.Errorf("written: %s, %v", m.Data, err)
	}
}

func TestAnActionThatSaysNothingOrNamesNoSubjectIsNotWritten(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*payment.OperatorAction){
		"no action":             func(a *payment.OperatorAction) { a.Action = "" },
		"an action with dots":   func(a *payment.OperatorAction) { a.Action = "a.b" },
		"an action in capitals": func(a *payment.OperatorAction) { a.Action = "Resolve" },
		"no ulid":               func(a *payment.OperatorAction) { a.ULID = "" },
		"a wildcard":            func(a *payment.OperatorAction) { a.ULID = strings.Repeat("*", 26) },
		"no operator":           func(a *payment.OperatorAction) { a.Operator = "" },
		"no reason":             func(a *payment.OperatorAction) { a.Reason = "" },
	} {
		a := operatorAction()
		spoil(&a)
		if m, err := events.NewEncoder(nil).EncodeOperator(a); err == nil {
			t.Errorf("%s: written on %s", name, m.Subject)
		}
	}
	for _, body := range []string{
		`{`, `{"id":"payment.operator.reveal.X","data":{"action":"resolve"}}`, `{"id":"payment.operator.reveal.X","data":{"action":"reveal","payment":"a.b"}}`,
	} {
		m := events.Message{Header: map[string][]string{"Content-Type": {"application/cloudevents+json"}}, Data: []byte(body)}
		if a, err := events.DecodeOperator(m); err == nil {
			t.Errorf("%s is read as %+v", body, a)
		}
	}
}
