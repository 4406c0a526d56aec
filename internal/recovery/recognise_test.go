package recovery_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/internal/recovery"
	"github.com/countermand/countermand/payment"
)

// begins is the first message of the journal.
func (b *bundle) begins() []integrity.Identity {
	b.t.Helper()
	e, err := b.At(b.t.Context(), 1)
	if err != nil || e.Sequence != 1 {
		b.t.Fatalf("%+v, %v", e, err)
	}
	return []integrity.Identity{integrity.IdentityOf(e.Message.Subject, e.Message.Data)}
}

// recognised fails the test unless each archive is recognised as wanted.
func (b *bundle) recognised(l recovery.Lineage, want map[string]recovery.Verdict, paths ...string) {
	b.t.Helper()
	plan, err := recovery.Compare(b.t.Context(), b.journal, paths, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	defer plan.Close()
	all, err := plan.Recognise(l)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range all {
		if want[r.Path] != r.Verdict || r.Why == "" {
			b.t.Errorf("%s: verdict %d, want %d: %s", filepath.Base(r.Path), r.Verdict, want[r.Path], r.Why)
		}
	}
}

// fill writes the first events of payments.
func (b *bundle) fill(from, to int) { b.fillBy("a", from, to) }

func (b *bundle) fillBy(writer string, from, to int) {
	b.t.Helper()
	for n := from; n < to; n++ {
		b.append(n, writer)
	}
}

// anew makes the journal's stream anew.
func (b *bundle) anew() {
	b.t.Helper()
	b.server.DeleteStream(b.t, b.js, natstest.EventsStream)
	natstest.CreateStream(b.t, b.js, natstest.EventsConfig(1))
	clear(b.last)
	clear(b.version)
}

// segments cuts an archive in two, behind a line.
func segments(t *testing.T, path string, behind int) (head, tail string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(raw), "\n")
	head, tail = filepath.Join(t.TempDir(), "head.jsonl"), filepath.Join(t.TempDir(), "tail.jsonl")
	for path, part := range map[string][]string{head: lines[:behind], tail: lines[behind:]} {
		if err := os.WriteFile(path, []byte(strings.Join(part, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return head, tail
}

const (
	ours, foreign, unrecognised = recovery.Ours, recovery.Foreign, recovery.Unrecognised
)

func TestAnArchiveOfTheJournalIsRecognisedAfterALoss(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(0, 40)
	back := b.older()
	b.fill(40, 50)
	known := time.Now()
	path := b.archive()
	head, tail := segments(t, path, 30)
	before, late := segments(t, path, 45)
	back()
	l := recovery.Lineage{First: b.begins(), Complete: true}
	rows := func() {
		t.Helper()
		b.recognised(l, map[string]recovery.Verdict{path: ours}, path)
		b.recognised(recovery.Lineage{Losses: l.Losses}, map[string]recovery.Verdict{path: ours}, path) // its lines lie there
		b.recognised(l, map[string]recovery.Verdict{tail: ours}, tail)
		b.recognised(l, map[string]recovery.Verdict{late: ours, path: ours}, late, path)
		b.recognised(l, map[string]recovery.Verdict{late: ours, before: ours}, late, before)
		b.recognised(l, map[string]recovery.Verdict{tail: ours, head: ours}, tail, head)
	}
	rows()
	b.recognised(l, map[string]recovery.Verdict{late: unrecognised}, late)
	b.recognised(l, map[string]recovery.Verdict{late: unrecognised, head: ours}, late, head) // a segment is missing
	b.fill(100, 103)                                                                         // what was lost is written over, before anybody has noticed
	b.recognised(l, map[string]recovery.Verdict{path: unrecognised}, path)
	l.Losses = []recovery.AcceptedLoss{{End: 43, At: time.Now().Add(time.Hour), KnownAt: known}}
	rows()
	l.Losses[0] = recovery.AcceptedLoss{End: 40, At: time.Now().Add(time.Hour)}
	rows()
}

func TestAnArchiveOfAnotherEnvironmentIsForeign(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]bool{"it goes on": true, "it was made before": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other, b := setup(t), setup(t)
			other.fillBy("other", 0, 20)
			b.fill(0, 10)
			overlap := unrecognised
			if busy {
				other.fillBy("other", 20, 22)
				overlap = foreign
			}
			path := other.archive()
			l := recovery.Lineage{First: b.begins(), Complete: true}
			b.recognised(l, map[string]recovery.Verdict{path: foreign}, path)
			_, tail := segments(t, path, 5)
			b.recognised(l, map[string]recovery.Verdict{tail: overlap}, tail) // at 6 to 10 lie others
			b.anew()
			b.recognised(l, map[string]recovery.Verdict{path: foreign}, path)
			l.Complete = false // an earlier version has recorded the acceptance
			b.recognised(l, map[string]recovery.Verdict{path: unrecognised}, path)
		})
	}
}

// Another environment that began as a copy has the same first message.
func TestAnArchiveOfACopyThatWentItsOwnWayIsForeign(t *testing.T) {
	t.Parallel()
	b, other := setup(t), setup(t)
	b.fill(0, 10)
	copied := b.server.Copy(t)
	b.connect()
	other.server.Restore(t, copied)
	other.connect()
	b.fill(10, 12)
	other.fill(20, 30)
	path := other.archive()
	l := recovery.Lineage{First: b.begins(), Complete: true}
	b.recognised(l, map[string]recovery.Verdict{path: foreign}, path)
	// A loss that was accepted above does not explain it; one below does.
	l.Losses = []recovery.AcceptedLoss{{End: 12, At: time.Now().Add(time.Hour)}}
	b.recognised(l, map[string]recovery.Verdict{path: foreign}, path)
	l.Losses = append(l.Losses, recovery.AcceptedLoss{End: 10, At: time.Now().Add(-time.Hour)}) // before it was made
	b.recognised(l, map[string]recovery.Verdict{path: foreign}, path)
	l.Losses = append(l.Losses, recovery.AcceptedLoss{End: 10, At: time.Now().Add(time.Hour)})
	b.recognised(l, map[string]recovery.Verdict{path: ours}, path)
}

func TestAnArchiveInWhichALineWasChangedIsForeign(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(0, 10)
	path := b.archive()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(raw), "\n")
	lines[4] = strings.Replace(lines[4], `\"currency\":\"EGP\"`, `\"currency\":\"EUR\"`, 1)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	b.recognised(recovery.Lineage{First: b.begins(), Complete: true}, map[string]recovery.Verdict{path: foreign}, path)
}

// A journal that was made anew has the archives of the one before, and of the one
// before that, which only an archive in between names.
func TestAJournalThatWasMadeAnewHasTheArchivesOfThoseBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(0, 10)
	oldest, first := b.archive(), b.begins()
	b.anew()
	b.accept(first[0])
	b.fill(0, 10)
	older, second := b.archive(), b.begins()
	b.anew()
	l := recovery.Lineage{First: second}
	b.recognised(l, map[string]recovery.Verdict{oldest: unrecognised}, oldest)
	b.recognised(l, map[string]recovery.Verdict{oldest: ours, older: ours}, oldest, older)
	l.Complete = true
	b.recognised(l, map[string]recovery.Verdict{oldest: foreign}, oldest)
	b.recognised(recovery.Lineage{First: first, Complete: true}, map[string]recovery.Verdict{oldest: ours}, oldest)
}

func TestAnOperationThatWasCalledAtAnotherAccountIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(0, 2)
	path := b.archive()
	b.anew()
	plan, err := recovery.Compare(t.Context(), b.journal, []string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	for account, want := range map[string]bool{"": false, strings.Repeat("a", 32): false, "another": true} {
		other, err := plan.OtherAccount(func(string) string { return account })
		if err != nil || (other != "") != want {
			t.Errorf("account %q: %q, %v", account, other, err)
		}
	}
}

// accept records the acceptance of a loss that names the first message of the journal
// before it.
func (b *bundle) accept(first integrity.Identity) {
	b.t.Helper()
	m, err := events.NewEncoder(nil).EncodeJournalAction(payment.OperatorAction{
		ULID: strings.Repeat("0", 25) + "1", Action: "journal_accepted", Operator: "ann", Reason: "loss", At: time.Now(),
	}, &events.JournalLoss{Epoch: 1, First: (*events.FirstMessage)(&first)})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.journal.Put(b.t.Context(), 0, m); err != nil {
		b.t.Fatal(err)
	}
}

// A rejection lies beside the journal, and its sequence there says nothing of the journal.
func TestARejectionThatLiesBesideTheJournalMakesAnArchiveNobodys(t *testing.T) {
	t.Parallel()
	other, b := setup(t), setup(t)
	other.reject(1)
	path := other.archive()
	b.fill(0, 10)
	e, err := other.At(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := b.journal.Put(t.Context(), 0, e.Message); err != nil || at != 1 { // the place that the line names
		t.Fatalf("it lies at %d, %v", at, err)
	}
	b.recognised(recovery.Lineage{}, map[string]recovery.Verdict{path: unrecognised}, path)
}
