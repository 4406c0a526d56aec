package payment_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
)

func BenchmarkDecide(b *testing.B) {
	fresh := tell(b, opay()).about(a()).in
	crowded := tell(b, opay())
	for n := range 200 {
		crowded.command(refund(payment.Key(fmt.Sprintf("key-%d", n)), 1)).answered(1, payment.Outcome{})
	}
	first := crowded.about(refund("key-0", 1)).pass(time.Hour).in
	last := crowded.about(refund("key-199", 1)).in
	for name, in := range map[string]payment.Input{
		"a first command": fresh, "a repeat of the first of 200": first, "a repeat of the last of 200": last,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				payment.Decide(in)
			}
		})
	}
}

func BenchmarkConclude(b *testing.B) {
	s := tell(b, opay())
	started(s)
	heard := answer(1, payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-1"})
	b.ReportAllocs()
	for b.Loop() {
		payment.Conclude(s.in, heard)
	}
}
