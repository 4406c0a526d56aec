package events

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// TestTheWriterWritesWhatReflectionWrites holds the writer to the types for any
// values: the text must be the same to the last byte.
func TestTheWriterWritesWhatReflectionWrites(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	for _, empty := range []float64{0, 0.5, 0.95} {
		for range 300 {
			filler := filler{random: random, empty: empty}
			var a attributes
			var data resultData
			filler.fill(reflect.ValueOf(&a).Elem())
			filler.fill(reflect.ValueOf(&data).Elem())
			for _, binary := range []bool{false, true} {
				got, err := writeEvent(&a, &data, binary)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(byReflection(t, a, data, binary), string(got)); diff != "" {
					t.Fatalf("by reflection and by the writer (-want +got):\n%s", diff)
				}
			}
		}
	}
}

func byReflection(t testing.TB, a attributes, data resultData, binary bool) string {
	t.Helper()
	var v any = &structured[resultData]{attributes: a, Data: &data}
	if binary {
		v = &data
	}
	want, err := json.Marshal(v, wireOptions())
	if err != nil {
		t.Fatal(err)
	}
	return string(want)
}

// BenchmarkWrite compares the writer with reflection, which it stands in for.
func BenchmarkWrite(b *testing.B) {
	filler := filler{random: rand.New(rand.NewPCG(7, 7)), empty: 0.5}
	var a attributes
	var data resultData
	filler.fill(reflect.ValueOf(&a).Elem())
	filler.fill(reflect.ValueOf(&data).Elem())
	b.Run("writer", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := writeEvent(&a, &data, false); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("reflection", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			byReflection(b, a, data, false)
		}
	})
}

func TestATimeThatNoReaderTakesIsNotWritten(t *testing.T) {
	t.Parallel()
	var data resultData
	(&filler{random: rand.New(rand.NewPCG(7, 7))}).fill(reflect.ValueOf(&data).Elem())
	data.State.Operations[0].Open.Changed = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := writeEvent(&attributes{Type: "t"}, &data, true); err == nil {
		t.Error("written")
	}
	if _, err := json.Marshal(&data, wireOptions()); err == nil {
		t.Error("reflection would write it")
	}
}

// filler gives every field a value, some of them the empty one.
type filler struct {
	random *rand.Rand
	empty  float64 // the share of fields left empty
}

func (f *filler) fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		if !f.skip() {
			v.Set(reflect.ValueOf(time.UnixMilli(f.random.Int64N(4e12)).UTC().Add(time.Duration(f.random.IntN(1e6)))))
		}
		return
	}
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
		return
	}
	if f.skip() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		texts := []string{"a", "1001.000", `q"\`, "<&>'", "Zoë €", "\x00\x1f\x7f\t\r\n\b\f", "\u2028\u2029", "bad \xff\xc0 utf", "\U0001F600"}
		v.SetString(texts[f.random.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(f.random.Int64() - f.random.Int64())
	case reflect.Uint64:
		v.SetUint(f.random.Uint64())
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), f.random.IntN(3)+1, 3))
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	default:
		panic("no value for a " + v.Kind().String() + ": give the filler and the writer one")
	}
}

func (f *filler) skip() bool { return f.random.Float64() < f.empty }
