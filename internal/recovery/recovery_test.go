package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/internal/recovery"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// bundle is a journal on a real server.
type bundle struct {
	t       *testing.T
	server  *natstest.Server
	js      jetstream.JetStream
	journal *stream.Journal
	last    map[payment.ID]uint64 // the newest sequence of each payment
	version map[payment.ID]uint64
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, server: natstest.Start(t, nil), last: map[payment.ID]uint64{}, version: map[payment.ID]uint64{}}
	b.connect()
	natstest.CreateStream(t, b.js, natstest.EventsConfig(1))
	natstest.CreateStream(t, b.js, natstest.RefusalsConfig(1))
	return b
}

// connect opens a connection; after the server was started again, a new one.
func (b *bundle) connect() {
	b.t.Helper()
	b.js = b.server.JetStream(b.t)
	var err error
	if b.journal, err = stream.New(b.js.Conn(), events.NewEncoder(nil), nil); err != nil {
		b.t.Fatal(err)
	}
}

// older takes a copy of the journal, and returns what puts it back.
func (b *bundle) older() (back func()) {
	b.t.Helper()
	copied := b.server.Copy(b.t)
	b.connect()
	return func() {
		b.t.Helper()
		b.server.Restore(b.t, copied)
		b.connect()
	}
}

func id(n int) payment.ID { return payment.ID{Provider: "opay-eg", Native: fmt.Sprint(1000 + n)} }

// append adds the next event of a payment, told by a writer.
func (b *bundle) append(n int, writer string) { b.add(n, writer, payment.EventStarted) }

// add adds the next event of a payment, of a type.
func (b *bundle) add(n int, writer string, typ payment.EventType) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	b.version[id(n)]++
	e := journaltest.Event(id(n), b.version[id(n)], writer)
	e.Type = typ
	sequence, err := b.journal.Append(ctx, b.last[id(n)], e)
	if err != nil {
		b.t.Fatal(err)
	}
	b.last[id(n)] = sequence
}

// reject puts a rejection into the journal, where older versions had it.
func (b *bundle) reject(origin uint64) {
	b.t.Helper()
	m, err := events.NewEncoder(nil).EncodeRejection(journaltest.Rejection(origin), time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	header := nats.Header(m.Header)
	header.Set(stream.TokenHeader, fmt.Sprintf("%032x", origin))
	natstest.OldRejection(b.t, b.js, &nats.Msg{Subject: m.Subject, Header: header, Data: m.Data})
}

// Extent and At make the journal one that is archived.
func (b *bundle) Extent(ctx context.Context) (first, last uint64, err error) {
	s, err := b.js.Stream(ctx, natstest.EventsStream)
	if err != nil {
		return 0, 0, err
	}
	return s.CachedInfo().State.FirstSeq, s.CachedInfo().State.LastSeq, nil
}

func (b *bundle) At(ctx context.Context, sequence uint64) (archive.Entry, error) {
	m, err := b.journal.At(ctx, sequence)
	return archive.Entry{Sequence: m.Sequence, Time: m.Time, Message: m.Message}, err
}

// archive copies the journal into a file and returns its path.
func (b *bundle) archive() string {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "archive.jsonl")
	if s, err := archive.Write(b.t.Context(), b, path, nil); err != nil || s.Findings > 0 {
		b.t.Fatalf("archive: %+v, %v", s, err)
	}
	return path
}

// messages are all messages of the journal by subject, without NATS's own headers
// and with the header of recovery apart.
func (b *bundle) messages() (all map[string]events.Message, recovered map[string]string) {
	b.t.Helper()
	all, recovered = map[string]events.Message{}, map[string]string{}
	_, last, err := b.Extent(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	note := func(m events.Message) {
		maps.DeleteFunc(m.Header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-") })
		if was := m.Header[recovery.Header]; was != nil {
			recovered[m.Subject] = was[0]
			delete(m.Header, recovery.Header)
		}
		all[m.Subject] = m
	}
	for sequence := uint64(1); sequence <= last; sequence++ {
		e, err := b.At(b.t.Context(), sequence)
		if err != nil {
			b.t.Fatal(err)
		}
		note(e.Message)
	}
	// Rejections of older versions come back beside the journal.
	for next := uint64(0); ; {
		m, behind, err := b.journal.NextRejection(b.t.Context(), next)
		if err != nil {
			b.t.Fatal(err)
		}
		if m.Sequence == 0 {
			return all, recovered
		}
		note(m.Message)
		next = behind
	}
}

// recover compares and applies, and counts the outcomes.
func (b *bundle) recover(j recovery.Journal, apply bool, paths ...string) (count map[string]int, rows []recovery.Row, err error) {
	b.t.Helper()
	plan, err := recovery.Compare(b.t.Context(), j, paths, nil)
	if err != nil {
		plan.Close()
		return nil, nil, err
	}
	defer plan.Close()
	count = map[string]int{}
	err = plan.Apply(b.t.Context(), j, apply, func(r recovery.Row) error {
		count[r.Outcome]++
		rows = append(rows, r)
		return nil
	}, nil)
	return count, rows, err
}

// lose fills a journal with some hundred operations, archives it and loses the
// last fifth. It returns the archive and what was there.
func (b *bundle) lose() (path string, whole map[string]events.Message) {
	b.t.Helper()
	for n := range 400 {
		b.append(n, "a")
		if n%2 == 0 {
			b.append(n/2, "b")
		}
	}
	back := b.older()
	for n := range 100 {
		b.append(400+n, "a")
		b.append(n*3, "c")
		b.reject(uint64(n))
	}
	path = b.archive()
	whole, _ = b.messages()
	back()
	return path, whole
}

// refusing answers nothing more after some appends, as if the program were killed.
type refusing struct {
	*stream.Journal

	after atomic.Int64
}

var errKilled = errors.New("killed")

func (r *refusing) Put(ctx context.Context, expected uint64, m events.Message) (uint64, error) {
	if r.after.Add(-1) < 0 {
		return 0, errKilled
	}
	sequence, err := r.Journal.Put(ctx, expected, m)
	if r.after.Load() == 0 {
		return 0, errKilled // it is there, and nobody hears of it
	}
	return sequence, err
}

func TestAnArchiveBringsBackEveryByteOfWhatWasLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path, whole := b.lose()
	before, _ := b.messages()
	if len(before) != len(whole)-300 {
		t.Fatalf("%d of %d messages are left: nothing was lost", len(before), len(whole))
	}
	if count, _, err := b.recover(b.journal, false, path); err != nil || count[recovery.Recovered] != 300 {
		t.Fatalf("dry run: %v, %v", count, err)
	}
	if after, _ := b.messages(); len(after) != len(before) {
		t.Fatal("the dry run has changed the journal")
	}
	killed := &refusing{Journal: b.journal}
	killed.after.Store(130)
	if _, _, err := b.recover(killed, true, path); !errors.Is(err, errKilled) {
		t.Fatalf("the killed run ended in %v", err)
	}
	half, _ := b.messages()
	if len(half) <= len(before) || len(half) >= len(whole) {
		t.Fatalf("%d messages after the killed run", len(half))
	}
	// An append that was under way when the run was killed may be there by now.
	if count, _, err := b.recover(b.journal, true, path); err != nil || count[recovery.Recovered] > len(whole)-len(half) || len(count) != 1 {
		t.Fatalf("the second run: %v, %v", count, err)
	}
	all, recovered := b.messages()
	if diff := cmp.Diff(whole, all); diff != "" {
		t.Errorf("the journal is not what it was (-was +is):\n%s", diff)
	}
	if len(recovered) != 300 {
		t.Errorf("%d messages name their old place, want 300", len(recovered))
	}
	if count, _, err := b.recover(b.journal, true, path); err != nil || len(count) != 0 {
		t.Errorf("the third run did something: %v, %v", count, err)
	}
	b.foldsAsBefore(whole)
}

// foldsAsBefore fails the test unless the newest event of each payment is the one
// with the highest version.
func (b *bundle) foldsAsBefore(whole map[string]events.Message) {
	b.t.Helper()
	for payment, version := range b.version {
		record, err := b.journal.Last(b.t.Context(), payment)
		if err != nil || record.State.Version != version {
			b.t.Errorf("payment %s is at version %d, want %d: %v", payment.Native, record.State.Version, version, err)
		}
	}
	if len(whole) == 0 {
		b.t.Error("there was nothing")
	}
}

func TestARecoveredMessageKeepsItsFirstPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append(1, "a")
	back := b.older()
	b.append(1, "b")
	first := b.archive()
	back()
	if _, _, err := b.recover(b.journal, true, first); err != nil {
		t.Fatal(err)
	}
	_, was := b.messages()
	second := b.archive()
	back()
	if count, _, err := b.recover(b.journal, true, second); err != nil || count[recovery.Recovered] != 1 {
		t.Fatalf("%v, %v", count, err)
	}
	if _, is := b.messages(); len(is) != 1 || !maps.Equal(was, is) {
		t.Errorf("the place is %v, was %v", is, was)
	}
}

func TestAPaymentThatHasMovedOnIsLeft(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := range 3 {
		b.append(n, "a")
	}
	back := b.older()
	b.append(0, "b")
	b.append(0, "c") // version 3
	b.append(1, "b")
	b.append(2, "b")
	path := b.archive()
	back()
	// Payment 0 and 1 have another second event since; with an archive of it, too.
	for _, n := range []int{0, 1} {
		b.version[id(n)], b.last[id(n)] = 1, uint64(n+1)
		b.append(n, "other")
	}
	before, _ := b.messages()
	later := b.archive()
	for name, paths := range map[string][]string{"old": {path}, "both": {path, later}, "the other way": {later, path}} {
		count, rows, err := b.recover(b.journal, false, paths...)
		want := map[string]int{recovery.Disagrees: 2, recovery.MovedOn: 1, recovery.Recovered: 1}
		if err != nil || !maps.Equal(count, want) {
			t.Errorf("%s: %v, %v, want %v", name, count, err, want)
		}
		if i := slices.IndexFunc(rows, func(r recovery.Row) bool { return r.Outcome == recovery.MovedOn }); i < 0 || rows[i].Version != 2 {
			t.Errorf("%s: %+v", name, rows)
		}
	}
	if _, _, err := b.recover(b.journal, true, path, later); err != nil {
		t.Fatal(err)
	}
	if after, _ := b.messages(); len(after) != len(before)+1 {
		t.Errorf("%d messages were appended, want one", len(after)-len(before))
	}
}

func TestNothingIsAppendedToAnotherHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append(0, "a")
	b.append(1, "a")
	back := b.older()
	for n := range 2 {
		b.append(n, "b")
		b.append(n, "c")
	}
	path := b.archive()
	// The archive lacks the second event of payment 1, which could not be read.
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(raw), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, ".1001.2\"") })
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	back()
	for n := range 2 { // both have another second event since
		b.version[id(n)], b.last[id(n)] = 1, uint64(n+1)
		b.add(n, "other", payment.EventPending)
	}
	for _, paths := range [][]string{{path}, {path, b.archive()}} {
		count, _, err := b.recover(b.journal, true, paths...)
		if want := map[string]int{recovery.MovedOn: 3}; err != nil || !maps.Equal(count, want) {
			t.Errorf("%d archives: %v, %v, want %v", len(paths), count, err, want)
		}
		if all, _ := b.messages(); len(all) != 4 {
			t.Errorf("%d archives: %d messages, want 4", len(paths), len(all))
		}
	}
}

func TestArchivesThatDisagreeAboutWhatIsMissingBringNothingBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append(0, "a")
	back := b.older()
	var paths []string
	for _, writer := range []string{"b", "c"} {
		b.version[id(0)], b.last[id(0)] = 1, 1
		b.append(0, writer)
		b.append(0, writer)
		paths = append(paths, b.archive())
		back()
	}
	if count, _, err := b.recover(b.journal, true, paths...); err != nil || !maps.Equal(count, map[string]int{recovery.Ambiguous: 2, recovery.MovedOn: 2}) {
		t.Errorf("%v, %v", count, err)
	}
	if all, _ := b.messages(); len(all) != 1 {
		t.Errorf("%d messages", len(all))
	}
}

func TestAnEventIsNeverAppendedBehindANewerOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 3 {
		b.append(0, "a")
	}
	path := b.archive()
	s, err := b.js.Stream(t.Context(), natstest.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.DenyDelete = false
	b.server.DeleteStream(t, b.js, cfg.Name)
	s = natstest.CreateStream(t, b.js, cfg)
	b.version[id(0)], b.last[id(0)] = 0, 0
	plan, err := recovery.Compare(t.Context(), b.journal, []string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	if err := plan.Apply(t.Context(), b.journal, true, func(recovery.Row) error { return nil }, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if count, _, err := b.recover(b.journal, true, path); err != nil || !maps.Equal(count, map[string]int{recovery.Passed: 1}) {
		t.Errorf("%v, %v", count, err)
	}
	if record, err := b.journal.Last(t.Context(), id(0)); err != nil || record.State.Version != 3 {
		t.Errorf("the payment is at version %d: %v", record.State.Version, err)
	}
}
