package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

// notifiedWorld is a service that takes notifications in and asks of itself only
// after ten minutes, longer than any test waits.
type notifiedWorld struct {
	*world
	address string
	tranzzo *tranzzosim.Simulator
	results *ledger
	stop    func()
}

func notifications(t *testing.T, namesPayment bool) *notifiedWorld {
	t.Helper()
	w := &notifiedWorld{
		world:   setupWith(t, opaysim.New(opaysim.Options{CallbackNamesPayment: namesPayment})),
		address: natstest.FreeAddress(t), tranzzo: tranzzosim.New(tranzzosim.Options{Pending: true, ShowComments: true}),
	}
	opayWeb, tranzzoWeb := httptest.NewServer(w.opay), httptest.NewServer(w.tranzzo)
	t.Cleanup(opayWeb.Close)
	t.Cleanup(tranzzoWeb.Close)
	t.Cleanup(w.tranzzo.Close)
	secret := func(value string) string {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const times = `timeout: 2s, retry: {initial: 1s, max: 4s}, poll: {initial: 10m, max: 1h}, reviewAfter: 10m`
	w.load(fmt.Sprintf(`nats: {url: %[1]q, replicas: 1}
concurrency: 64
notifications: {listen: %[2]q}
providers:
  - {name: opay-eg, kind: opay, baseURL: %[3]q, merchantID: %[4]q, secretKey: {env: OPAY}, callbackURL: "http://%[2]s/notifications/opay-eg/{payment}", %[5]s}
  - {name: tranzzo-ua, kind: tranzzo, baseURL: %[6]q, posID: %[7]q, endpointsKey: {file: %[8]q}, apiKey: {file: %[9]q}, apiSecret: {file: %[10]q},
     callbackURL: "http://%[2]s/notifications/tranzzo-ua", %[5]s}
`, w.server.URL(), w.address, opayWeb.URL, opaysim.DefaultMerchantID, times, tranzzoWeb.URL, tranzzosim.DefaultPosID,
		secret(tranzzosim.DefaultEndpointsKey), secret(tranzzosim.DefaultAPIKey), secret(tranzzosim.DefaultAPISecret)))
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.results = w.follow()
	w.stop = w.serve(nil)
	w.awaitReady(http.StatusOK, "ok")
	return w
}

// pendingAtOPay has a refund accepted that is not decided; it returns the
// reference it went out under.
func (w *notifiedWorld) pendingAtOPay(order string) (reference string) {
	w.t.Helper()
	if err := w.opay.AddPayment(opaysim.Payment{Reference: order, Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.opay.Fault(simulator.Fault{Operation: "refund", Payment: order, Mode: opaysim.StayPending, Times: 1}); err != nil {
		w.t.Fatal(err)
	}
	w.publish(command("e-"+order, "refund", map[string]any{
		"idempotencyKey": "k", "provider": "opay-eg", "payment": map[string]any{"orderId": order, "country": "EG"}, "amount": egp(400),
	}))
	return w.awaitStatus(order, "pending").Data.ClientReference
}

// awaitStatus returns the first event of the payment's with the status.
func (w *notifiedWorld) awaitStatus(order, status string) (found event) {
	w.t.Helper()
	w.results.await(func(all []event) string {
		for _, e := range all {
			if e.Data.native() == order && e.Data.Status == status {
				found = e
				return ""
			}
		}
		return status + " of " + order
	})
	return found
}

// questions is how often OPay was asked about a refund.
func (w *notifiedWorld) questions() (n int) {
	for _, c := range w.opay.Calls() {
		if c.Operation == "query" {
			n++
		}
	}
	return n
}

func (w *notifiedWorld) post(path, media string, body []byte) (status int) {
	w.t.Helper()
	status, err := simulator.Deliver(w.t.Context(), "http://"+w.address+path, media, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return status
}

// untrue is a notification of success that OPay has signed.
func untrue(reference string) []byte {
	at := time.Now().UTC().Format(time.RFC3339)
	text := fmt.Sprintf(`{Amount:"400",Currency:"EGP",Reference:%q,Refunded:t,Status:"SUCCESS",Timestamp:%q,Token:"t",TransactionID:"t"}`, reference, at)
	return fmt.Appendf(nil, `{"payload":{"amount":"400","currency":"EGP","reference":%q,"refunded":true,"status":"SUCCESS","timestamp":%q,"token":"t","transactionId":"t"},"sha512":%q}`,
		reference, at, opay.SignNotification(text, opaysim.DefaultSecretKey))
}

func (w *notifiedWorld) sent(notify func(context.Context, string) (int, error), name string) {
	w.t.Helper()
	if status, err := notify(w.t.Context(), name); err != nil || status != http.StatusNoContent {
		w.t.Errorf("notification of %s: answered %d, %v", name, status, err)
	}
}

func TestANotificationBringsTheQuestionForwardAndTheAnswerCounts(t *testing.T) {
	t.Parallel()
	for name, namesPayment := range map[string]bool{"it names the refund": false, "it names the payment": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := notifications(t, namesPayment)
			reference := w.pendingAtOPay("order/1.a") // whose name is encoded in the address
			// Authentic, and it says that the refund succeeded; but it is pending still.
			if status := w.post("/notifications/opay-eg/order%2F1%2Ea", "application/json", untrue(reference)); status != http.StatusNoContent {
				t.Errorf("answered %d", status)
			}
			w.poll("not asked", func() bool { return w.questions() == 1 })
			all, _ := w.results.all()
			for _, e := range all {
				if e.terminal() {
					t.Errorf("believed: %s", e.Subject)
				}
			}
			if err := w.opay.Settle(reference); err != nil {
				t.Fatal(err)
			}
			_, body, err := w.opay.Callback(reference)
			if err != nil {
				t.Fatal(err)
			}
			w.sent(w.opay.Notify, reference)
			if e := w.awaitStatus("order/1.a", "succeeded"); e.Data.Moved == nil || e.Data.Moved.Value != 400 {
				t.Errorf("%+v", e.Data)
			}
			asked := w.questions()
			for range 3 { // the very same bytes, and what forgers send
				if status := w.post("/notifications/opay-eg/order%2F1%2Ea", "application/json", body); status != http.StatusNoContent {
					t.Errorf("again: %d", status)
				}
				if status := w.post("/notifications/opay-eg/order%2F1%2Ea", "application/json", bytes.Replace(body, []byte("400"), []byte("401"), 1)); status != http.StatusForbidden {
					t.Errorf("forged: %d", status)
				}
			}
			if again := w.questions(); again > asked+1 { // body and what Notify sent differ where a second passed in between
				t.Errorf("asked %d times more", again-asked)
			}
			if moved := w.opay.Ledger().Count("refund", "order/1.a"); moved != 1 {
				t.Errorf("refunded %d times", moved)
			}
			w.awaitMetric(`countermand_notifications_total{provider="opay-eg",result="forged"}`, "3")
		})
	}
}

func TestANotificationOfTranzzosEndsAPendingRefund(t *testing.T) {
	t.Parallel()
	w := notifications(t, false)
	if err := w.tranzzo.AddPayment(tranzzosim.Payment{OrderID: "ua-1", Amount: 25000, Currency: "UAH"}); err != nil {
		t.Fatal(err)
	}
	w.publish(command("e-ua-1", "refund", map[string]any{
		"idempotencyKey": "k", "provider": "tranzzo-ua", "payment": map[string]any{"orderId": "ua-1", "currency": "UAH"},
		"amount": map[string]any{"value": 400, "currency": "UAH"},
	}))
	w.awaitStatus("ua-1", "pending")
	w.tranzzo.Settle()
	w.sent(w.tranzzo.Notify, "ua-1")
	w.awaitStatus("ua-1", "succeeded")
	w.awaitMetric(`countermand_notifications_total{provider="tranzzo-ua",result="accepted"}`, "1")
}

func TestANotificationWhileTheJournalIsAwayIsAskedForAgain(t *testing.T) {
	t.Parallel()
	w := notifications(t, false)
	reference := w.pendingAtOPay("order-2")
	if err := w.opay.Settle(reference); err != nil {
		t.Fatal(err)
	}
	_, body, err := w.opay.Callback(reference)
	if err != nil {
		t.Fatal(err)
	}
	w.server.Shutdown(t)
	w.awaitReady(http.StatusServiceUnavailable, "not connected to nats")
	if status := w.post("/notifications/opay-eg/order-2", "application/json", body); status != http.StatusServiceUnavailable {
		t.Errorf("without a journal: %d", status)
	}
	w.server.Restart(t)
	w.awaitReady(http.StatusOK, "ok")
	w.poll("not accepted", func() bool {
		return w.post("/notifications/opay-eg/order-2", "application/json", body) == http.StatusNoContent
	})
	w.awaitStatus("order-2", "succeeded")
}

func TestANotificationInHandIsAnsweredBeforeTheServiceEnds(t *testing.T) {
	t.Parallel()
	w := notifications(t, false)
	reference := w.pendingAtOPay("order-3")
	if err := w.opay.Settle(reference); err != nil {
		t.Fatal(err)
	}
	if err := w.opay.Fault(simulator.Fault{Operation: "query", Mode: simulator.Delay, Times: 1}); err != nil {
		t.Fatal(err)
	}
	arrived := len(w.opay.Calls()) + 1
	answered, ended := make(chan error, 1), make(chan struct{})
	go func() {
		status, err := w.opay.Notify(context.Background(), reference)
		if err == nil && status != http.StatusNoContent {
			err = fmt.Errorf("answered %d", status)
		}
		answered <- err
	}()
	if err := w.opay.WaitCalls(t.Context(), arrived); err != nil {
		t.Fatal(err)
	}
	go func() { w.stop(); close(ended) }()
	w.poll("it listens still", func() bool {
		conn, err := net.Dial("tcp", w.address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	w.opay.Release()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	<-ended
	w.awaitStatus("order-3", "succeeded")
}

func TestTheAddressOfNotificationsAnswersNothingElseAndEndsWithTheService(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Notifications.Listen = natstest.FreeAddress(t)
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	stop := w.serve(nil)
	w.awaitReady(http.StatusOK, "ok")
	for _, path := range []string{"/metrics", "/livez", "/readyz", "/console/", "/"} {
		response, err := http.Get("http://" + w.cfg.Notifications.Listen + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusMethodNotAllowed || len(body) > 0 {
			t.Errorf("%s: %d %s", path, response.StatusCode, body)
		}
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("stopped after %s", took)
	}
	if response, err := http.Get("http://" + w.cfg.Notifications.Listen + "/"); err == nil {
		response.Body.Close()
		t.Error("it answers still")
	}
}
