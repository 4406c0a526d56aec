package contract_test

import (
	"encoding/json"
	"testing"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

func readVectors[T any](t *testing.T, name string) []T {
	t.Helper()
	var list []T
	if err := json.Unmarshal(embedded(t, "vectors/"+name), &list); err != nil {
		t.Fatalf("parse %s: %v", name, err)
	}
	if len(list) == 0 {
		t.Fatalf("%s is empty", name)
	}
	return list
}

// The vectors are frozen: a payment's events are found by these subjects for
// ever, by this program's versions side by side and by programs of others.
func TestTokensAreTheFrozenOnes(t *testing.T) {
	t.Parallel()
	type vector struct{ Identifier, Token string }
	for _, v := range readVectors[vector](t, "tokens.json") {
		if got := events.Token(v.Identifier); got != v.Token {
			t.Errorf("token of %q is %q, frozen as %q", v.Identifier, got, v.Token)
		}
		if back, err := events.ParseToken(v.Token); err != nil || back != v.Identifier {
			t.Errorf("token %q parses to %q (%v), want %q", v.Token, back, err, v.Identifier)
		}
	}
}

func TestWhatNoEncoderWritesIsNoToken(t *testing.T) {
	t.Parallel()
	type vector struct{ Token, Why string }
	for _, v := range readVectors[vector](t, "notokens.json") {
		if got, err := events.ParseToken(v.Token); err == nil {
			t.Errorf("%q was parsed as %q: %s", v.Token, got, v.Why)
		}
	}
}

func TestFiltersAndSubjectsAreTheFrozenOnes(t *testing.T) {
	t.Parallel()
	type vector struct {
		Provider, Identifier, Filter string
		Operation                    payment.Op
		Event                        payment.EventType
		Version                      uint64
		Subject                      string
	}
	for _, v := range readVectors[vector](t, "filters.json") {
		id := payment.ID{Provider: v.Provider, Native: v.Identifier}
		filter, err := events.Filter(id)
		if err != nil || filter != v.Filter {
			t.Errorf("filter of %v is %q (%v), frozen as %q", id, filter, err, v.Filter)
		}
		subject, err := events.EventSubject(v.Operation, v.Event, id, v.Version)
		if err != nil || subject != v.Subject {
			t.Errorf("subject of %v is %q (%v), frozen as %q", id, subject, err, v.Subject)
		}
	}
}

func TestADoubtfulIdentityHasNoFilter(t *testing.T) {
	t.Parallel()
	type vector struct{ Provider, Identifier, Why string }
	for _, v := range readVectors[vector](t, "nofilters.json") {
		if got, err := events.Filter(payment.ID{Provider: v.Provider, Native: v.Identifier}); err == nil {
			t.Errorf("%q at %q has the filter %q: %s", v.Identifier, v.Provider, got, v.Why)
		}
	}
}
