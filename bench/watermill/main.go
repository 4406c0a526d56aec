// Command watermill does the job with Watermill's router over its JetStream
// publisher and subscriber, and the deduplicator it offers against repeats. It
// keeps no record of what it has begun.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	jetstream "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/bench/job"
)

func main() {
	url := flag.String("nats", nats.DefaultURL, "address of the broker")
	provider := flag.String("provider", "http://127.0.0.1:4280", "address of the provider")
	concurrency := flag.Int("concurrency", 256, "commands at a time")
	async := flag.Bool("async", false, "do not wait until the broker has taken an acknowledgement")
	flag.Parse()
	if err := run(*url, job.NewProvider(*provider, *concurrency), *concurrency, *async); err != nil {
		log.Fatal("watermill: ", err)
	}
}

func run(url string, provider *job.Provider, concurrency int, async bool) error {
	logger := watermill.NewStdLogger(false, false)
	subscriber, err := jetstream.NewSubscriber(jetstream.SubscriberConfig{
		URL: url, QueueGroupPrefix: "watermill", SubscribersCount: concurrency, AckWaitTimeout: 30 * time.Second,
		NatsOptions: []nats.Option{nats.MaxReconnects(-1)},
		JetStream: jetstream.JetStreamConfig{
			DurablePrefix: "watermill", AckAsync: async,
			SubscribeOptions: []nats.SubOpt{
				nats.BindStream(job.CommandStream), nats.DeliverAll(), nats.AckExplicit(),
				nats.AckWait(30 * time.Second), nats.MaxAckPending(4 * concurrency),
			},
		},
	}, logger)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	publisher, err := jetstream.NewPublisher(jetstream.PublisherConfig{URL: url, NatsOptions: []nats.Option{nats.MaxReconnects(-1)}}, logger)
	if err != nil {
		return fmt.Errorf("open publisher: %w", err)
	}
	router, err := message.NewRouter(message.RouterConfig{}, logger)
	if err != nil {
		return fmt.Errorf("make router: %w", err)
	}
	deduplicator := middleware.Deduplicator{KeyFactory: middleware.NewMessageHasherSHA256(math.MaxInt64), Timeout: time.Second}
	router.AddMiddleware(deduplicator.Middleware)
	router.AddConsumerHandler("refund", job.CommandSubject, subscriber, func(m *message.Message) error {
		c, err := job.Read(m.Payload)
		if err != nil {
			return err
		}
		moved, err := provider.Refund(m.Context(), c)
		if err != nil {
			return err
		}
		result, err := c.Result(moved)
		if err != nil {
			return err
		}
		return publisher.Publish(c.Subject(), message.NewMessage(watermill.NewUUID(), result))
	})
	if err := router.Run(context.Background()); err != nil {
		return fmt.Errorf("run router: %w", err)
	}
	return nil
}
