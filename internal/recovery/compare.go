package recovery

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// Header names the place that a message had before it was brought back.
const Header = events.RecoveredHeader

// broughtBack is an archived message as it is appended: subject, body and all
// headers but NATS's own, and where it lay. One that was brought back before keeps
// its first place.
func broughtBack(e archive.Entry) events.Message {
	m := events.Message{Subject: e.Message.Subject, Data: e.Message.Data, Header: own(e.Message.Header)}
	m.Header[Header] = []string{placeOf(e)}
	return m
}

// placeOf is where an archived message first lay, as the header names it.
func placeOf(e archive.Entry) string {
	if first := e.Message.Header[Header]; len(first) > 0 {
		return first[0]
	}
	return fmt.Sprintf("%d %s", e.Sequence, e.Time.UTC().Format(time.RFC3339Nano))
}

// own are the headers of a message without NATS's own and without ours.
func own(header map[string][]string) map[string][]string {
	out := make(map[string][]string, len(header)+1)
	for name, values := range header {
		if len(name) >= 5 && strings.EqualFold(name[:5], "Nats-") || name == Header {
			continue
		}
		out[name] = values
	}
	return out
}

// same reports whether two messages are one: subject, body and own headers.
func same(a, b events.Message) bool {
	return a.Subject == b.Subject && bytes.Equal(a.Data, b.Data) && maps.EqualFunc(own(a.Header), own(b.Header), slices.Equal)
}

// versionOf is the last token of the subject of a payment's event.
func versionOf(subject string) uint64 {
	version, err := strconv.ParseUint(subject[strings.LastIndexByte(subject, '.')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return version
}

// ends reports whether a payment's event ends an operation, or tells a fact about
// one that has ended.
func ends(m events.Message) bool {
	e, err := events.DecodeEvent(m)
	return err == nil && tellsEnd(e.Type)
}

func tellsEnd(t payment.EventType) bool {
	return t.Terminal() || t == payment.EventReturned || t == payment.EventExecutedLate
}

// position is where a stored message lies and which version it has.
func position(m stream.Stored) (sequence, version uint64) {
	if m.Sequence == 0 {
		return 0, 0
	}
	return m.Sequence, versionOf(m.Message.Subject)
}
