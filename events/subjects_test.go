package events_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden compares a value with testdata/<name>, or rewrites the file.
func golden(t *testing.T, name string, got any) {
	t.Helper()
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)+"\n"); diff != "" {
		t.Errorf("%s is frozen: versions side by side must agree (-want +got):\n%s", name, diff)
	}
}

// oddIdentifiers are legal and could hurt a subject if they were not encoded.
func oddIdentifiers() []string {
	return []string{
		"1001000", "a.b", ".", "..", "*", ">", "a/b", "100%", "%2E", "=", "==", "=2E", "a=2Eb", "~", "_-_", "$JS.API.>",
		"A", "a", `"q"`, `\`, "'", "{}", "1,2;3", strings.Repeat(".", 64), strings.Repeat("x", 64),
	}
}

func TestTokensAreFrozen(t *testing.T) {
	t.Parallel()
	type vector struct{ Identifier, Token string }
	var vectors []vector
	for _, id := range append([]string{""}, oddIdentifiers()...) {
		vectors = append(vectors, vector{id, events.Token(id)})
	}
	golden(t, "tokens.json", vectors)
}

func TestATokenIsOneSubjectTokenThatParsesBack(t *testing.T) {
	t.Parallel()
	for _, id := range append(oddIdentifiers(), "", "é", "\x00\xff", "a b\r\n") {
		token := events.Token(id)
		if token == "" || strings.ContainsAny(token, ".*> \t\r\n") {
			t.Errorf("token of %q is %q", id, token)
		}
		if back, err := events.ParseToken(token); err != nil || back != id {
			t.Errorf("%q parses to %q, %v; want %q", token, back, err, id)
		}
	}
}

func TestOnlyCanonicalTokensParse(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"", "==", "=2", "a=", "=2e", "=41", "=5F", "=2D", "=GG", "a.b", "*", ">", " ", "é", "a=3Db=3"} {
		if got, err := events.ParseToken(token); err == nil {
			t.Errorf("%q parses to %q", token, got)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, id := range oddIdentifiers() {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token := events.Token(s)
		if back, err := events.ParseToken(token); err != nil || back != s {
			t.Fatalf("%q -> %q -> %q, %v", s, token, back, err)
		}
		if strings.ContainsAny(token, ".*> \t\r\n") {
			t.Fatalf("%q -> %q", s, token)
		}
		// Read as a token, the text has at most one meaning, and that means it.
		if native, err := events.ParseToken(s); err == nil && events.Token(native) != s {
			t.Fatalf("%q parses to %q, whose token is %q", s, native, events.Token(native))
		}
	})
}

func TestFiltersAndEventSubjectsAreFrozen(t *testing.T) {
	t.Parallel()
	type vector struct{ Provider, Identifier, Filter, Subject string }
	var vectors []vector
	for _, native := range oddIdentifiers() {
		id := payment.ID{Provider: "opay-eg", Native: native}
		filter, err := events.Filter(id)
		if err != nil {
			t.Fatal(err)
		}
		subject, err := events.EventSubject(payment.Refund, payment.EventSucceeded, id, 2)
		if err != nil {
			t.Fatal(err)
		}
		vectors = append(vectors, vector{id.Provider, native, filter, subject})
	}
	golden(t, "filters.json", vectors)
}

// matches is what a server does with a filter, without ">".
func matches(filter, subject string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subject, ".")
	if len(f) != len(s) {
		return false
	}
	for i := range f {
		if f[i] != "*" && f[i] != s[i] {
			return false
		}
	}
	return true
}

func TestAFilterCoversEveryEventOfItsPaymentAndOfNoOther(t *testing.T) {
	t.Parallel()
	types := []payment.EventType{
		payment.EventStarted, payment.EventDeferred, payment.EventPending, payment.EventIndeterminate, payment.EventSucceeded,
		payment.EventFailed, payment.EventRejected, payment.EventReturned, payment.EventExecutedLate,
	}
	for _, mine := range oddIdentifiers() {
		filter, err := events.Filter(payment.ID{Provider: "p", Native: mine})
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range oddIdentifiers() {
			for _, provider := range []string{"p", "p-2"} {
				for _, typ := range types {
					subject, err := events.EventSubject(payment.Cancel, typ, payment.ID{Provider: provider, Native: other}, 3)
					if err != nil {
						t.Fatal(err)
					}
					if want := mine == other && provider == "p"; matches(filter, subject) != want {
						t.Errorf("%s matches %s: %v, want %v", filter, subject, !want, want)
					}
				}
			}
		}
	}
}

func TestADoubtfulIdentityGetsNoFilter(t *testing.T) {
	t.Parallel()
	for _, id := range []payment.ID{
		{},
		{Provider: "p"},
		{Native: "1"},
		{Provider: "P", Native: "1"},
		{Provider: "p.q", Native: "1"},
		{Provider: "*", Native: "1"},
		{Provider: ">", Native: "1"},
		{Provider: "-p", Native: "1"},
		{Provider: "p ", Native: "1"},
		{Provider: strings.Repeat("p", 33), Native: "1"},
		{Provider: "p", Native: strings.Repeat("1", 65)},
		{Provider: "p", Native: "a b"},
		{Provider: "p", Native: "a\n"},
		{Provider: "p", Native: "é"},
		{Provider: "p", Native: "\x7f"},
	} {
		if got, err := events.Filter(id); !errors.Is(err, events.ErrInvalidID) || got != "" {
			t.Errorf("filter of %+v: %q, %v", id, got, err)
		}
		if got, err := events.EventSubject(payment.Refund, payment.EventStarted, id, 1); !errors.Is(err, events.ErrInvalidID) || got != "" {
			t.Errorf("subject of %+v: %q, %v", id, got, err)
		}
	}
}

func TestAnEventOfNoKnownTypeOrVersionHasNoSubject(t *testing.T) {
	t.Parallel()
	id := payment.ID{Provider: "p", Native: "1"}
	if s, err := events.EventSubject("capture", payment.EventStarted, id, 1); err == nil {
		t.Error(s)
	}
	if s, err := events.EventSubject(payment.Refund, "done", id, 1); err == nil {
		t.Error(s)
	}
	if s, err := events.EventSubject(payment.Refund, payment.EventStarted, id, 0); err == nil {
		t.Error(s)
	}
}

func TestScheduleSubjectsAreFrozen(t *testing.T) {
	t.Parallel()
	base := wantRefund()
	id := payment.ID{Provider: "opay-eg", Native: "1001000"}
	cancel := base
	cancel.Op, cancel.Amount = payment.Cancel, nil
	otherKey, otherAmount, otherReason := base, base, base
	otherKey.Key = "k2"
	otherAmount.Amount = &payment.Money{Value: 401, Currency: "EGP"}
	otherReason.Reason, otherReason.CommandID = "another", "ev-2"
	vectors := map[string]string{
		"refund":         events.ScheduleSubject(base, id),
		"cancel":         events.ScheduleSubject(cancel, id),
		"other key":      events.ScheduleSubject(otherKey, id),
		"other amount":   events.ScheduleSubject(otherAmount, id),
		"other reason":   events.ScheduleSubject(otherReason, id),
		"odd identifier": events.ScheduleSubject(base, payment.ID{Provider: "opay-eg", Native: "a.b>*"}),
		"no identity":    events.ScheduleSubject(base, payment.ID{}),
		"odd provider":   events.ScheduleSubject(base, payment.ID{Provider: "a.>", Native: "1"}),
	}
	golden(t, "schedules.json", vectors)
	if vectors["refund"] != vectors["other reason"] {
		t.Error("a repeat has a timer of its own")
	}
	seen := map[string]string{}
	for name, s := range vectors {
		if strings.Count(s, ".") != 5 || strings.ContainsAny(s, "*> ") {
			t.Errorf("%s: %q is not six tokens", name, s)
		}
		if other, ok := seen[s]; ok && name != "other reason" && other != "other reason" {
			t.Errorf("%s and %s share %q", name, other, s)
		}
		seen[s] = name
	}
}

func TestTheOtherSubjects(t *testing.T) {
	t.Parallel()
	token := events.RejectionToken(42, []byte("hello"))
	for got, want := range map[string]string{
		token:                                          "42-2cf24dba5fb0",
		events.RejectedSubject(token):                  "payment.command.rejected.42-2cf24dba5fb0",
		events.QuarantineSubject(token):                "payment.quarantine.42-2cf24dba5fb0",
		events.DueSubject(payment.Refund):              "payment.due.refund",
		events.CommandSubject(payment.Cancel, ""):      "payment.cancel.requested",
		events.CommandSubject(payment.Refund, "p-1"):   "payment.refund.requested.p-1",
		events.OperatorSubject("resolved", "01J5.>"):   "payment.operator.resolved.01J5=2E=3E",
		events.OperatorSubject("resolved", "01J5ABCD"): "payment.operator.resolved.01J5ABCD",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAnEventsSubjectNamesItsPayment(t *testing.T) {
	t.Parallel()
	for _, native := range oddIdentifiers() {
		id := payment.ID{Provider: "opay-eg", Native: native}
		subject, err := events.EventSubject(payment.Refund, payment.EventSucceeded, id, 3)
		if err != nil {
			continue
		}
		if got, err := events.PaymentOf(subject); err != nil || got != id {
			t.Errorf("%s names %+v, %v", subject, got, err)
		}
	}
	for subject, provider := range map[string]string{
		"":                                       "",
		"payment.refund.succeeded.opay-eg.1":     "",
		"payment.refund.succeeded.opay-eg.1.1.1": "",
		"other.refund.succeeded.opay-eg.1.1":     "",
		"payment.refund.succeeded.opay-eg.=41.1": "opay-eg",
		"payment.refund.succeeded.OPAY.1.1":      "OPAY",
	} {
		if got, err := events.PaymentOf(subject); err == nil {
			t.Errorf("%q names %+v", subject, got)
		}
		if got := events.ProviderOf(subject); got != provider {
			t.Errorf("%q names the provider %q, want %q", subject, got, provider)
		}
	}
}

func TestATimersSubjectNamesItsPayment(t *testing.T) {
	t.Parallel()
	c := payment.Command{Op: payment.Refund, Key: "k", Provider: "opay-eg"}
	for _, native := range oddIdentifiers() {
		id := payment.ID{Provider: "opay-eg", Native: native}
		if _, err := events.Filter(id); err != nil {
			continue
		}
		if got, err := events.PaymentOf(events.ScheduleSubject(c, id)); err != nil || got != id {
			t.Errorf("the timer of %+v names %+v, %v", id, got, err)
		}
	}
	unknown := events.ScheduleSubject(c, payment.ID{})
	if got, err := events.PaymentOf(unknown); err == nil {
		t.Errorf("a timer without a payment names %+v", got)
	}
	if got := events.ProviderOf(unknown); got != "opay-eg" {
		t.Errorf("a timer without a payment names the provider %q", got)
	}
}
