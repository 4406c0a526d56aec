package broker

// White box: the tables against the fields that the library knows.

import (
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// spoil sets a field to something it is not.
func spoil(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 77)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(v.Uint() + 77)
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Slice:
		more := reflect.New(v.Type().Elem()).Elem()
		spoil(more)
		v.Set(reflect.Append(v, more))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Struct:
		spoil(v.Field(0))
	default:
		panic("no way to spoil a " + v.Type().String())
	}
}

// fields tells each field of a configuration that no row of a table notices when it
// changes, and is not named as one that does no harm, and the other way round.
func fields[C any](t *testing.T, want C, table []setting[C], harmless map[string]string) {
	t.Helper()
	typ := reflect.TypeFor[C]()
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		is := want
		why, silent := harmless[name]
		if silent && reflect.ValueOf(is).Field(i).Kind() == reflect.Map {
			continue
		}
		spoil(reflect.ValueOf(&is).Elem().Field(i))
		noticed := false
		for _, s := range table {
			noticed = noticed || s.show(is) != s.show(want)
		}
		switch {
		case !noticed && !silent:
			t.Errorf("%s: no row notices it, and nothing says why it does no harm", name)
		case noticed && silent:
			t.Errorf("%s: a row notices it, and it is said to do no harm: %s", name, why)
		}
	}
	for name := range harmless {
		if _, ok := typ.FieldByName(name); !ok {
			t.Errorf("%s: there is no such field any more", name)
		}
	}
}

func TestEveryFieldOfAStreamHasARowOrAReason(t *testing.T) {
	t.Parallel()
	for _, want := range DefaultTopology().Streams() {
		fields(t, want, streamSettings(want, 0), map[string]string{
			"Name":         "it is what the stream is found by",
			"Description":  "only people read it",
			"Placement":    "where the copies lie is the operator's business",
			"Compression":  "what is read is the same",
			"FirstSeq":     "it counts at the creation only",
			"MirrorDirect": "it counts on a mirror only, and a mirror is found",
			"Metadata":     "only people and tools read it",
			"Template":     "the server ignores it",
		})
	}
}

// pace is left to whoever reads.
const pace = "the reader's own pace: nothing is lost by it"

func TestEveryFieldOfAConsumerHasARowOrAReason(t *testing.T) {
	t.Parallel()
	topology := DefaultTopology()
	topology.Readers = []Reader{{Name: "pulled", Filters: []string{"payment.>"}}, {Name: "pushed", Filters: []string{"payment.>"}, Push: true}}
	own := map[string]string{
		"Name":            "it is what the consumer is found by",
		"Description":     "only people read it",
		"Metadata":        "only people and tools read it",
		"SampleFrequency": "the server publishes notices of acknowledgements, which nobody listens to",
		"PauseUntil":      "the server itself says whether it pauses: Verify names it",
	}
	foreign := map[string]string{"AckWait": pace, "BackOff": pace, "MaxAckPending": pace}
	push := map[string]string{
		"RateLimit": "of push consumers only, and one that pushes is found", "DeliverGroup": "as RateLimit", "FlowControl": "as RateLimit", "IdleHeartbeat": "as RateLimit",
	}
	for _, want := range append(topology.consumers(), topology.readers()...) {
		all := map[string]string{}
		for _, more := range []map[string]string{own, map[bool]map[string]string{true: foreign, false: push}[want.foreign]} {
			for name, why := range more {
				all[name] = why
			}
		}
		fields(t, want.config, want.settings(), all)
	}
}

func TestAReaderThatDiffersFromWhatProvisionMakesIsNamedSettingBySetting(t *testing.T) {
	t.Parallel()
	topology := DefaultTopology()
	topology.Readers = []Reader{{Name: "ledger", Filters: []string{"payment.*.succeeded.>"}, Pulls: 2}}
	for setting, change := range map[string]func(*jetstream.ConsumerConfig){
		"max deliver":         func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 1 },
		"headers only":        func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true },
		"filter":              func(c *jetstream.ConsumerConfig) { c.FilterSubjects = []string{"payment.refund.returned.>"} },
		"max request batch":   func(c *jetstream.ConsumerConfig) { c.MaxRequestBatch = 0 },
		"max request expires": func(c *jetstream.ConsumerConfig) { c.MaxRequestExpires = time.Second },
		"inactive threshold":  func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour },
		"deliver policy":      func(c *jetstream.ConsumerConfig) { c.DeliverPolicy = jetstream.DeliverNewPolicy },
	} {
		is := topology.ReaderConfig(topology.Readers[0])
		is.Name = is.Durable
		if found := topology.VerifyReader(topology.Events, is); len(found) > 0 {
			t.Errorf("as made: found %v", found)
		}
		change(&is)
		if found := topology.VerifyReader(topology.Events, is); len(found) != 1 || found[0].Setting != setting || found[0].Do == "" {
			t.Errorf("%s: found %v", setting, found)
		}
		is.Durable = "stranger"
		is.Name = is.Durable
		if found := topology.VerifyReader(topology.Events, is); len(found) > 1 {
			t.Errorf("a stranger with another %s: found %v", setting, found)
		}
	}
}
