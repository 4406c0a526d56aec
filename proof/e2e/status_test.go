package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/schemas"
)

// asker asks payments.status, and holds each answer against the schema.
type asker struct {
	t      testing.TB
	nc     *nats.Conn
	schema *jsonschema.Schema
}

func (w *world) asker() *asker {
	w.t.Helper()
	nc, err := nats.Connect(w.server.URL())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	return &asker{w.t, nc, responseSchema(w.t)}
}

func responseSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, name := range []string{"common.json", "payments.status.response.json"} {
		raw, err := schemas.FS().Open("v1/" + name)
		if err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(schemas.BaseURI+name, document); err != nil {
			t.Fatal(err)
		}
	}
	return c.MustCompile(schemas.BaseURI + "payments.status.response.json")
}

// statusAnswer is what these tests read of an answer.
type statusAnswer struct {
	Provider, Payment string
	Version           uint64
	Operations        []struct {
		Operation, IdempotencyKey, CommandID, Status, Code string
		Version                                            uint64
		Moved                                              *money
		NextAttemptAt, CallUntil                           time.Time
		Review                                             *struct{ Reason string }
	}
	Error *struct {
		Code     string
		Searched *struct{ Whole bool }
	}
	number string
}

// says is the one operation's status, or the error.
func (a statusAnswer) says() string {
	switch {
	case a.Error != nil:
		return a.number + " " + a.Error.Code
	case len(a.Operations) != 1:
		return fmt.Sprintf("%d operations", len(a.Operations))
	default:
		return a.Operations[0].Status
	}
}

func (a *asker) ask(subject, body string) statusAnswer {
	a.t.Helper()
	m, err := a.nc.RequestWithContext(a.t.Context(), subject, []byte(body))
	if err != nil {
		a.t.Fatalf("%s on %s: %v", body, subject, err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(m.Data))
	if err == nil {
		err = a.schema.Validate(document)
	}
	if err != nil {
		a.t.Fatalf("%s is answered %s: %v", body, m.Data, err)
	}
	var out statusAnswer
	if err := json.Unmarshal(m.Data, &out); err != nil {
		a.t.Fatal(err)
	}
	out.number = m.Header.Get(micro.ErrorCodeHeader)
	return out
}

// served waits until somebody answers.
func (w *world) served(a *asker) {
	w.t.Helper()
	w.poll("payments.status is not served", func() bool {
		_, err := a.nc.RequestWithContext(w.t.Context(), "payments.status", nil)
		return err == nil
	})
}

func (w *world) refund(order, key string) {
	w.t.Helper()
	w.publish(command("c-"+order+"-"+key, "refund", map[string]any{
		"idempotencyKey": key, "provider": "opay-eg", "payment": map[string]any{"orderId": order, "country": "EG"},
		"amount": map[string]any{"value": 400, "currency": "EGP"},
	}))
}

func TestAnOrderServiceAsksWhereItsPaymentStandsFromTheCommandToTheEnd(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.asker()
	stop := w.serve(nil)
	w.serve(nil)
	w.served(a)
	for _, order := range []string{"1001000", "1001.000", "hangs"} {
		if err := w.opay.AddPayment(opaysim.Payment{Reference: order, Country: "EG", Amount: 40000, Currency: "EGP", Status: "SUCCESS"}); err != nil {
			t.Fatal(err)
		}
	}
	// The bytes that docs/status.md and README.md give to "nats req".
	const documented = `{"provider":"opay-eg","payment":"1001000"}`
	if got := a.ask("payments.status", documented); got.says() != "404 not_found" {
		t.Errorf("before its command: %+v", got)
	}
	w.refund("1001000", "return-1")
	w.poll("not succeeded", func() bool { return a.ask("payments.status", documented).says() == "succeeded" })
	got := a.ask("payments.status", documented)
	if o := got.Operations[0]; got.Version != o.Version || o.Moved == nil || o.Moved.Value != 400 || o.IdempotencyKey != "" {
		t.Errorf("the end: %+v", got)
	}
	ways := []string{
		`{"provider":"opay-eg","payment":"1001000","operation":"refund","idempotencyKey":"return-1"}`,
		`{"provider":"opay-eg","payment":"1001000","commandId":"c-1001000-return-1","commandSource":"/shop/orders"}`,
		`{"commandId":"c-1001000-return-1","commandSource":"/shop/orders"}`,
	}
	for range 2 { // both replicas, and after one has gone the other
		for _, body := range ways {
			for _, subject := range []string{"payments.status", "payments.status.opay-eg"} {
				if got := a.ask(subject, body); got.says() != "succeeded" || got.Operations[0].IdempotencyKey != "return-1" || got.Payment != "1001000" {
					t.Errorf("%s on %s: %+v", body, subject, got)
				}
			}
		}
		stop()
	}
	for body, want := range map[string]string{
		ways[0]: "403 wrong_provider",
		ways[2]: "404 not_found",
		`{}`:    "400 invalid_request",
	} {
		if got := a.ask("payments.status.openpay-eu", body); got.says() != want {
			t.Errorf("%s at another provider: %+v, want %s", body, got, want)
		}
	}
	// Another payment whose name is nearly this one's, and a call that is under way.
	w.refund("1001.000", "return-1")
	if err := w.opay.Fault(simulator.Fault{Operation: "refund", Payment: "hangs", Mode: simulator.HangAfter, Times: 1}); err != nil {
		t.Fatal(err)
	}
	w.refund("hangs", "return-1")
	w.poll("not started", func() bool {
		got := a.ask("payments.status", `{"commandId":"c-hangs-return-1","commandSource":"/shop/orders"}`)
		return got.says() == "started" && got.Operations[0].CallUntil.After(time.Now().Add(-time.Minute))
	})
	w.poll("not found out", func() bool {
		return a.ask("payments.status", `{"provider":"opay-eg","payment":"hangs"}`).says() == "succeeded"
	})
	w.poll("the other payment", func() bool {
		return a.ask("payments.status", `{"provider":"opay-eg","payment":"1001.000"}`).says() == "succeeded"
	})
}

func TestAnOperationThatWaitsForAPersonSaysSoAndNoAnswerLiesInTheJournal(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.asker()
	w.serve(nil)
	w.served(a)
	w.lostRefund("529-1-2", simulator.CutAfter)
	const body = `{"provider":"openpay-eu","payment":"529-1-2"}`
	w.poll("not in review", func() bool { return a.ask("payments.status", body).says() == "reviewRequired" })
	o := a.ask("payments.status", body).Operations[0]
	if o.Review == nil || o.Review.Reason == "" || o.IdempotencyKey != "return-1" || o.CommandID != "c-529-1-2" || o.NextAttemptAt.IsZero() {
		t.Errorf("it says %+v", o)
	}
	if got := a.ask("payments.status", `{"commandId":"nobody's","commandSource":"/shop/orders"}`); got.says() != "404 not_found" || got.Error.Searched == nil || !got.Error.Searched.Whole {
		t.Errorf("nobody's command: %+v", got)
	}
	forged := "payment.refund.succeeded.openpay-eu.529-1-2.9"
	for _, subject := range []string{"payments.status", "payments.status.openpay-eu"} {
		if err := a.nc.PublishRequest(subject, forged, []byte(body)); err != nil {
			t.Fatal(err)
		}
		a.ask(subject, body) // behind it: once this is answered, that one was looked at
	}
	s, err := w.js.Stream(t.Context(), w.cfg.Streams.Events)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetLastMsgForSubject(t.Context(), forged); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Errorf("an answer lies in the journal: %v, %v", m, err)
	}
	if got := a.ask("payments.status", body); got.says() != "reviewRequired" {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestWhereTheRateIsNoneNobodyIsAnswered(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Status.Rate, w.cfg.Desk.SelfAsserted = 0, true
	w.serve(nil)
	w.inQueue(w.operator("alice"), 0) // served
	_, err := w.asker().nc.RequestWithContext(t.Context(), "payments.status", []byte(`{}`))
	if !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("told %v", err)
	}
}

func TestAnOrderServiceMayAskAboutItsProviderUnderThePermissionsOfTheContract(t *testing.T) {
	t.Parallel()
	w := serveGranted(t, "structured")
	nc := w.connect(t, asUser("orders-eg", "orders")...).Conn()
	again, deadline := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer again.Stop()
	for {
		m, err := nc.RequestWithContext(t.Context(), "payments.status.opay-eg", []byte(`{"provider":"opay-eg","payment":"none"}`))
		if err == nil && m.Header.Get(micro.ErrorCodeHeader) == "404" {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("it is told %v, %v", m, err)
		}
	}
}

func TestThePagesGiveTheRequestThatIsTested(t *testing.T) {
	t.Parallel()
	const documented = `nats req payments.status '{"provider":"opay-eg","payment":"1001000"}'`
	for _, page := range []string{"../../docs/status.md", "../../README.md"} {
		text, err := os.ReadFile(page)
		if err != nil || !strings.Contains(string(text), documented) {
			t.Errorf("%s has no %s (%v)", page, documented, err)
		}
	}
}
