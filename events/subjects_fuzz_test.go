package events_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// plainSubject fails the test unless a subject has so many tokens, none of them
// empty, and nothing in it that a server takes for more than a letter.
func plainSubject(t *testing.T, subject string, tokens int) {
	t.Helper()
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" {
			t.Fatalf("%q has an empty token", subject)
		}
	}
	if strings.Count(subject, ".") != tokens-1 || strings.ContainsAny(subject, "*> \t\r\n\x00") {
		t.Fatalf("%q is not %d plain tokens", subject, tokens)
	}
}

// FuzzSubjectsNeitherCollideNorMatchAnother: two events share a subject only if
// they are one event, and a payment's filter covers its own events only.
func FuzzSubjectsNeitherCollideNorMatchAnother(f *testing.F) {
	for _, a := range oddIdentifiers() {
		for _, b := range []string{a, a + "=", "=2E", ".", strings.ToLower(a)} {
			f.Add("opay-eg", a, uint64(1), "opay-eg", b, uint64(12))
		}
	}
	f.Add("p", "1.2", uint64(3), "p.1", "2", uint64(3))
	f.Fuzz(func(t *testing.T, p1, n1 string, v1 uint64, p2, n2 string, v2 uint64) {
		one, two := payment.ID{Provider: p1, Native: n1}, payment.ID{Provider: p2, Native: n2}
		s1, err1 := events.EventSubject(payment.Refund, payment.EventSucceeded, one, v1)
		s2, err2 := events.EventSubject(payment.Refund, payment.EventSucceeded, two, v2)
		filter, errFilter := events.Filter(one)
		if errors.Is(err1, events.ErrInvalidID) != (errFilter != nil) {
			t.Fatalf("subject %v, filter %v", err1, errFilter)
		}
		if err1 == nil {
			plainSubject(t, s1, 6)
			plainSubject(t, strings.ReplaceAll(filter, "*", "x"), 6)
			back, err := events.ParseToken(strings.Split(s1, ".")[4])
			if err != nil || back != n1 || strings.Split(s1, ".")[3] != p1 {
				t.Fatalf("%q parses to %q, %v", s1, back, err)
			}
		}
		if err1 != nil || err2 != nil {
			return
		}
		if (s1 == s2) != (one == two && v1 == v2) {
			t.Fatalf("%+v %d and %+v %d have %q and %q", one, v1, two, v2, s1, s2)
		}
		if matches(filter, s2) != (one == two) {
			t.Fatalf("%q against %q of %+v", filter, s2, two)
		}
	})
}

// FuzzTimersOfTwoOperationsAreTwo: whatever names an operation, its timer lies
// on a subject of its own.
func FuzzTimersOfTwoOperationsAreTwo(f *testing.F) {
	f.Add(true, "opay-eg", "1001000", "k", false, "opay-eg", "1001000", "k")
	f.Add(true, "a.>", "", "k\x00", true, "a", ">", "k")
	f.Fuzz(func(t *testing.T, c1 bool, p1, n1, k1 string, c2 bool, p2, n2, k2 string) {
		timer := func(cancel bool, p, n, k string) (payment.Command, string) {
			c := payment.Command{Op: payment.Refund, Provider: p, Key: payment.Key(k), Payment: payment.Details{OrderID: n}, Full: true}
			if cancel {
				c.Op, c.Full = payment.Cancel, false
			}
			subject := events.ScheduleSubject(c, payment.ID{Provider: p, Native: n})
			plainSubject(t, subject, 6)
			return c, subject
		}
		one, s1 := timer(c1, p1, n1, k1)
		two, s2 := timer(c2, p2, n2, k2)
		same := one.Op == two.Op && p1 == p2 && n1 == n2 && k1 == k2
		if same != (s1 == s2) {
			t.Fatalf("%q and %q: %q, %q", []string{p1, n1, k1}, []string{p2, n2, k2}, s1, s2)
		}
	})
}

// FuzzTokensOfRejections: any message can be answered and kept, under a name
// that tells two of them apart.
func FuzzTokensOfRejections(f *testing.F) {
	f.Add(uint64(42), []byte("hello"), "payment.refund.requested", "resolved", "01J5.>")
	f.Fuzz(func(t *testing.T, seq uint64, data []byte, origin, action, ulid string) {
		token := events.RejectionToken(seq, data)
		plainSubject(t, events.RejectedSubject(token), 4)
		plainSubject(t, events.QuarantineSubject(token), 3)
		plainSubject(t, events.OperatorSubject(action, ulid), 4)
		if token == events.RejectionToken(seq+1, data) || token == events.RejectionToken(seq, append(data, 0)) {
			t.Fatalf("%q is the token of another message", token)
		}
		m, err := events.NewEncoder(nil).EncodeRejection(payment.Rejection{Token: token, OriginSubject: origin}, time.Time{})
		if err != nil || m.Subject != events.RejectedSubject(token) {
			t.Fatalf("%q: %v", m.Subject, err)
		}
	})
}
