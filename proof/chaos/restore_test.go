//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/proof/chaos/compare"
	"github.com/countermand/countermand/providers/simulator"
)

func TestAJournalThatIsGonePaysNothingTwice(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	args := append([]string{"restore", "--rows", "gone", "--operations", "2", "--ack-wait", "3s", "--patience", "60s", "--json"}, built(t)...)
	err := run(t.Context(), args, &stdout, &stderr)
	var r lossReport
	if unreadable := json.Unmarshal(stdout.Bytes(), &r); unreadable != nil || len(r.Rows) != 1 {
		t.Fatalf("report: %v (%v)\n%s%s", unreadable, err, stdout.String(), stderr.String())
	}
	row := r.Rows[0]
	if err != nil || row.Told == 0 || row.GivenUp == 0 || row.Findings["journal_shorter"]+row.Findings["journal_replaced"] == 0 || len(row.Review) == 0 {
		t.Errorf("%v: the row was not what it should be: %+v\n%s", err, row, stderr.String())
	}
}

func TestARowFailsForEachPromiseThatIsBroken(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(*lossResult){
		"paid twice":        func(r *lossResult) { r.PaidTwice["openpay-eu"]++ },
		"told otherwise":    func(r *lossResult) { r.Otherwise++ },
		"an unsafe call":    func(r *lossResult) { r.UnsafeCalls++ },
		"noticed late":      func(r *lossResult) { r.Limited, r.Noticed = true, 5.1 },
		"another violation": func(r *lossResult) { r.Violations = append(r.Violations, compare.Violation{Kind: compare.Missing}) },
		"it was not played": func(r *lossResult) { r.note("no leader") },
		"":                  func(r *lossResult) { r.Limited, r.Noticed, r.OtherwiseNot, r.Calls = true, 4.9, 3, 2 },
	} {
		r := &lossReport{Rows: []*lossResult{newLossResult(lossRows()[0]), newLossResult(lossRows()[1])}}
		plant(r.Rows[1])
		if r.ok() != (name == "") {
			t.Errorf("%q: ok is %t", name, r.ok())
		}
		var out bytes.Buffer
		r.print(&out)
		for _, row := range lossRows()[:2] {
			if !strings.Contains(out.String(), row.title) {
				t.Errorf("%q: the report does not name %q", name, row.title)
			}
		}
	}
	if (&lossReport{}).ok() {
		t.Error("a report without rows is good")
	}
}

func TestWhatWasToldIsComparedBySortAndContent(t *testing.T) {
	t.Parallel()
	end := func(name, word, effect string, moved int64) compare.Event {
		return compare.Event{Operation: name, Type: word, Status: word, Effect: effect, Moved: moved}
	}
	review := func(name, code, reason string) compare.Event {
		return compare.Event{Operation: name, Type: "indeterminate", Status: "reviewRequired", Code: code, Review: reason}
	}
	before := endsOf([]compare.Event{
		end("same", "succeeded", "refunded", 5), end("other", "succeeded", "refunded", 5), end("amount", "succeeded", "refunded", 5),
		end("no", "rejected", "", 0), end("person", "succeeded", "refunded", 5), end("gone", "failed", "", 0),
	})
	r := newLossResult(lossRows()[0])
	r.tell(before, []compare.Event{
		end("same", "succeeded", "refunded", 5), end("other", "rejected", "", 0), end("amount", "succeeded", "refunded", 4),
		end("no", "failed", "", 0), review("person", "journal_incomplete", "x"), review("new", "", "several_movements_fit"),
	})
	if r.Told != 6 || r.Otherwise != 2 || r.OtherwiseNot != 1 || len(r.Examples) != 3 {
		t.Errorf("told %d, otherwise %d and %d: %v", r.Told, r.Otherwise, r.OtherwiseNot, r.Examples)
	}
	if diff := cmp.Diff(map[string]int{"journal_incomplete": 1, "several_movements_fit": 1}, r.Review); diff != "" {
		t.Errorf("in review (-want +got):\n%s", diff)
	}
}

func TestOnlyAPartialRefundThatWouldBePaidAgainIsUnsafe(t *testing.T) {
	t.Parallel()
	bodies := map[string][2]string{ // all, and a part
		"opay":    {`{"amount":{"total":40000,"currency":"EGP"}}`, `{"amount":{"total":1234,"currency":"EGP"}}`},
		"bento":   {`{}`, `{"refundAmount":1234}`},
		"openpay": {"transactionId=x", "transactionId=x&amount=1234&currency=EUR"},
		"tranzzo": {`{"order_id":"x"}`, `{"refund_amount":"12.34"}`},
	}
	for _, k := range kinds() {
		for i, body := range bodies[k.Name] {
			c := movingCall{k, simulator.Call{Operation: "refund", Body: body}}
			if want := i == 1 && k.PartRepeat == simulator.Unsafe; c.unsafe() != want {
				t.Errorf("%s %s: unsafe is %t", k.Name, body, c.unsafe())
			}
		}
	}
}

func TestALampTellsALossFromEverythingElse(t *testing.T) {
	t.Parallel()
	l := &lamps{all: []lamp{{name: "one"}, {name: "two"}}}
	for _, text := range []string{"", "not connected to nats", "the journal was not read yet"} {
		l.take(0, text)
	}
	if shut, _ := l.last(); !shut.IsZero() || l.broken() {
		t.Errorf("shut at %s", shut)
	}
	l.take(0, "journal suspect: it ends at 1")
	first, _ := l.last()
	l.take(0, "journal broken: it ends at 1")
	if l.broken() {
		t.Error("the other one has noticed nothing")
	}
	l.take(1, "journal broken: it ends at 1")
	last, said := l.last()
	if !l.broken() || first.IsZero() || last.Before(first) || said != "journal broken: it ends at 1" {
		t.Errorf("broken %t, first %s, last %s, said %q", l.broken(), first, last, said)
	}
}

func TestEveryRowHasANameOfItsOwnAndEveryBatchEveryKind(t *testing.T) {
	t.Parallel()
	var names []string
	for _, row := range lossRows() {
		if slices.Contains(names, row.name) || row.lose == nil || row.from == "" {
			t.Errorf("row %+v", row)
		}
		names = append(names, row.name)
	}
	w := newWorkload(7, 8)
	for range 2 {
		b := w.batch(1)
		for _, k := range kinds() {
			n := 0
			for _, c := range b.commands {
				if strings.HasPrefix(c.Name, k.Instance+"/") {
					n++
				}
			}
			if all := len(kinds()); n != 14 || len(b.messages) != all*14 || len(b.declined) != all*2 {
				t.Errorf("%d operations of %s, %d messages, %d to be declined", n, k.Name, len(b.messages), len(b.declined))
			}
		}
	}
	if (lossRow{slow: time.Second}).times() == (lossRow{}).times() {
		t.Error("a call may not take as long as the row lets it")
	}
}
