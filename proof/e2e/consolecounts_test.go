package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/providers/simulator"
)

// counted are the events by what they say, with the console's words.
type counted map[string]int

func (c counted) sum() (n int) {
	for _, one := range c {
		n += one
	}
	return n
}

// inJournal counts what a ledger has read.
func inJournal(all []event) counted {
	n := counted{}
	for _, e := range all {
		switch kind := e.Type[strings.LastIndexByte(e.Type, '.')+1:]; {
		case e.rejection():
			n["messages"]++
		case kind == "indeterminate" || kind == "pending":
			n["Indeterminate or pending"]++
		case kind != "started":
			n[strings.ToUpper(kind[:1])+kind[1:]]++
		}
	}
	return n
}

// onConsole counts what the overview and the page of rejections show.
func (w *world) onConsole() counted {
	w.t.Helper()
	n := counted{}
	_, numbers := w.ask("/console/numbers")
	for _, chart := range regexp.MustCompile(`aria-label="([A-Za-z ]+): (\d+) in the last hour`).FindAllStringSubmatch(numbers, -1) {
		if total, _ := strconv.Atoi(chart[2]); total > 0 {
			n[chart[1]] = total
		}
	}
	_, rejected := w.ask("/console/rejected")
	n["messages"] = strings.Count(rejected, "<dt>Token</dt>")
	return n
}

// onMetrics counts what the metrics have counted.
func (w *world) onMetrics() counted {
	w.t.Helper()
	n := counted{}
	_, page := w.ask("/metrics")
	for _, series := range regexp.MustCompile(`(?m)^countermand_commands_total\{.*outcome="(\w+)".*\} (\d+)$`).FindAllStringSubmatch(page, -1) {
		total, _ := strconv.Atoi(series[2])
		name := strings.ToUpper(series[1][:1]) + series[1][1:]
		switch series[1] {
		case "invalid":
			name = "messages"
		case "indeterminate", "pending", "review_required":
			name = "Indeterminate or pending"
		}
		n[name] += total
	}
	maps.DeleteFunc(n, func(_ string, total int) bool { return total == 0 })
	return n
}

func TestConsoleAndMetricsCountEachEventOfTheJournalOnceUnderLoadAndOverAReconnect(t *testing.T) {
	t.Parallel()
	w := openToThisMachine(t)
	results := w.follow()
	const good, bad = 150, 40
	if err := w.opay.Fault(simulator.Fault{Operation: "refund", Mode: simulator.CutAfter, Times: 2}); err != nil {
		t.Fatal(err)
	}
	// One after the other: the console reads as fast as they come, and meets the end of
	// the streams again and again while they grow.
	batch := func(name string, ended int) {
		for i := range good {
			w.refundAtOPay(i, fmt.Sprint(name, "-", i))
			results.await(terminal(ended + i))
			if i < bad {
				w.publish(&nats.Msg{Subject: "payment.refund.requested", Data: []byte(fmt.Sprint("{", name, i))})
			}
		}
	}
	want := func(n int) func([]event) string {
		return func(all []event) string {
			if lack := terminal(n * good)(all); lack != "" {
				return lack
			}
			if got := inJournal(all)["messages"]; got < n*bad {
				return fmt.Sprintf("%d of %d rejections", n*bad-got, n*bad)
			}
			return ""
		}
	}
	batch("before", 0)
	w.server.Restart(t)
	w.awaitReady(http.StatusOK, "ok")
	batch("after", good)
	journal := inJournal(results.await(want(2)))
	w.quiet()
	var console counted
	w.poll("the console does not show everything", func() bool {
		console = w.onConsole()
		return console.sum() >= journal.sum()
	})
	if diff := cmp.Diff(journal, console); diff != "" {
		t.Errorf("(-journal +console):\n%s", diff)
	}
	if diff := cmp.Diff(journal, w.onMetrics()); diff != "" {
		t.Errorf("(-journal +metrics):\n%s", diff)
	}
}
