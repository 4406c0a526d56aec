package providertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/countermand/countermand/payment"
)

// Evidence is an answer's JSON as a judge reads it, independently of the
// adapters: names are case-sensitive, and a text in which anything is named
// twice, or that goes on after its value, says nothing. The zero value is an
// absent member.
type Evidence struct {
	value   any // string, json.Number, bool, map[string]*Evidence, []*Evidence
	present bool
}

// ReadEvidence reads a body; absent if it is no one JSON value.
func ReadEvidence(body []byte) *Evidence {
	if !utf8.Valid(body) {
		return &Evidence{}
	}
	root, err := parse(json.NewDecoder(strings.NewReader(string(body))))
	if err != nil {
		return &Evidence{}
	}
	e, sound := root.evidence()
	if !sound {
		return &Evidence{}
	}
	return e
}

// evidence is false for a value with duplicate names in it.
func (s *shape) evidence() (*Evidence, bool) {
	if s.scalar != "" {
		dec := json.NewDecoder(strings.NewReader(s.scalar))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			return nil, false
		}
		return &Evidence{value: v, present: v != nil}, true // null is as good as absent
	}
	object, list := map[string]*Evidence{}, []*Evidence{}
	for i, v := range s.values {
		e, sound := v.evidence()
		if !sound {
			return nil, false
		}
		if !s.object {
			list = append(list, e)
			continue
		}
		var name string
		if json.Unmarshal([]byte(s.names[i]), &name) != nil || object[name] != nil {
			return nil, false
		}
		object[name] = e
	}
	if s.object {
		return &Evidence{value: object, present: true}, true
	}
	return &Evidence{value: list, present: true}, true
}

// At is the member under a path of names; absent where there is none.
func (e *Evidence) At(path ...string) *Evidence {
	for _, name := range path {
		object, ok := e.value.(map[string]*Evidence)
		if !ok || object[name] == nil {
			return &Evidence{}
		}
		e = object[name]
	}
	return e
}

// Names are the names of an object's members, sorted; none for anything else.
func (e *Evidence) Names() []string {
	object, _ := e.value.(map[string]*Evidence)
	return slices.Sorted(maps.Keys(object))
}

// Present reports whether there is a value other than null.
func (e *Evidence) Present() bool { return e.present }

// Items are the values of an array; false for anything else.
func (e *Evidence) Items() ([]*Evidence, bool) {
	list, ok := e.value.([]*Evidence)
	return list, ok
}

// Text is a string or a number as it was written; false for anything else.
func (e *Evidence) Text() (string, bool) {
	switch v := e.value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	default:
		return "", false
	}
}

// Is reports whether the value is one of the texts.
func (e *Evidence) Is(texts ...string) bool {
	text, ok := e.Text()
	if !ok {
		return false
	}
	return slices.Contains(texts, text)
}

// True reports whether the value is true.
func (e *Evidence) True() bool { return e.value == true }

// Integer is a whole number written without fraction, exponent, sign or leading
// zeros, in a number or a string; false for anything else.
func (e *Evidence) Integer() (int64, bool) {
	text, ok := e.Text()
	if !ok {
		return 0, false
	}
	var n int64
	if _, err := fmt.Sscanf(text, "%d", &n); err != nil || fmt.Sprint(n) != text {
		return 0, false
	}
	return n, true
}

// CheckPlain fails the test if an outcome tells a secret, or in our own words
// a card number, or is longer than an event has room for. mask is what is done
// to the provider's words before they are published.
func CheckPlain(t testing.TB, o payment.Outcome, mask func(string) string, secrets ...string) {
	t.Helper()
	const longest = 128 // of a reference, which is kept in the state for ever
	if len(o.ProviderReference) > longest {
		t.Errorf("the provider's reference has %d characters", len(o.ProviderReference))
	}
	for _, secret := range secrets {
		if strings.Contains(fmt.Sprintf("%+v", o), secret) {
			t.Errorf("a secret is told: message %q", strings.ReplaceAll(o.Message, secret, "***"))
		}
	}
	shown := o.Message + " " + mask(o.ProviderMessage) + " " + mask(o.ProviderCode)
	if strings.Contains(shown, Card) {
		t.Errorf("a card number is told: %q", shown)
	}
	if m := o.Moved; m != nil && (m.Value < 0 || m.Value > payment.MaxAmount || !isCurrency(m.Currency)) {
		t.Errorf("moved %+v is no amount", *m)
	}
	if o.Result != payment.Succeeded && o.Effect != "" {
		t.Errorf("%s has effect %q", o.Result, o.Effect)
	}
	if o.Result == payment.Succeeded && o.Effect == "" {
		t.Error("a success without effect")
	}
}

// isCurrency reports three capital letters.
func isCurrency(c payment.Currency) bool {
	return len(c) == 3 && strings.Trim(string(c), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
