package broker

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// carried is what a timer carries along of the command it brings back.
type carried struct {
	originSequence uint64
	originTime     time.Time
	nameless       bool // neither of the two is there
	original       handlers.Digest
	deliveries     int
	panics         int
	due            time.Time
	recorded       payment.Recorded
}

// readCarried reads a timer's headers. Where one is missing or broken its name
// is in faults, and the careful value stands in its place: the timer's own
// position for the origin (both or none: a sequence without its time would name
// another message), nothing counted, due at once.
func readCarried(header nats.Header, sequence uint64, stored time.Time) (c carried, faults []string) {
	var ok [5]bool
	c.originSequence, ok[0] = readSequence(header.Get(headerOriginSequence))
	c.originTime, ok[1] = readTime(header.Get(headerOriginTime))
	c.deliveries, ok[2] = readCount(header.Get(headerDeliveries))
	c.panics, ok[3] = readCount(header.Get(headerPanics))
	c.due, ok[4] = readTime(header.Get(headerDue))
	c.original = readDigest(header)
	c.recorded = readRecorded(header)
	names := [5]string{headerOriginSequence, headerOriginTime, headerDeliveries, headerPanics, headerDue}
	for i, good := range ok {
		if !good {
			faults = append(faults, names[i])
		}
	}
	if !ok[0] || !ok[1] {
		c.originSequence, c.originTime, c.nameless = sequence, stored, true
	}
	return c, faults
}

// ReadTimer reads a timer as it lies in its stream: where it is scheduled, or where it
// was delivered. Its time is left out. Where it does not name its command's place, the
// zero time stands for that of the command.
func ReadTimer(m *jetstream.RawStreamMsg) handlers.Timer {
	t := handlers.Timer{
		Subject: m.Subject, Target: m.Header.Get(jetstream.ScheduleTargetHeader),
		Message: events.Message{Header: withoutReserved(m.Header), Data: m.Data},
	}
	if events.IsDue(m.Subject) {
		t.Subject, t.Target = m.Header.Get(jetstream.SchedulerHeader), m.Subject
	}
	c, _ := readCarried(m.Header, m.Sequence, m.Time)
	t.Deliveries, t.Panics, t.Original, t.Recorded = c.deliveries, c.panics, c.original, c.recorded
	if !c.nameless {
		t.OriginSequence, t.OriginTime = c.originSequence, c.originTime
	}
	return t
}

// readDigest reads what names the original's bytes. It may be missing: timers of
// an earlier version and those made from a state have none.
func readDigest(header nats.Header) handlers.Digest {
	sum := header.Get(headerOriginSHA256)
	size, ok := readCount(header.Get(headerOriginSize))
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size || !ok {
		return handlers.Digest{}
	}
	return handlers.Digest{SHA256: sum, Size: size}
}

// readRecorded reads what a timer says of the journal. Timers of an earlier version
// say nothing, and one that cannot be read says nothing: a broken header is no loss.
func readRecorded(header nats.Header) payment.Recorded {
	var r payment.Recorded
	ok := true
	read := func(name string, into *uint64) {
		if text := header.Get(name); text != "" {
			var good bool
			*into, good = readSequence(text)
			ok = ok && good
		}
	}
	read(headerVersion, &r.Version)
	read(headerOperationVersion, &r.Operation)
	read(headerEpoch, &r.Epoch)
	if !ok || r.Operation > r.Version {
		return payment.Recorded{}
	}
	return r
}

func readSequence(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n > 0
}

// maxCount keeps a broken count from overflowing when one is added.
const maxCount = 1 << 30

func readCount(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > maxCount {
		return 0, false
	}
	return n, true
}

func readTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, false
	}
	return t.UTC(), true
}
