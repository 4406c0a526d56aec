package broker_test

import (
	"context"
	"testing"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/natstest"
)

// BenchmarkConsumeAck is the bound of everything above the broker: fetch, hand
// to a handler that does nothing, acknowledge; over TCP, with files on disk.
func BenchmarkConsumeAck(b *testing.B) {
	js := natstest.Start(b, nil).JetStream(b)
	topology := broker.DefaultTopology()
	if _, err := broker.Provision(b.Context(), js, topology); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 480)
	for i := range b.N {
		if _, err := js.PublishAsync("payment.refund.requested", body); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	handled := make(chan struct{}, b.N)
	consumer, err := broker.New(js, topology, handlerFunc(func(context.Context, handlers.Delivery) handlers.Disposition {
		handled <- struct{}{}
		return ack()
	}), broker.NewTimers(js, topology), nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	go func() { done <- consumer.Run(ctx) }()
	for range b.N {
		<-handled
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
