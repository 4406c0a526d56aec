package acceptance_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/stream"
)

// walked fails the test unless the walk counts as wanted.
func (b *bundle) walked(want bool, text string) {
	b.t.Helper()
	walked, why, err := acceptance.Walked(b.t.Context(), b.sources)
	if walked != want || !strings.Contains(why, text) || err != nil {
		b.t.Errorf("walked %v, %q, %v; want %v, %q", walked, why, err, want, text)
	}
}

// accepted is a journal whose loss was accepted, and whose appends are counted.
func accepted(t *testing.T) (*bundle, *natstest.Server) {
	t.Helper()
	b, server := setupOn(t)
	b.count()
	if _, err := b.desk(false).Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4}); err != nil {
		t.Fatal(err)
	}
	return b, server
}

// count opens the journal so that its appends are counted.
func (b *bundle) count() {
	b.t.Helper()
	b.sources.Appended = &acceptance.Appended{}
	var err error
	b.sources.Journal, err = stream.New(b.js.Conn(), events.NewEncoder(nil), &stream.Options{Integrity: b.sources.Appended})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) raised() {
	b.t.Helper()
	if _, err := acceptance.Raise(b.t.Context(), b.sources, 1); err != nil {
		b.t.Fatal(err)
	}
}

// reaches fails the test unless a store's mark covers the journal up to a sequence.
func (b *bundle) reaches(name string, s keeper.Store, sequence uint64) {
	b.t.Helper()
	r, err := s.Load(b.t.Context())
	if err != nil || r.Mark.Journal.Sequence != sequence || r.Mark.Journal.Token == "" {
		b.t.Errorf("%s: %+v, %v, want %d", name, r.Mark.Journal, err, sequence)
	}
}

func TestTheMarksAreRaisedWhileSomethingIsBroughtBack(t *testing.T) {
	t.Parallel()
	b, _ := accepted(t)
	bucket, other := &watched{Store: b.sources.Bucket, raised: make(chan uint64, 100)}, &watched{Store: b.sources.Witness, raised: make(chan uint64, 100)}
	b.sources.Bucket, b.sources.Witness = bucket, other
	stop := acceptance.KeepRaising(t.Context(), b.sources, 1)
	defer stop()
	b.append(18, 20)
	for name, store := range map[string]*watched{"bucket": bucket, "witness": other} {
		for deadline := time.After(time.Minute); ; {
			select {
			case sequence := <-store.raised:
				if sequence < 20 {
					continue
				}
			case <-deadline:
				t.Errorf("the %s was not raised while the command ran", name)
			}
			break
		}
	}
}

// watched is a store that tells what was stored.
type watched struct {
	keeper.Store

	raised chan uint64
}

func (w *watched) Raise(ctx context.Context, r integrity.Record) (integrity.Record, error) {
	now, err := w.Store.Raise(ctx, r)
	if err == nil {
		w.raised <- now.Mark.Journal.Sequence
	}
	return now, err
}

// A run that was killed has raised nothing over its last appends; the next one finds
// them there and appends nothing.
func TestTheNextRunRaisesTheMarksOverWhatAKilledOneHasAppended(t *testing.T) {
	t.Parallel()
	b, server := accepted(t)
	acc := server.Copy(t)
	b.connect(server, b.witness)
	b.append(18, 20)
	b.count() // the next run
	b.raised()
	b.reaches("bucket", b.sources.Bucket, 20)
	b.reaches("witness", b.sources.Witness, 20)
	server.RestoreStream(t, acc, topology().Events)
	b.connect(server, b.witness)
	if v := b.look(); len(v.Findings) == 0 || !strings.Contains(v.Findings[0].Text, "the journal ends at 17; it was known to reach 20") {
		t.Errorf("what was appended is lost, and found is %+v", v.Findings)
	}
}

func TestAWalkDoesNotCountOnceTheJournalNoLongerShowsItsEnd(t *testing.T) {
	t.Parallel()
	for _, grown := range []int{0, 25} {
		t.Run(fmt.Sprint(grown), func(t *testing.T) {
			t.Parallel()
			b, server := accepted(t)
			acc := server.Copy(t)
			b.connect(server, b.witness)
			b.append(18, 20)
			if _, err := acceptance.Finished(t.Context(), b.sources, acceptance.Walk{Epoch: 1, To: 9}); err != nil {
				t.Fatal(err)
			}
			b.walked(true, "")
			b.reaches("bucket", b.sources.Bucket, 20)
			server.RestoreStream(t, acc, topology().Events)
			b.connect(server, b.witness)
			if grown > 0 {
				b.append(18, grown)
			}
			b.walked(false, "no longer shows event 20")
		})
	}
}

func TestAWalkThatNamesNoEndDoesNotCount(t *testing.T) {
	t.Parallel()
	b, _ := accepted(t)
	kv, err := b.js.KeyValue(t.Context(), topology().Control)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "_walk", []byte(`{"epoch":1,"to":9,"at":"2026-11-30T09:00:00Z"}`)); err != nil {
		t.Fatal(err)
	}
	b.walked(false, "an earlier version made it")
}

// The bucket's mark must not follow a journal that has lost something and grown again.
func TestNoMarkIsRaisedOverALossWhileSomethingIsBroughtBack(t *testing.T) {
	t.Parallel()
	b, server := accepted(t)
	acc := server.Copy(t)
	b.connect(server, b.witness)
	b.count()
	b.append(18, 20)
	b.raised()
	server.RestoreStream(t, acc, topology().Events)
	counted := b.sources.Appended
	b.connect(server, b.witness)
	b.sources.Appended = counted
	var err error
	if b.sources.Journal, err = stream.New(b.js.Conn(), events.NewEncoder(nil), &stream.Options{Integrity: counted}); err != nil {
		t.Fatal(err)
	}
	b.append(18, 25)
	stop := acceptance.KeepRaising(t.Context(), b.sources, 1)
	_, err = acceptance.Raise(t.Context(), b.sources, 1)
	stop()
	if err == nil || !strings.Contains(err.Error(), "at 20 lies another message") {
		t.Errorf("got %v", err)
	}
	b.reaches("bucket", b.sources.Bucket, 20)
	if _, err := acceptance.Finished(t.Context(), b.sources, acceptance.Walk{Epoch: 1}); err == nil {
		t.Error("the walk was stored")
	}
	b.walked(false, "not finished")
}

func TestAWitnessThatCannotBeRaisedIsNamed(t *testing.T) {
	t.Parallel()
	b, _ := accepted(t)
	b.sources.Witness = failing{b.sources.Witness}
	b.append(18, 20)
	raised, err := acceptance.Raise(t.Context(), b.sources, 1)
	if err != nil || raised.End.Sequence != 20 || raised.Witness != "killed here" {
		t.Errorf("%+v, %v", raised, err)
	}
	b.reaches("bucket", b.sources.Bucket, 20)
	b.sources.Bucket = failing{b.sources.Bucket}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := acceptance.Raise(ctx, b.sources, 1); err == nil {
		t.Error("a bucket that cannot be raised went unnoticed")
	}
}
