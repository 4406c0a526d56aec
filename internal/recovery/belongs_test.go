package recovery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/recovery"
	"github.com/countermand/countermand/payment"
)

// forge copies the lines of an archive that mention a text, each changed by edit.
func forge(t *testing.T, path, mention string, edit func(line map[string]any)) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for text := range strings.Lines(string(raw)) {
		if !strings.Contains(text, mention) {
			continue
		}
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		edit(line)
		if err := json.NewEncoder(&out).Encode(line); err != nil {
			t.Fatal(err)
		}
	}
	forged := filepath.Join(t.TempDir(), "forged.jsonl")
	if err := os.WriteFile(forged, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return forged
}

func TestALineThatIsNoneOfTheJournalsIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append(0, "a")
	back := b.older()
	b.append(0, "b")
	b.append(0, "c")
	b.reject(7)
	path := b.archive()
	back()
	const third, rejection = "payment.refund.started.opay-eg.1000.3", "payment.command.rejected.7-"
	subject := func(s string) func(map[string]any) { return func(line map[string]any) { line["subject"] = s } }
	body := func(from, to string) func(map[string]any) {
		return func(line map[string]any) { line["data"] = strings.ReplaceAll(line["data"].(string), from, to) }
	}
	for name, forged := range map[string]string{
		"no subject of the journal":    forge(t, path, third, subject("foo.bar")),
		"a command's":                  forge(t, path, third, subject("payment.refund.requested")),
		"a filter":                     forge(t, path, third, subject("payment.refund.started.opay-eg.*.3")),
		"a blank":                      forge(t, path, third, subject("payment.refund.started.opay eg.1000.3")),
		"another provider's":           forge(t, path, third, subject("payment.refund.started.tranzzo-ua.1000.3")),
		"another payment's":            forge(t, path, third, subject("payment.refund.started.opay-eg.1001.3")),
		"another version":              forge(t, path, third, subject("payment.refund.started.opay-eg.1000.4")),
		"another type":                 forge(t, path, third, subject("payment.refund.succeeded.opay-eg.1000.3")),
		"no type":                      forge(t, path, third, subject("payment.refund.paid.opay-eg.1000.3")),
		"a provider in the body":       forge(t, path, third, body(`"provider":"opay-eg"`, `"provider":"bento"`)),
		"a version in the state":       forge(t, path, third, body(`"version":3`, `"version":9`)),
		"no body":                      forge(t, path, third, func(line map[string]any) { line["data"] = "{}" }),
		"another rejection's":          forge(t, path, rejection, subject("payment.command.rejected.8-0123456789ab")),
		"a payment's as a rejection":   forge(t, path, third, subject("payment.command.rejected.8-0123456789ab")),
		"a payment's as an operator's": forge(t, path, third, subject("payment.operator.resolve.01ARZ3NDEKTSV4RRFFQ69G5FAV")),
	} {
		for _, apply := range []bool{false, true} {
			count, rows, err := b.recover(b.journal, apply, forged)
			if err != nil || !maps.Equal(count, map[string]int{recovery.Refused: 1}) || rows[0].Why == "" || rows[0].Ends {
				t.Errorf("%s, apply %v: %+v, %v", name, apply, rows, err)
			}
		}
	}
	if all, _ := b.messages(); len(all) != 1 {
		t.Errorf("%d messages lie in the journal, want 1", len(all))
	}
	if count, _, err := b.recover(b.journal, true, path); err != nil || !maps.Equal(count, map[string]int{recovery.Recovered: 3}) {
		t.Errorf("the archive itself: %v, %v", count, err)
	}
}

// operator appends the event of an operator's action.
func (b *bundle) operator(action, ulid string, loss *events.JournalLoss) {
	b.t.Helper()
	m, err := events.NewEncoder(nil).EncodeJournalAction(payment.OperatorAction{
		ULID: ulid, Action: action, Operator: "ann", Reason: "because", At: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
	}, loss)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.journal.Put(b.t.Context(), 0, m); err != nil {
		b.t.Fatal(err)
	}
}

func TestWhatOperatorsSaidOfTheJournalIsNotBroughtBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append(0, "a")
	back := b.older()
	for i, action := range []string{"journal_propose", "journal_accepted", "journal_released", "journal_trusted"} {
		b.operator(action, "01ARZ3NDEKTSV4RRFFQ69G5FA"+string("ABCD"[i]), &events.JournalLoss{Epoch: 1})
	}
	b.operator("note", "01ARZ3NDEKTSV4RRFFQ69G5FAE", nil)
	path := b.archive()
	back()
	want := map[string]int{recovery.JournalAction: 4, recovery.Recovered: 1}
	for _, apply := range []bool{false, true} {
		if count, _, err := b.recover(b.journal, apply, path); err != nil || !maps.Equal(count, want) {
			t.Errorf("apply %v: %v, %v, want %v", apply, count, err, want)
		}
	}
	if all, _ := b.messages(); len(all) != 2 {
		t.Errorf("%d messages lie in the journal, want 2", len(all))
	}
}

// silent never answers an append.
type silent struct{ recovery.Journal }

func (silent) Put(ctx context.Context, _ uint64, _ events.Message) (uint64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func TestAnAppendThatNobodyAnswersEndsTheRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append(0, "a")
	back := b.older()
	b.append(0, "b")
	path := b.archive()
	back()
	plan, err := recovery.Compare(t.Context(), b.journal, []string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	err = plan.Apply(t.Context(), silent{b.journal}, true, func(recovery.Row) error { return nil }, &recovery.Options{Patience: 10 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it ended with %v", err)
	}
}
