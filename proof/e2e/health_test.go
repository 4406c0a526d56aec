package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/natstest"
)

func TestTheServiceIsNotReadyWhileNATSIsAwayAndGoesOnAfter(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.serve(nil)
	w.awaitReady(http.StatusOK, "ok")
	w.server.Shutdown(t)
	w.awaitReady(http.StatusServiceUnavailable, "not connected to nats")
	if status, body := w.ask("/livez"); status != http.StatusOK {
		t.Errorf("/livez without a server: %d %s", status, body)
	}
	w.server.Restart(t)
	w.awaitReady(http.StatusOK, "ok")
	results := w.follow()
	w.refundAtOPay(0, "after-the-outage")
	results.await(func(all []event) string {
		if len(all) > 0 && all[len(all)-1].terminal() {
			return ""
		}
		return "the result of a command after the outage"
	})
}

func TestTheServiceIsNotReadyWhileAStreamIsMissing(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"PAYMENT_EVENTS", "PAYMENT_REFUSALS", "PAYMENT_REJECTED", "PAYMENT_COMMANDS"} {
		t.Run(missing, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			if err := w.js.DeleteStream(t.Context(), missing); err != nil {
				t.Fatal(err)
			}
			w.cfg.Admin.Listen = natstest.FreeAddress(t)
			w.serve(nil)
			w.awaitReady(http.StatusServiceUnavailable, missing)
			if status, body := w.ask("/livez"); status != http.StatusOK {
				t.Errorf("/livez without a stream: %d %s; a restart would not bring it", status, body)
			}
			topology := app.Topology(w.cfg)
			topology.AckWait = ackWait
			if _, err := broker.Provision(t.Context(), w.js, topology); err != nil {
				t.Fatal(err)
			}
			w.awaitReady(http.StatusOK, "ok")
		})
	}
}

// awaitReady asks /readyz until it answers so.
func (w *world) awaitReady(status int, says string) {
	w.t.Helper()
	got, body := 0, ""
	before := w.t.Failed()
	w.poll(fmt.Sprintf("/readyz does not say %d %s", status, says), func() bool {
		got, body = w.ask("/readyz")
		return got == status && strings.Contains(body, says)
	})
	if !before && w.t.Failed() {
		w.t.Errorf("it says %d %s", got, body)
	}
}

// ask asks the admin address; 0: nobody answers.
func (w *world) ask(path string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.cfg.Admin.Listen+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}
