package events

import (
	"testing"

	"github.com/countermand/countermand/payment"
)

// BenchmarkValidate is the price of the rules alone, without reading the text.
// It is white-box because the rules have no exported door of their own.
func BenchmarkValidate(b *testing.B) {
	v, err := newValidator()
	if err != nil {
		b.Fatal(err)
	}
	value := int64(400)
	data := &commandData{
		Op:             payment.Refund,
		IdempotencyKey: "order-1001-return-1", Provider: "opay-eg",
		Payment: &paymentDetails{OrderID: "1001000", Country: "EG", Currency: "EGP"},
		Amount:  &money{Value: &value, Currency: "EGP"}, Reason: "item returned",
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := v.Struct(data); err != nil {
			b.Fatal(err)
		}
	}
}
