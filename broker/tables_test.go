package broker

// White box: pure tables only.

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/handlers"
)

func TestTimesAreRoundedUpToWholeSeconds(t *testing.T) {
	t.Parallel()
	whole := time.Date(2026, 11, 1, 10, 0, 5, 0, time.UTC)
	cases := []struct{ at, want time.Time }{
		{whole, whole},
		{whole.Add(1), whole.Add(time.Second)},
		{whole.Add(-1), whole},
		{whole.Add(999 * time.Millisecond), whole.Add(time.Second)},
		{whole.In(time.FixedZone("", 5*3600+1800)), whole},
	}
	for _, tc := range cases {
		if got := roundUp(tc.at); !got.Equal(tc.want) || got.Location() != time.UTC {
			t.Errorf("roundUp(%s) = %s, want %s", tc.at, got, tc.want)
		}
	}
}

func TestPanicsComeBackEverMoreSlowly(t *testing.T) {
	t.Parallel()
	for deliveries, want := range map[int]time.Duration{
		-1: time.Second, 0: time.Second, 1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second,
		7: time.Minute, 1 << 40: time.Minute,
	} {
		if got := panicDelay(deliveries); got != want {
			t.Errorf("panicDelay(%d) = %s, want %s", deliveries, got, want)
		}
	}
}

func TestWhatATimerCarriesIsReadCarefully(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 10, 0, 0, 5, time.UTC)
	own := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	whole := carried{originSequence: 12, originTime: at, deliveries: 4, panics: 2, due: at}
	whole.original = handlers.Digest{SHA256: strings.Repeat("ab", 32), Size: 480}
	unnamed := whole
	unnamed.original = handlers.Digest{}
	good := func() nats.Header {
		return nats.Header{
			headerOriginSequence: {"12"}, headerOriginTime: {at.Format(time.RFC3339Nano)},
			headerOriginSHA256: {whole.original.SHA256}, headerOriginSize: {"480"},
			headerDeliveries: {"4"}, headerPanics: {"2"}, headerDue: {at.Format(time.RFC3339Nano)},
		}
	}
	own99 := func(c carried) carried { c.originSequence, c.originTime, c.nameless = 99, own, true; return c }
	cases := []struct {
		name   string
		value  string
		want   carried
		faulty bool
	}{
		{"", "", whole, false},
		{headerOriginSHA256, "", unnamed, false}, // an earlier version's timer has none
		{headerOriginSHA256, "xyz", unnamed, false},
		{headerOriginSize, "-1", unnamed, false},
		{headerOriginSequence, "0", own99(whole), true},
		{headerOriginSequence, "-1", own99(whole), true},
		{headerOriginSequence, "18446744073709551616", own99(whole), true},
		{headerOriginTime, "yesterday", own99(whole), true},
		{headerDeliveries, "-3", whole.counting(0, 2), true},
		{headerDeliveries, "99999999999999", whole.counting(0, 2), true},
		{headerPanics, "x", whole.counting(4, 0), true},
		{headerDue, "", carried{originSequence: 12, originTime: at, original: whole.original, deliveries: 4, panics: 2}, true},
	}
	for _, tc := range cases {
		header := good()
		var wantFaults []string
		if tc.name != "" {
			header.Set(tc.name, tc.value)
		}
		if tc.faulty {
			wantFaults = []string{tc.name}
		}
		got, faults := readCarried(header, 99, own)
		if got != tc.want {
			t.Errorf("%s %q: %+v, want %+v", tc.name, tc.value, got, tc.want)
		}
		if diff := cmp.Diff(wantFaults, faults); diff != "" {
			t.Errorf("%s %q: %s", tc.name, tc.value, diff)
		}
	}
}

func (c carried) counting(deliveries, panics int) carried {
	c.deliveries, c.panics = deliveries, panics
	return c
}

func TestOnlyADeliveryThatBeganAfterTheLastRefusalOpensTheGate(t *testing.T) {
	t.Parallel()
	var g gate
	rang := 0
	unwatch := g.watch(func() { rang++ })
	before := g.ticket()
	if g.open(before) {
		t.Error("an open gate was opened")
	}
	if !g.close() || g.close() {
		t.Error("close does not say whether the gate was open")
	}
	if g.open(before) || !g.isShut() {
		t.Error("a delivery that began before the refusal opened the gate")
	}
	between := g.ticket()
	g.close()
	if g.open(between) {
		t.Error("a delivery that began before the last refusal opened the gate")
	}
	if !g.open(g.ticket()) || g.isShut() {
		t.Error("a delivery that began after the last refusal did not open the gate")
	}
	unwatch()
	g.close()
	if rang != 3 {
		t.Errorf("watcher called %d times, want 3", rang)
	}
}
