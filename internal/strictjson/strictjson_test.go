package strictjson_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/internal/strictjson"
	"github.com/countermand/countermand/payment"
)

func newReader() *strictjson.Reader {
	return &strictjson.Reader{Name: strings.ToUpper, Suggest: true}
}

// person is what the tests read.
type person struct{ name, street string }

func read(r *strictjson.Reader, text string, f *strictjson.Faults) (p person, ended bool) {
	r.Begin([]byte(text), "ce", f)
	r.Members("", []string{"name", "address"}, func(name, at string) {
		switch name {
		case "name":
			p.name = r.Text(at)
		case "address":
			r.Members(at, []string{"street"}, func(_, at string) { p.street = r.AnyText(at) })
		}
	})
	return p, r.End()
}

func TestATextWithoutFaultsIsReadWhole(t *testing.T) {
	t.Parallel()
	r, f := newReader(), &strictjson.Faults{Max: 9}
	got, ended := read(r, ` {"\u006eame":"Zo\u00eb","address":{"street":""}} `+"\n", f)
	if got != (person{"Zoë", ""}) || !ended || f.All() != nil {
		t.Errorf("%+v, ended %v, faults %v", got, ended, f.All())
	}
}

func TestEveryFaultIsFoundWithItsPointer(t *testing.T) {
	t.Parallel()
	fault := func(pointer, rule, detail string) payment.Fault {
		return payment.Fault{Pointer: pointer, Rule: rule, Detail: detail}
	}
	r := newReader()
	for text, want := range map[string][]payment.Fault{
		`{"name":""}`:                  {fault("/name", "min", "at least 1 character")},
		`{"name":7,"address":[{}]}`:    {fault("/name", "type", "a string"), fault("/address", "type", "an object")},
		`{"name":null}`:                {fault("/name", "type", "a string")},
		`{"nam":1,"x/y~":{"a":[]}}`:    {fault("/NAM", "unknown", "did you mean name?"), fault("/X~1Y~0", "unknown", "")},
		`{"name":"a","name":"b"}`:      {fault("/name", "duplicate", "")},
		`{"address":{"street":false}}`: {fault("/address/street", "type", "a string")},
		`[1]`:                          {fault("", "type", "an object")},
		`{"name":"a"} {}`:              {fault("ce", "json", "more text after the value, at byte 12")},
		`{"name":"a",}`:                {fault("ce", "json", "not readable as JSON at byte 11")},
		`{"name":"\ud800"}`:            {fault("ce", "json", "not readable as JSON at byte 9")},
		``:                             {fault("ce", "json", "not readable as JSON at byte 0")},
		"\ufeff{}":                     {fault("ce", "json", "begins with a byte order mark of UTF-8: send UTF-8 without one")},
		"\xff\xfe{\x00}":               {fault("ce", "json", "begins with a byte order mark of UTF-16: send UTF-8 without one")},
		`{"x":1,"name"`:                {fault("/X", "unknown", ""), fault("ce", "json", "not readable as JSON at byte 13")},
	} {
		f := &strictjson.Faults{Max: 9}
		_, ended := read(r, text, f)
		if diff := cmp.Diff(want, f.All()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		if broken := r.Broken(); broken == ended {
			t.Errorf("%s: ended %v, broken %v", text, ended, broken)
		}
	}
}

func TestAScalarIsReadAsTextWithItsKind(t *testing.T) {
	t.Parallel()
	r, f := newReader(), &strictjson.Faults{Max: 9}
	r.Begin([]byte(`{"a":"x","b":1e3,"c":false,"d":null,"e":[1]}`), "", f)
	var got []string
	r.Object("", nil, func(name string) {
		text, kind := r.Scalar()
		got = append(got, name+" "+text+" "+string(rune(kind)))
	})
	if diff := cmp.Diff([]string{"a x \"", "b 1e3 0", "c false t", "d null n", "e [1] ["}, got); diff != "" || !r.End() {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFaultsAreCountedBeyondTheirLimit(t *testing.T) {
	t.Parallel()
	f := &strictjson.Faults{Max: 2}
	for i := range 5 {
		f.Add("/"+strconv.Itoa(5-i), "min", "")
	}
	f.Sort()
	want := []payment.Fault{{Pointer: "/4", Rule: "min"}, {Pointer: "/5", Rule: "min"}, {Rule: "more", Detail: "3 more"}}
	if diff := cmp.Diff(want, f.All()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for pointer, covered := range map[string]bool{"/4": true, "/4/x": true, "/44": false, "/3": false} {
		if f.Covers(pointer) != covered {
			t.Errorf("%s is covered: %v", pointer, !covered)
		}
	}
	if whole := (&strictjson.Faults{List: []payment.Fault{{Rule: "json"}}}); !whole.Covers("/x") {
		t.Error("a fault of the whole text covers no member")
	}
}

func TestTheTextIsNeverWrittenTo(t *testing.T) {
	t.Parallel()
	const text = `{"\u006eame":"Zo\u00eb","address":{"street":"x"},"y":1`
	given := []byte(text)
	r := newReader()
	r.Begin(given[:len(given):cap(given)], "", &strictjson.Faults{Max: 9})
	r.Members("", []string{"name"}, func(_, at string) { r.Text(at) })
	r.Forget()
	if string(given) != text {
		t.Errorf("the text is %s", given)
	}
}
