package contract_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/countermand/countermand/payment"
)

// seed is a valid command to spoil.
type seed struct {
	typ  string
	data []byte
}

func seeds(t *testing.T) []seed {
	t.Helper()
	var out []seed
	for _, e := range examples(t, "valid") {
		if e.command() {
			out = append(out, seed{e.typ, e.raw})
		}
	}
	return out
}

// A schema and a decoder that disagree on one command are two contracts. Each
// round takes a valid command, spoils it in up to three places, often just at a
// boundary, and asks both. Numbers are spelled as plain integers or with a
// fraction that is not zero: other spellings are the decoder's alone.
func TestSchemaAndDecoderAgreeOnSpoiledCommands(t *testing.T) {
	t.Parallel()
	b, d, from := compile(t), decoder(t), seeds(t)
	rapid.Check(t, func(rt *rapid.T) {
		for range 50 {
			s := rapid.SampledFrom(from).Draw(rt, "command")
			doc := parse(s.data)
			for range rapid.IntRange(0, 3).Draw(rt, "times") {
				spoil(rt, doc)
			}
			raw, err := json.Marshal(doc)
			if err != nil {
				rt.Fatal(err)
			}
			bySchema, byDecoder := judge(t, b[s.typ], raw), faultsOf(d, binary(s.typ, raw))
			if bySchema.valid() != (byDecoder == nil) {
				rt.Fatalf("%s\nschema: %v\ndecoder: %v", raw, bySchema, byDecoder)
			}
			for _, f := range byDecoder {
				if !bySchema.name(f.Pointer) {
					rt.Fatalf("%s\nthe decoder finds %v, the schema only %v", raw, f, bySchema)
				}
			}
		}
	})
}

// Country codes are few enough to ask about every one.
func TestSchemaAndDecoderAgreeOnEveryPairOfLettersAsACountry(t *testing.T) {
	t.Parallel()
	b, d := compile(t), decoder(t)
	taken := 0
	for first := 'A'; first <= 'Z'; first++ {
		for second := 'A'; second <= 'Z'; second++ {
			raw := []byte(`{"idempotencyKey":"k","provider":"p","payment":{"orderId":"1","country":"` + string([]rune{first, second}) + `"}}`)
			bySchema := judge(t, b["payment.cancel.requested"], raw).valid()
			if byDecoder := faultsOf(d, binary("payment.cancel.requested", raw)) == nil; bySchema != byDecoder {
				t.Errorf("%c%c: schema %v, decoder %v", first, second, bySchema, byDecoder)
			}
			if bySchema {
				taken++
			}
		}
	}
	if taken < 200 {
		t.Errorf("only %d countries are taken", taken)
	}
}

func parse(raw []byte) map[string]any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		panic("an embedded example is no JSON object: " + err.Error())
	}
	return v
}

// slot is one member somewhere in a document.
type slot struct {
	in   map[string]any
	name string
}

// slots lists the members of an object and of the objects in it, in a stable order.
func slots(m map[string]any) []slot {
	var out []slot
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, slot{m, name})
		if inner, ok := m[name].(map[string]any); ok {
			out = append(out, slots(inner)...)
		}
	}
	return out
}

// spoil changes the document in one place, any of them as likely as another.
func spoil(rt *rapid.T, doc map[string]any) {
	all := slots(doc)
	if len(all) == 0 {
		doc[addedName(rt)] = value(rt)
		return
	}
	at := rapid.SampledFrom(all).Draw(rt, "member")
	switch rapid.IntRange(0, 9).Draw(rt, "how") { // small numbers are drawn more often
	case 6:
		delete(at.in, at.name)
	case 7:
		held := at.in[at.name]
		delete(at.in, at.name)
		at.in[respell(rt, at.name)] = held
	case 8:
		name := addedName(rt)
		at.in[name] = likely(rt, name)
	case 4, 5:
		at.in[at.name] = value(rt)
	default:
		at.in[at.name] = likely(rt, at.name)
	}
}

func addedName(rt *rapid.T) string {
	return rapid.SampledFrom([]string{
		"amount", "full", "reason", "payment", "orderId", "transactionId", "country", "currency", "capturedAmount",
		"value", "ammount", "Amount", "", "a/b", "a~b", "~1", "idempotencyKey", "naïve", "x",
	}).Draw(rt, "name")
}

func respell(rt *rapid.T, name string) string {
	return rapid.SampledFrom([]string{strings.ToUpper(name), strings.ToLower(name), name + "s", " " + name}).Draw(rt, "spelling")
}

// value is any JSON value.
func value(rt *rapid.T) any {
	switch rapid.IntRange(0, 6).Draw(rt, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(rt, "bool")
	case 2:
		return number(rt)
	case 3:
		return word(rt, "")
	case 4:
		return []any{}
	case 5:
		return map[string]any{"value": number(rt), "currency": currency(rt)}
	default:
		return map[string]any{}
	}
}

// likely is a value of the kind the member wants, at or over its border.
func likely(rt *rapid.T, name string) any {
	switch name {
	case "value":
		return number(rt)
	case "currency":
		return currency(rt)
	case "country":
		return rapid.StringMatching(`[A-Z]{2}|[a-z]{2}|[A-Z]{3}|`).Draw(rt, "country")
	case "amount", "capturedAmount":
		return map[string]any{"value": json.Number("400"), "currency": currency(rt)}
	case "full":
		return rapid.SampledFrom([]any{true, false, "true", json.Number("1"), nil}).Draw(rt, "full")
	case "provider":
		return rapid.StringMatching(`[a-z0-9-]{1,33}|[a-z0-9]{32}|[a-z][A-Z._ ]|`).Draw(rt, "provider")
	default:
		return word(rt, name)
	}
}

func number(rt *rapid.T) json.Number {
	return json.Number(rapid.SampledFrom([]string{
		"9007199254740992", "0", "1", "2", "-1", "1.5", "0.5", "-0.5", "400", "9007199254740991", "-9007199254740991",
		"9223372036854775807", "9223372036854775808", "18446744073709551616", "123456789012345678901234567890",
	}).Draw(rt, "number"))
}

func currency(rt *rapid.T) string {
	if rapid.Bool().Draw(rt, "known") {
		return string(rapid.SampledFrom(payment.Currencies()).Draw(rt, "currency"))
	}
	return rapid.StringMatching(`[A-Z]{3}|[a-z]{3}|[A-Z]{2,4}|EUR |XXX|XAU|XTS|DEM|`).Draw(rt, "currency")
}

// border is the longest text of a member.
func border(name string) int {
	switch name {
	case "idempotencyKey":
		return 255
	case "reason":
		return 200
	default:
		return 64
	}
}

// word is a text at or over the member's border of length, mostly of one kind
// of character, with an odd one in it now and then.
func word(rt *rapid.T, name string) string {
	longest := border(name)
	length := rapid.SampledFrom([]int{longest + 1, longest, 0, 1, longest - 1, 2, 2 * longest}).Draw(rt, "length")
	filler := rapid.SampledFrom([]string{"a", "~", "!", "é", "😀"}).Draw(rt, "filler")
	if length == 0 {
		return ""
	}
	odd := rapid.SampledFrom([]string{
		filler, filler, filler, " ", "\n", "\t", "\u007f", "\u0000", "\u0080", "\u009f", "\u00a0", "\u2028", "é",
	}).Draw(rt, "odd one")
	return strings.Repeat(filler, length-1) + odd
}
