// Command floor does what JetStream and HTTP make anybody do for the same
// promise, and nothing else: it takes a command, appends that it begins if the
// payment has not moved, calls the provider, appends the result after the first
// event, acknowledges. It decodes nothing, validates nothing and decides nothing:
// events are templates, recorded from the consumer, in which the payment and its
// command are exchanged. What is faster than this keeps less.
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/bench/job"
	"github.com/countermand/countermand/bench/record"
)

func main() {
	url := flag.String("nats", nats.DefaultURL, "address of the broker")
	provider := flag.String("provider", "http://127.0.0.1:4280", "address of the provider")
	concurrency := flag.Int("concurrency", 256, "commands at a time")
	flag.Parse()
	if err := run(*url, *provider, *concurrency); err != nil {
		log.Fatal("floor: ", err)
	}
}

func run(url, provider string, concurrency int) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	commands, err := js.Consumer(context.Background(), job.CommandStream, "payment-consumer")
	if err != nil {
		return fmt.Errorf("bind consumer: %w", err)
	}
	messages, err := commands.Messages(jetstream.PullMaxMessages(2 * concurrency))
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	f := &floor{nc: nc, provider: job.NewProvider(provider, concurrency)}
	queue := make(chan jetstream.Msg)
	for range concurrency {
		go func() {
			for m := range queue {
				if err := f.do(m); err != nil {
					log.Print("floor: ", err)
				}
			}
		}()
	}
	for {
		m, err := messages.Next()
		if err != nil {
			return fmt.Errorf("pull: %w", err)
		}
		queue <- m
	}
}

// floor is safe for concurrent use.
type floor struct {
	nc       *nats.Conn
	provider *job.Provider
}

func (f *floor) do(m jetstream.Msg) error {
	body := m.Data()
	amount, err := strconv.ParseInt(string(job.Between(body, `"amount":{"value":`, ",")), 10, 64)
	if err != nil {
		return fmt.Errorf("read amount: %w", err)
	}
	number, ok := job.Of(string(job.Between(body, `"orderId":"`, `"`)))
	if !ok {
		return errors.New("read payment: it is not one of the benchmark's")
	}
	c := job.Number(number)
	c.Amount = amount
	started, err := f.append(c, record.Started(c), 0)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := f.provider.Refund(ctx, c); err != nil {
		return err
	}
	if _, err := f.append(c, record.Succeeded(c), started); err != nil {
		return err
	}
	return m.Ack()
}

// append adds an event to the journal under the guard every append of Countermand
// carries, and returns its sequence.
func (f *floor) append(c job.Command, e record.Event, expected uint64) (uint64, error) {
	var token [16]byte
	for i := range 2 {
		v := rand.Uint64()
		for b := range 8 {
			token[8*i+b] = byte(v >> (8 * b))
		}
	}
	answer, err := f.nc.RequestMsg(&nats.Msg{Subject: e.Subject, Data: e.Data, Header: nats.Header{
		"Content-Type":                                {job.ContentType},
		"Countermand-Append":                          {hex.EncodeToString(token[:])},
		"Nats-Expected-Last-Subject-Sequence":         {strconv.FormatUint(expected, 10)},
		"Nats-Expected-Last-Subject-Sequence-Subject": {record.Filter(c)},
	}}, 5*time.Second)
	if err != nil {
		return 0, fmt.Errorf("append %s: %w", e.Subject, err)
	}
	_, rest, _ := bytes.Cut(answer.Data, []byte(`"seq":`))
	digits := rest[:len(rest)-len(bytes.TrimLeft(rest, "0123456789"))]
	sequence, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil || sequence == 0 || bytes.Contains(answer.Data, []byte(`"error"`)) {
		return 0, fmt.Errorf("append %s: the broker answered %s", e.Subject, answer.Data)
	}
	return sequence, nil
}
