package events_test

import (
	"strings"
	"testing"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

func BenchmarkDecodeStructured(b *testing.B) {
	benchmarkDecode(b, structuredRefund(`"time":"2026-09-01T12:00:00Z","correlationid":"c-1","traceparent":"`+traceParent+`",`, refundJSON))
}

func BenchmarkDecodeBinary(b *testing.B) {
	benchmarkDecode(b, binaryRefund(map[string][]string{
		"ce-time": {"2026-09-01T12:00:00Z"}, "ce-correlationid": {"c-1"}, "ce-traceparent": {traceParent},
	}, refundJSON))
}

func benchmarkDecode(b *testing.B, m events.Message) {
	b.Helper()
	d := newDecoder(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(m.Data)))
	for b.Loop() {
		if _, err := d.DecodeCommand(m); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeRefused is the price of a message with many faults.
func BenchmarkDecodeRefused(b *testing.B) {
	d := newDecoder(b)
	m := structuredRefund("", strings.ReplaceAll(refundJSON, `"EGP"`, `"XXX"`))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.DecodeCommand(m); err == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, binary := range map[string]bool{"structured": false, "binary": true} {
		b.Run(name, func(b *testing.B) {
			e, ev := events.NewEncoder(&events.EncoderOptions{Binary: binary}), sampleEvents()["succeeded"]
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.EncodeEvent(ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEncodeFullState is an event of a payment at the limit of 200 operations.
func BenchmarkEncodeFullState(b *testing.B) {
	e, ev := events.NewEncoder(nil), sampleEvents()["succeeded"]
	op := ev.State.Operations[0]
	ev.State.Operations = nil
	for range 200 {
		ev.State.Operations = append(ev.State.Operations, op)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.EncodeEvent(ev); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeCommand(b *testing.B) {
	e, c := events.NewEncoder(nil), wantRefund()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.EncodeCommand(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	m, err := events.NewEncoder(nil).EncodeEvent(sampleEvents()["succeeded"])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.DecodeEvent(m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFilter(b *testing.B) {
	id := payment.ID{Provider: "opay-eg", Native: "1001.000"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.Filter(id); err != nil {
			b.Fatal(err)
		}
	}
}
