package contract_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/schemas"
)

func decoder(t testing.TB) *events.Decoder {
	t.Helper()
	d, err := events.NewDecoder()
	if err != nil {
		t.Fatalf("build decoder: %v", err)
	}
	return d
}

// binary wraps command data in a binary-mode CloudEvent that has no fault of its own.
func binary(eventType string, data []byte) events.Message {
	return events.Message{
		Subject: eventType,
		Header: map[string][]string{
			"ce-specversion": {"1.0"}, "ce-id": {"evt-1"}, "ce-source": {"/shops/cairo/orders"},
			"ce-type": {eventType}, "Content-Type": {"application/json"},
		},
		Data: data,
	}
}

// message is the example as it would travel: command data in binary mode, an
// envelope in structured mode on the subject of its type.
func (e example) message() events.Message {
	if e.typ != "envelope" {
		return binary(e.typ, e.raw)
	}
	return events.Message{
		Subject: e.envelopeType(), Header: map[string][]string{"Content-Type": {"application/cloudevents+json"}}, Data: e.raw,
	}
}

func (e example) envelopeType() string {
	var env struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(e.raw, &env); err != nil {
		return ""
	}
	return env.Type
}

// decoderJudges reports whether the decoder of commands has a say: results are
// written by this program and read by others.
func (e example) decoderJudges() bool {
	return e.command() || e.typ == "envelope" && strings.HasSuffix(e.envelopeType(), ".requested")
}

// faultsOf is what the decoder finds wrong, sorted, without details.
func faultsOf(d *events.Decoder, m events.Message) []payment.Fault {
	_, invalid := d.DecodeCommand(m)
	if invalid == nil {
		return nil
	}
	out := make([]payment.Fault, 0, len(invalid.Faults))
	for _, f := range invalid.Faults {
		out = append(out, payment.Fault{Pointer: f.Pointer, Rule: f.Rule})
	}
	return sorted(out)
}

func sorted(faults []payment.Fault) []payment.Fault {
	out := slices.Clone(faults)
	slices.SortFunc(out, func(a, b payment.Fault) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Rule, b.Rule))
	})
	return out
}

func TestTheDecoderTakesTheValidCommandExamples(t *testing.T) {
	t.Parallel()
	d := decoder(t)
	for _, e := range examples(t, "valid") {
		if !e.decoderJudges() {
			continue
		}
		if faults := faultsOf(d, e.message()); faults != nil {
			t.Errorf("%s: refused: %v", e.name, faults)
		}
	}
}

func TestTheDecoderRefusesTheInvalidCommandExamplesAsTheySay(t *testing.T) {
	t.Parallel()
	d := decoder(t)
	for _, e := range examples(t, "invalid") {
		if !e.decoderJudges() {
			continue
		}
		if e.typ == "envelope" {
			if faultsOf(d, e.message()) == nil {
				t.Errorf("%s: accepted", e.name)
			}
			continue
		}
		if diff := gocmp.Diff(sorted(e.want.Faults), faultsOf(d, e.message())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", e.name, diff)
		}
	}
}

func TestTheDecoderAnswersTheBadInputItCanJudge(t *testing.T) {
	t.Parallel()
	d := decoder(t)
	list, err := schemas.BadInputs()
	if err != nil {
		t.Fatal(err)
	}
	judged := 0
	for _, b := range list {
		m := events.Message{Subject: b.Subject, Header: b.Headers, Data: b.Bytes()}
		faults := faultsOf(d, m)
		if b.Expect.By != "decoder" {
			// What the service or the stream refuses is a command well formed.
			if b.Expect.By == "service" && faults != nil {
				t.Errorf("%s: the decoder refuses it already: %v", b.ID, faults)
			}
			continue
		}
		judged++
		want := payment.Fault{Pointer: b.Expect.Pointer, Rule: b.Expect.Rule}
		if !slices.Contains(faults, want) {
			t.Errorf("%s: want %v among the faults, got %v", b.ID, want, faults)
		}
		if _, invalid := d.DecodeCommand(m); invalid != nil && string(invalid.Code) != b.Expect.Code {
			t.Errorf("%s: code %s, want %s", b.ID, invalid.Code, b.Expect.Code)
		}
	}
	if judged < 30 {
		t.Errorf("only %d lines were judged", judged)
	}
}
