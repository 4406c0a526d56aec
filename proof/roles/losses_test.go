package roles_test

import (
	"strings"
	"testing"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/natstest"
)

// The journal's stream is deleted and made anew. Whoever may ask the service under a name
// decides, and the service needs no right that its file does not have.
func TestTheServiceDecidesAboutALossForAnOperatorAndRecordsTheLogin(t *testing.T) {
	t.Parallel()
	w, _ := attacked(t)
	publish := strings.ReplaceAll(refundOf, "40000", "400")
	if _, err := w.stream(ordersEG()).Publish(w.ctx(), "payment.refund.requested.opay-eg", []byte(publish)); err != nil {
		t.Fatal(err)
	}
	w.await("payment.refund.succeeded.opay-eg.paid.*")
	js := w.stream(observer())
	natstest.DeleteStream(t, w.server, js, "PAYMENT_EVENTS")
	if _, err := broker.Provision(w.ctx(), js, app.Topology(w.config(observer()))); err != nil {
		t.Fatal(err)
	}
	nc := w.connect(operator())
	client := remote.NewClient(nc, operator().name)
	decide := func(kind control.Kind, d control.Decision) control.Decided {
		t.Helper()
		d.RequestID, d.Reason = desk.NewULID(), "a test"
		got, err := client.Decide(w.ctx(), kind, d)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		return got
	}
	w.broken(client)
	seen := decide(control.Accept, control.Decision{})
	if len(seen.Refused) != 1 || seen.Done.Loss == nil {
		t.Fatalf("a loss that is not typed out: %+v", seen)
	}
	done := decide(control.Accept, control.Decision{Apply: true, Lose: seen.Done.Loss.Messages, Seen: seen.Done.Loss.Fingerprint})
	if !done.Done.Applied || done.Done.By != operator().name || done.Done.Epoch.Number != 1 {
		t.Fatalf("accepted: %+v", done)
	}
	recorded, err := js.Stream(w.ctx(), "PAYMENT_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	m, err := recorded.GetLastMsgForSubject(w.ctx(), "payment.operator.journal_accepted.*")
	if err != nil || !strings.Contains(string(m.Data), `"operator":"operator","identity":"nats","login":"nats:PEOPLE/U`) {
		t.Errorf("recorded as %s, %v", m.Data, err)
	}
	if got := decide(control.Go, control.Decision{Apply: true}); got.Done.Epoch.Phase != integrity.Doubting {
		t.Errorf("go: %+v", got)
	}
	if got := decide(control.Trust, control.Decision{Apply: true}); len(got.Refused) != 1 || !strings.Contains(got.Refused[0], "the walk over the commands is not finished") {
		t.Errorf("trust without a walk: %+v", got)
	}
	if got := decide(control.Trust, control.Decision{Apply: true, WithoutCommands: true}); got.Done.Epoch.Phase != integrity.Trusted {
		t.Errorf("trust: %+v", got)
	}
	_, err = remote.NewClient(nc, "alice").Decide(w.ctx(), control.Accept, control.Decision{RequestID: desk.NewULID(), Reason: "a test"})
	if err == nil || !strings.Contains(err.Error(), "does not let this user act") {
		t.Errorf("the operator decides as somebody else: %v", err)
	}
}

// broken waits until the service has found the loss, and shows it to an operator.
func (w *world) broken(client *remote.Client) {
	w.t.Helper()
	for {
		s, err := client.Journal(w.ctx(), control.Servers{})
		if err != nil {
			w.t.Fatal(err)
		}
		if !s.Whole && len(integrity.Open(s.Replicas)) == 0 && has(s, integrity.Broken) {
			return
		}
	}
}

func has(s *acceptance.Status, standing integrity.Standing) bool {
	for _, r := range s.Replicas {
		if r.Standing == standing.String() {
			return true
		}
	}
	return false
}
