package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/simulator"
)

// facts are the events that came after a result, each with its payment.
func facts(all []event) string {
	var words []string
	for _, e := range all {
		if strings.HasSuffix(e.Type, ".returned") || strings.HasSuffix(e.Type, ".executed_late") {
			words = append(words, e.Type+" "+e.Data.native())
		}
	}
	return strings.Join(words, ", ")
}

func TestWhatTheProviderDidAfterTheResultIsToldToTheLedgers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.LateLook.After = 0
	results := w.follow()
	stop := w.serve(nil)
	w.refundTraced("1001")
	w.refundTraced("1002")
	results.await(terminal(2))
	if err := w.opay.Fault(simulator.Fault{Operation: "refund", Mode: simulator.Decline, Times: 1}); err != nil {
		t.Fatal(err)
	}
	w.refundTraced("1003")
	ended := results.await(terminal(3))
	stop()
	for _, e := range ended {
		var err error
		switch {
		case e.terminal() && e.Data.native() == "1001":
			err = w.opay.Return(e.Data.ClientReference)
		case e.terminal() && e.Data.native() == "1003":
			err = w.opay.ExecuteLate(e.Data.ClientReference)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.cfg.LateLook.After = time.Millisecond
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.serve(nil)
	w.awaitMetric(`countermand_late_looks_total{provider="opay-eg",result="fact"}`, "2")
	w.awaitMetric(`countermand_late_looks_total{provider="opay-eg",result="agreed"}`, "1")
	w.awaitMetric(`countermand_contradictions_total{provider="opay-eg",type="returned"}`, "1")
	w.awaitMetric(`countermand_contradictions_total{provider="opay-eg",type="executed_late"}`, "1")
	told := results.await(func(all []event) string {
		got := facts(all)
		if strings.Contains(got, "payment.refund.returned 1001") && strings.Contains(got, "payment.refund.executed_late 1003") {
			return ""
		}
		return "the facts, not only " + got
	})
	if n := strings.Count(facts(told), "payment."); n != 2 {
		t.Errorf("%d facts, want 2: %s", n, facts(told))
	}
}
