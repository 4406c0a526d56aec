package contract_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/status"
)

// A field of a request: what it may be, and what it may not.
type statusField struct {
	name string
	good string
	bad  []any
}

func statusFields() []statusField {
	return []statusField{
		{"provider", "opay-eg", []any{"", "Opay", "-opay", "opay.eg", strings.Repeat("p", 33), 7, nil}},
		{"payment", "1001.000", []any{"", "a b", "ä", strings.Repeat("1", 65), 1001000, []any{"1"}}},
		{"operation", "refund", []any{"", "Refund", "void", true}},
		{"idempotencyKey", "order-1/2", []any{"", "a b", "schlüssel", strings.Repeat("k", 256), nil}},
		{"commandId", "evt 1 – ä", []any{"", "two\nlines", strings.Repeat("ä", 129), map[string]any{}}},
		{"commandSource", "/shop", []any{"", "\u0085", strings.Repeat("s", 256), 1.5}},
	}
}

// compareStatus asks schema and reader about one request.
func compareStatus(t *testing.T, b book, doc map[string]any) (valid bool) {
	t.Helper()
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	_, faults := status.DecodeQuery(raw)
	verdict := judge(t, b[statusRequest], raw)
	if verdict.valid() != (len(faults) == 0) {
		t.Errorf("%s\nschema: %v\nreader: %v", raw, verdict, faults)
	}
	for _, f := range faults {
		if !verdict.name(f.Pointer) {
			t.Errorf("%s\nthe reader finds %v, the schema only %v", raw, f, verdict)
		}
	}
	for _, p := range verdict.certain {
		if !slices.ContainsFunc(faults, func(f payment.Fault) bool { return f.Pointer == p }) {
			t.Errorf("%s\nthe schema finds fault at %q, the reader only %v", raw, p, faults)
		}
	}
	return len(faults) == 0
}

// Every set of fields, and in each set every bad value of every field.
func TestSchemaAndReaderAgreeOnEveryRequestForAStatus(t *testing.T) {
	t.Parallel()
	b, fields, valid, all := compile(t), statusFields(), 0, 0
	for set := range 1 << len(fields) {
		doc := map[string]any{}
		for i, f := range fields {
			if set>>i&1 == 1 {
				doc[f.name] = f.good
			}
		}
		all++
		if compareStatus(t, b, doc) {
			valid++
		}
		for name := range doc {
			i := slices.IndexFunc(fields, func(f statusField) bool { return f.name == name })
			for _, bad := range fields[i].bad {
				doc[name] = bad
				all++
				if compareStatus(t, b, doc) {
					t.Errorf("%v is taken", doc)
				}
			}
			doc[name] = fields[i].good
		}
	}
	// By payment, by key, by command, by command of a provider, of a payment.
	if valid != 5 {
		t.Errorf("%d sets of fields are requests, want 5", valid)
	}
	t.Logf("%d requests", all)
}

func TestTheReaderFindsTheFaultsOfTheExamplesOfRequests(t *testing.T) {
	t.Parallel()
	for _, e := range examples(t, "valid") {
		if _, faults := status.DecodeQuery(e.raw); e.typ == statusRequest && len(faults) > 0 {
			t.Errorf("%s: %v", e.name, faults)
		}
	}
	seen := 0
	for _, e := range examples(t, "invalid") {
		if e.typ != statusRequest {
			continue
		}
		seen++
		_, faults := status.DecodeQuery(e.raw)
		byPointer := func(a, b payment.Fault) int { return strings.Compare(a.Pointer, b.Pointer) }
		slices.SortFunc(faults, byPointer)
		slices.SortFunc(e.want.Faults, byPointer)
		if diff := cmp.Diff(e.want.Faults, faults); diff != "" {
			t.Errorf("%s (-want +got):\n%s", e.name, diff)
		}
	}
	if seen < 6 {
		t.Errorf("%d invalid examples", seen)
	}
}
