// Command ledger is a small ledger: a durable subscriber to everything that
// moves money, which books each movement once. It uses plain nats.go and
// docs/contract.md, nothing of Countermand's own code.
//
//	go run ./examples/ledger -book ledger.jsonl
//
// It prints a line for each booking, and runs until Ctrl-C.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/examples/cloudevent"
)

func main() {
	url := flag.String("nats", "nats://127.0.0.1:4222", "server, with user and password if it wants them")
	domain := flag.String("domain", "", "JetStream domain, with accounts: payments")
	consumer := flag.String("consumer", "ledger", "durable consumer of this ledger")
	path := flag.String("book", "ledger.jsonl", "file the bookings are kept in")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, at{*url, *domain, *consumer}, *path)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ledger:", err)
		os.Exit(1)
	}
}

// at is where this ledger reads.
type at struct{ url, domain, consumer string }

// run books until ctx ends, with a line for each booking.
func run(ctx context.Context, out io.Writer, from at, path string) error {
	b, err := openBook(path)
	if err != nil {
		return err
	}
	b.out = out
	defer b.file.Close()
	// An inbox of its own, so that permissions can keep others from reading it.
	nc, err := nats.Connect(from.url, nats.CustomInboxPrefix("_INBOX_"+from.consumer), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.NewWithDomain(nc, from.domain)
	if from.domain == "" {
		js, err = jetstream.New(nc)
	}
	if err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	// A durable consumer, never a plain subscription: that would miss what is
	// published while this process is away, and see appends the stream refuses. It was
	// made for this ledger, with the filters payment.*.succeeded.>, payment.*.returned.>
	// and payment.*.executed_late.>: who could create it would name the subject to deliver to.
	consumer, err := js.Consumer(ctx, "PAYMENT_EVENTS", from.consumer)
	if err != nil {
		return fmt.Errorf("bind consumer %s (consumer provision creates it): %w", from.consumer, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(100)) // the server permits 256
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	defer context.AfterFunc(ctx, messages.Stop)()
	fmt.Fprintln(out, "ready")
	for {
		msg, err := messages.Next()
		switch {
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return nil
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			continue // the server is away; the client reconnects
		case err != nil:
			return fmt.Errorf("next event: %w", err)
		}
		if err := b.take(ctx, msg); err != nil {
			return err
		}
	}
}

// booking is one line of the book.
type booking struct {
	// ID is what repeats are recognised by.
	ID        string `json:"id"`
	Type      string `json:"type"`
	Payment   string `json:"payment"`
	Key       string `json:"key"`
	Effect    string `json:"effect,omitempty"`
	Moved     *money `json:"moved,omitempty"`
	Direction string `json:"direction"` // out, in or none, seen from the merchant
}

type money struct {
	Value    int64  `json:"value"`
	Currency string `json:"currency"`
}

// book is the file of bookings. Acknowledgements come after the file is on
// disk, so a booking may be delivered again, and is then found in known.
type book struct {
	file  *os.File
	known map[string]bool
	out   io.Writer
}

func openBook(path string) (*book, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open book: %w", err)
	}
	b := &book{file: file, known: map[string]bool{}}
	lines := bufio.NewReader(file)
	whole := int64(0)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break // what follows the last line break was being written when the process died
		}
		var one booking
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, errors.Join(fmt.Errorf("read book: %w", err), file.Close())
		}
		b.known[one.ID] = true
		whole += int64(len(line))
	}
	if err := file.Truncate(whole); err != nil {
		return nil, errors.Join(fmt.Errorf("mend book: %w", err), file.Close())
	}
	if _, err := file.Seek(whole, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("open book: %w", err), file.Close())
	}
	return b, nil
}

// take books one event and acknowledges it. What cannot be read is not
// acknowledged: it stops the ledger, since a missed booking is worse.
func (b *book) take(ctx context.Context, msg jetstream.Msg) error {
	one, err := read(msg)
	if err != nil {
		return fmt.Errorf("event on %s: %w", msg.Subject(), err)
	}
	if b.known[one.ID] {
		fmt.Fprintln(b.out, "known", one.ID)
		return ack(ctx, msg)
	}
	line, err := json.Marshal(one)
	if err != nil {
		return fmt.Errorf("encode booking: %w", err)
	}
	if _, err := b.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write book: %w", err)
	}
	if err := b.file.Sync(); err != nil {
		return fmt.Errorf("write book: %w", err)
	}
	b.known[one.ID] = true
	fmt.Fprintf(b.out, "booked %s %s\n", one.ID, one.what())
	return ack(ctx, msg)
}

// ack acknowledges. A lost acknowledgement only brings the event again.
func ack(ctx context.Context, msg jetstream.Msg) error {
	if err := msg.Ack(); err != nil && ctx.Err() == nil && !errors.Is(err, nats.ErrConnectionReconnecting) {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return nil
}

// read turns an event into a booking. Books are kept by effect and moved:
// amount is only what was asked.
func read(msg jetstream.Msg) (booking, error) {
	event, err := cloudevent.Read(msg.Headers(), msg.Data())
	if err != nil {
		return booking{}, err
	}
	var data struct {
		IdempotencyKey string `json:"idempotencyKey"`
		Effect         string `json:"effect"`
		Moved          *money `json:"moved"`
	}
	if err := json.Unmarshal(event.Data, &data); err != nil {
		return booking{}, fmt.Errorf("read data: %w", err)
	}
	b := booking{
		ID: event.Attributes["idempotencykey"], Type: event.Attributes["type"], Payment: event.Attributes["subject"],
		Key: data.IdempotencyKey, Effect: data.Effect, Moved: data.Moved, Direction: "none",
	}
	if b.ID == "" {
		b.ID = event.Attributes["id"] // a fact: it has no idempotencykey, its id is unique
	}
	switch {
	case strings.HasSuffix(b.Type, ".returned"):
		b.Direction = "in"
	case data.Effect == "refunded":
		b.Direction = "out"
	}
	return b, nil
}

func (b booking) what() string {
	switch {
	case b.Direction == "none":
		return b.Effect + ", no money"
	case b.Moved == nil:
		return b.Direction + ", an amount the provider did not name"
	default:
		return fmt.Sprintf("%s %d %s", b.Direction, b.Moved.Value, b.Moved.Currency)
	}
}
