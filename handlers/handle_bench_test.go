package handlers_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

// accepting is a journal that accepts each append and keeps nothing.
type accepting struct{}

func (accepting) Last(context.Context, payment.ID) (journal.Record, error) {
	return journal.Record{}, nil
}

func (accepting) Append(context.Context, uint64, payment.Event) (uint64, error) { return 1, nil }

func (accepting) AppendRejection(context.Context, payment.Rejection) error { return nil }

// refunded answers each call with a success.
type refunded struct{ providers.Provider }

func (refunded) Call(context.Context, providers.Request) payment.Outcome {
	return payment.Outcome{Result: payment.Succeeded, ProviderReference: "1"}
}

// open is an isolation that lets everything pass.
type open struct{}

func (open) State(string) handlers.Standing { return handlers.Standing{} }

func (open) Enter(context.Context, string, time.Duration) (handlers.Place, bool) { return open{}, true }

func (open) Permit(context.Context, time.Duration) handlers.Permit { return handlers.Granted }

func (open) Report(handlers.Report) {}

func (open) Leave() {}

// BenchmarkHandle is a refund of a payment's first command: decoding, two
// decisions, two appends and one call, with a journal and a provider that cost nothing.
func BenchmarkHandle(b *testing.B) {
	adapter, err := opay.New(opay.Settings{
		BaseURL: "http://127.0.0.1", MerchantID: opaysim.DefaultMerchantID,
		SecretKey: providers.NewSecret(opaysim.DefaultSecretKey), CallbackURL: "https://shop.example/callback",
	}, providers.NewClient(nil))
	if err != nil {
		b.Fatal(err)
	}
	set, err := providers.NewSet(providers.Instance{
		Name: "opay-eg", Kind: "opay", Account: adapter.Account(), Provider: refunded{adapter}, Policy: payment.DefaultPolicy(),
	})
	if err != nil {
		b.Fatal(err)
	}
	h, err := handlers.New(accepting{}, set, &quarantine{}, events.NewEncoder(nil), &handlers.Options{Isolation: open{}})
	if err != nil {
		b.Fatal(err)
	}
	const data = `{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"1","country":"EG","currency":"EGP"},"amount":{"value":400,"currency":"EGP"}}`
	body := fmt.Sprintf(`{"specversion":"1.0","id":"e-1","source":"/shop","type":"payment.refund.requested","data":%s}`, data)
	d := handlers.Delivery{
		Message:        events.Message{Subject: "payment.refund.requested", Data: []byte(body)},
		OriginSequence: 1, OriginTime: time.Now(), Deliveries: 1, Hold: func(time.Time) {},
	}
	b.ReportAllocs()
	for b.Loop() {
		if out := h.Handle(context.Background(), d); out.Kind != handlers.Ack {
			b.Fatalf("disposition %v, want ack", out.Kind)
		}
	}
}
