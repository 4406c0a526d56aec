package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/archive"
)

// fake is a journal in memory; what it lacks cannot be read.
type fake struct {
	entries map[uint64]archive.Entry
	last    uint64
	asked   atomic.Int64
	after   int64 // after so many questions it answers no more; 0: it always does
}

func (f *fake) Extent(context.Context) (first, last uint64, err error) { return 1, f.last, nil }

func (f *fake) At(ctx context.Context, sequence uint64) (archive.Entry, error) {
	if n := f.asked.Add(1); f.after > 0 && n > f.after {
		return archive.Entry{}, errors.New("no answer")
	}
	return f.entries[sequence], ctx.Err()
}

// journal has n events of payments with three each, and bodies of all kinds.
func journal(n uint64) *fake {
	f := &fake{entries: map[uint64]archive.Entry{}}
	for i := range n {
		f.add(fmt.Sprintf("payment.refund.started.opay-eg.%d.%d", i/3, i%3+1))
	}
	return f
}

func (f *fake) add(subject string) {
	f.last++
	data := fmt.Appendf(nil, `{"n":%d,"text":"é <&> \u2028"}`, f.last)
	if f.last%7 == 0 {
		data = []byte{0xff, 0, 0xfe, byte(f.last)}
	}
	f.entries[f.last] = archive.Entry{
		Sequence: f.last, Time: time.Date(2026, 11, 30, 9, 0, 0, int(f.last), time.UTC),
		Message: events.Message{Subject: subject, Header: map[string][]string{"Countermand-Append": {fmt.Sprint(f.last)}, "X": {"a", "b"}}, Data: data},
	}
}

// write archives and returns the findings.
func write(t *testing.T, f *fake, path string) (archive.Summary, []archive.Finding, error) {
	t.Helper()
	var all []archive.Finding
	s, err := archive.Write(t.Context(), f, path, &archive.Options{
		Found:    func(x archive.Finding) error { all = append(all, x); return nil },
		Patience: 500 * time.Millisecond,
	})
	return s, all, err
}

// holds fails the test unless the file holds the whole journal.
func holds(t *testing.T, f *fake, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	whole, err := archive.Read(bytes.NewReader(raw), func(e archive.Entry, offset int64) error {
		n++
		if !e.Same(f.entries[e.Sequence]) {
			t.Errorf("sequence %d differs: %s", e.Sequence, cmp.Diff(f.entries[e.Sequence], e))
		}
		again, err := archive.At(bytes.NewReader(raw), offset)
		if err != nil || !again.Same(e) {
			t.Errorf("sequence %d is not found at its offset: %v", e.Sequence, err)
		}
		return nil
	})
	if err != nil || n != uint64(len(f.entries)) || whole != int64(len(raw)) {
		t.Errorf("%d messages in %d of %d bytes, want %d: %v", n, whole, len(raw), len(f.entries), err)
	}
}

func TestAnArchiveHoldsEveryByteAndIsContinued(t *testing.T) {
	t.Parallel()
	f, path := journal(200), filepath.Join(t.TempDir(), "a.jsonl")
	for round, want := range []archive.Summary{{Written: 200, Last: 200}, {Before: 200, Last: 200}, {Before: 200, Written: 1, Last: 201}} {
		if round == 2 {
			f.add("payment.operator.resolve.01JD")
		}
		s, found, err := write(t, f, path)
		if err != nil || len(found) > 0 || s != want {
			t.Fatalf("round %d: %+v, %v, %v", round, s, found, err)
		}
		holds(t, f, path)
	}
}

func TestAnArchiveThatWasInterruptedGoesOn(t *testing.T) {
	t.Parallel()
	f, path := journal(300), filepath.Join(t.TempDir(), "a.jsonl")
	f.after = 120
	if s, _, err := write(t, f, path); err == nil || s.Written == 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	f.after = 0
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	torn := append(slices.Clone(whole), `{"subject":"payment.re`...)
	if err := os.WriteFile(path, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	s, found, err := write(t, f, path)
	if err != nil || len(found) > 0 || s.TornBytes != 22 || s.Before+s.Written != 300 {
		t.Fatalf("%+v, %v, %v", s, found, err)
	}
	holds(t, f, path)
}

func TestAnArchiveFindsWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	f, path := journal(30), filepath.Join(t.TempDir(), "a.jsonl")
	for _, sequence := range []uint64{5, 20, 21, 30} {
		delete(f.entries, sequence)
	}
	want := []archive.Finding{
		{Kind: archive.Unreadable, Sequence: 5},
		{Kind: archive.VersionGap, Sequence: 6, Subject: "payment.refund.started.opay-eg.1.3", Known: 1, Found: 3},
		{Kind: archive.Unreadable, Sequence: 20, To: 21},
		{Kind: archive.Unreadable, Sequence: 30},
	}
	for range 2 { // also when nothing is added
		s, found, err := write(t, f, path)
		if diff := cmp.Diff(want, found); err != nil || diff != "" || s.Findings != uint64(len(want)) {
			t.Errorf("%+v, %v\n%s", s, err, diff)
		}
	}
}

func TestAnArchiveOfAnotherJournalIsNotContinued(t *testing.T) {
	t.Parallel()
	for _, sequence := range []uint64{1, 30} {
		f, path := journal(30), filepath.Join(t.TempDir(), "a.jsonl")
		if _, _, err := write(t, f, path); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(path)
		e := f.entries[sequence]
		e.Message.Data = []byte("{}")
		f.entries[sequence] = e
		f.add("payment.operator.resolve.01JD")
		if _, _, err := write(t, f, path); !errors.Is(err, archive.ErrOtherJournal) {
			t.Errorf("sequence %d: %v", sequence, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Error("the file was changed")
		}
	}
}

func TestAFileThatIsNoArchiveIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"hello\n", `{"subject":"a","sequence":1}` + "\n", `{"subject":"a","sequence":2,"data":""}` + "\n" + `{"subject":"a","sequence":2,"data":""}` + "\n"} {
		path := filepath.Join(t.TempDir(), "a.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := write(t, journal(3), path); err == nil || !strings.Contains(err.Error(), "archive") {
			t.Errorf("%q: %v", text, err)
		}
		if after, _ := os.ReadFile(path); string(after) != text {
			t.Error("the file was changed")
		}
	}
}

func TestAPassGivesOutWhatIsThereAndPassesOverTheRest(t *testing.T) {
	t.Parallel()
	f := journal(300)
	delete(f.entries, 1)
	delete(f.entries, 100)
	delete(f.entries, 300)
	var got []uint64
	last := uint64(0)
	err := archive.Pass(t.Context(), f, func(done, total uint64) { last = done }, func(e archive.Entry) error {
		got = append(got, e.Sequence)
		return nil
	})
	if err != nil || len(got) != 297 || !slices.IsSorted(got) || last != 300 {
		t.Errorf("%d entries, up to %d, %v", len(got), last, err)
	}
	if n := f.asked.Load(); n != 300 {
		t.Errorf("asked %d times, want once for each", n)
	}
	stop := errors.New("enough")
	if err := archive.Pass(t.Context(), f, nil, func(archive.Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v, want the taker's", err)
	}
}
