// Command orderservice is a small order service: it asks for one refund and
// waits for the one terminal result of its idempotency key. It uses plain
// nats.go and docs/contract.md, nothing of Countermand's own code. It publishes with
// one login and reads results with another, which may be the same on a server without
// accounts.
//
//	go run ./examples/orderservice -order 1001000 -country EG -amount 400 -currency EGP -key order-1001-return-1
//
// Exit code 0: refunded. 1: failed, rejected, or no valid command. 2: not
// published. 4: no terminal result yet; it is neither yes nor no, and running
// the same again goes on waiting, because a repeat is the same operation.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/examples/cloudevent"
)

const (
	commandsSubject = "payment.refund.requested"
	eventsStream    = "PAYMENT_EVENTS"
	refusalsStream  = "PAYMENT_REFUSALS"
	source          = "/examples/orders"
)

// The exit codes.
const (
	exitRefunded = 0
	exitRefused  = 1
	exitUnsent   = 2
	exitWaiting  = 4
)

// order is what is to be refunded, and where.
type order struct {
	out                       io.Writer
	url, results, domain      string
	consumer                  string
	provider, orderID, key    string
	transactionID             string
	country, currency, reason string
	amount                    int64
	full                      bool
	wait                      time.Duration
}

func main() {
	o := order{out: os.Stdout}
	flag.StringVar(&o.url, "nats", "nats://127.0.0.1:4222", "server, with user and password if it wants them")
	flag.StringVar(&o.results, "results", "", "the same for the login that reads results; default: that of -nats")
	flag.StringVar(&o.domain, "domain", "", "JetStream domain, with accounts: payments")
	flag.StringVar(&o.consumer, "consumer", "orders-eg", "durable consumer of this order service; one process a name")
	flag.StringVar(&o.provider, "provider", "opay-eg", "provider instance")
	flag.StringVar(&o.orderID, "order", "", "orderId of the payment")
	flag.StringVar(&o.transactionID, "transaction", "", "transactionId of the payment, where the kind is named by it")
	flag.StringVar(&o.country, "country", "", "country of the payment, where the kind needs it")
	flag.Int64Var(&o.amount, "amount", 0, "minor units to refund")
	flag.StringVar(&o.currency, "currency", "EGP", "currency of the amount")
	flag.BoolVar(&o.full, "full", false, "refund the whole captured amount instead of -amount")
	flag.StringVar(&o.key, "key", "", "idempotency key: the same for every try of the same refund")
	flag.StringVar(&o.reason, "reason", "", "reason; no personal data")
	flag.DurationVar(&o.wait, "wait", 2*time.Minute, "how long to wait for the result")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code, err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "orderservice:", err)
	}
	os.Exit(code)
}

// run asks for the refund and waits.
func run(ctx context.Context, o order) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	// Inboxes of its own, so that permissions can keep others from reading them.
	nc, js, err := o.connect(o.url, o.consumer)
	if err != nil {
		return exitUnsent, err
	}
	defer nc.Close()
	reading, results, err := o.connect(cmp.Or(o.results, o.url), o.consumer+"-read")
	if err != nil {
		return exitUnsent, err
	}
	defer reading.Close()
	w := &watch{messages: make(chan jetstream.Msg, 16)}
	defer w.close()
	for _, stream := range []string{eventsStream, refusalsStream} {
		if err := w.follow(ctx, results, stream, o.consumer); err != nil {
			return exitUnsent, err
		}
	}
	sent, err := publish(ctx, js, o)
	if err != nil {
		return exitUnsent, err
	}
	fmt.Fprintln(o.out, "published", sent.id)
	// A repeat of a command that has ended adds no event: its result was delivered to an
	// earlier run, and the status has it.
	if code, ended := o.ended(ctx, nc); ended {
		return code, nil
	}
	return await(ctx, w.messages, sent, o)
}

// connect opens a connection and its JetStream.
func (o order) connect(url, inbox string) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(url, nats.CustomInboxPrefix("_INBOX_"+inbox))
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	js, err := jetstream.NewWithDomain(nc, o.domain)
	if o.domain == "" {
		js, err = jetstream.New(nc)
	}
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("use jetstream: %w", err)
	}
	return nc, js, nil
}

// ended asks where the refund stands, and reports whether that is its end. Without an
// answer, or while nothing is known, the events will tell.
func (o order) ended(ctx context.Context, nc *nats.Conn) (code int, ended bool) {
	question, err := json.Marshal(map[string]string{
		"provider": o.provider, "payment": o.native(), "operation": "refund", "idempotencyKey": o.key,
	})
	if err != nil {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	m, err := nc.RequestWithContext(ctx, "payments.status."+o.provider, question)
	if err != nil {
		return 0, false
	}
	var answer struct {
		Operations []result `json:"operations"`
	}
	if json.Unmarshal(m.Data, &answer) != nil || len(answer.Operations) != 1 || !answer.Operations[0].answers(o) {
		return 0, false
	}
	switch r := answer.Operations[0]; r.Status {
	case "succeeded", "failed", "rejected":
		return r.tell(o), true
	default:
		return 0, false
	}
}

// native is the identifier the payment is named by: the transaction where one
// is given, else the order.
func (o order) native() string {
	if o.transactionID != "" {
		return o.transactionID
	}
	return o.orderID
}

// idempotencyKey is the attribute of the one terminal result of this refund.
func (o order) idempotencyKey() string {
	return o.provider + "/" + cloudevent.Token(o.native()) + "/refund/" + o.key
}

// command is the data of payment.refund.requested.
type command struct {
	IdempotencyKey string  `json:"idempotencyKey"`
	Provider       string  `json:"provider"`
	Payment        payment `json:"payment"`
	Amount         *money  `json:"amount,omitempty"`
	Full           bool    `json:"full,omitempty"`
	Reason         string  `json:"reason,omitempty"`
}

type payment struct {
	OrderID       string `json:"orderId,omitempty"`
	TransactionID string `json:"transactionId,omitempty"`
	Country       string `json:"country,omitempty"`
}

type money struct {
	Value    int64  `json:"value"`
	Currency string `json:"currency"`
}

// confirmed is a command that the stream has confirmed: its event, and where it lies. The
// sequence alone tells its rejection from that of another service's event of the same id.
type confirmed struct {
	id       string
	sequence uint64
}

// publish sends the command until the stream has confirmed it. Every try is
// the same event under the same message id, so a lost confirmation is harmless.
func publish(ctx context.Context, js jetstream.JetStream, o order) (confirmed, error) {
	c := command{
		IdempotencyKey: o.key, Provider: o.provider, Full: o.full, Reason: o.reason,
		Payment: payment{OrderID: o.orderID, TransactionID: o.transactionID, Country: o.country},
	}
	if !o.full {
		c.Amount = &money{Value: o.amount, Currency: o.currency}
	}
	data, err := json.Marshal(c)
	if err != nil {
		return confirmed{}, fmt.Errorf("encode command: %w", err)
	}
	id := o.key + "-" + rand.Text()
	body, err := cloudevent.Write(cloudevent.Event{
		Attributes: map[string]string{
			"id": id, "source": source, "type": commandsSubject, "time": time.Now().UTC().Format(time.RFC3339),
		},
		Data: data,
	})
	if err != nil {
		return confirmed{}, err
	}
	msg := &nats.Msg{
		Subject: commandsSubject + "." + o.provider, Data: body,
		Header: nats.Header{"Content-Type": {cloudevent.ContentType}},
	}
	var ack *jetstream.PubAck
	for {
		ack, err = js.PublishMsg(ctx, msg, jetstream.WithMsgID(source+"/"+id), jetstream.WithExpectStream("PAYMENT_COMMANDS"))
		var refused *jetstream.APIError
		if err == nil || ctx.Err() != nil || errors.As(err, &refused) {
			break // stored, out of time, or refused by the stream: too large, for example
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	if err != nil {
		return confirmed{}, fmt.Errorf("publish command: %w", err)
	}
	return confirmed{id, ack.Sequence}, nil
}

// watch gathers the messages of consumers.
type watch struct {
	messages chan jetstream.Msg
	stop     []func()
}

// follow reads a durable consumer that was made for this order service: there is one for
// the events of its provider, and one for the answers to messages that are no valid
// commands. It does not create it: who could would name the subject to deliver to.
func (w *watch) follow(ctx context.Context, js jetstream.JetStream, stream, name string) error {
	consumer, err := js.Consumer(ctx, stream, name)
	if err != nil {
		return fmt.Errorf("bind consumer %s on %s (consumer provision creates it): %w", name, stream, err)
	}
	running, err := consumer.Consume(func(m jetstream.Msg) {
		select {
		case w.messages <- m:
		case <-ctx.Done():
		}
	}, jetstream.PullMaxMessages(100)) // the server permits 256
	if err != nil {
		return fmt.Errorf("consume %s: %w", name, err)
	}
	w.stop = append(w.stop, running.Stop)
	return nil
}

func (w *watch) close() {
	for _, stop := range w.stop {
		stop()
	}
}

// result is what an order service reads of a result; more is there, and more
// may come.
type result struct {
	Status string `json:"status"`
	Code   string `json:"code"`
	Amount *money `json:"amount"`
	Full   bool   `json:"full"`
	Moved  *money `json:"moved"`
	Review *struct {
		Question string `json:"question"`
	} `json:"review"`
	Faults json.RawMessage `json:"faults"`
	// OriginSequence is where the rejected message lies in PAYMENT_COMMANDS.
	OriginSequence uint64 `json:"originSequence"`
}

// await reads events until the terminal one of the key, or the answer that the
// event was no valid command.
func await(ctx context.Context, messages <-chan jetstream.Msg, sent confirmed, o order) (int, error) {
	for {
		var msg jetstream.Msg
		select {
		case <-ctx.Done():
			return exitWaiting, errors.New("no terminal result yet; run the same again to wait on")
		case msg = <-messages:
		}
		event, err := cloudevent.Read(msg.Headers(), msg.Data())
		var r result
		if err == nil {
			err = json.Unmarshal(event.Data, &r)
		}
		if err != nil {
			return exitWaiting, fmt.Errorf("event on %s: %w", msg.Subject(), err)
		}
		// A real order service writes down what it reads before it says so. This one has
		// no use for the events of its other refunds.
		if err := msg.DoubleAck(ctx); err != nil {
			return exitWaiting, fmt.Errorf("acknowledge %s: %w", msg.Subject(), err)
		}
		switch {
		case event.Attributes["type"] == "payment.command.rejected" && r.OriginSequence == sent.sequence:
			fmt.Fprintf(o.out, "rejected: %s %s\n", r.Code, r.Faults)
			return exitRefused, nil
		case event.Attributes["idempotencykey"] != o.idempotencyKey() || !r.answers(o):
			// Not terminal (on the way, or before a person), another command's, or
			// of other content under the same key: the rejection is still to come.
			if r.Review != nil {
				fmt.Fprintf(o.out, "a person is asked: %s\n", r.Review.Question)
			}
		default:
			return r.tell(o), nil
		}
	}
}

// tell prints a terminal result. After failed or rejected a new try needs a new key.
func (r result) tell(o order) int {
	if r.Status == "succeeded" {
		fmt.Fprintf(o.out, "%s: moved %s\n", r.Status, r.Moved)
		return exitRefunded
	}
	fmt.Fprintf(o.out, "%s: %s\n", r.Status, r.Code)
	return exitRefused
}

// answers reports whether the result is about what was asked: a key belongs to
// the content it was first used with.
func (r result) answers(o order) bool {
	if o.full || r.Amount == nil {
		return o.full == r.Full
	}
	return r.Amount.Value == o.amount && r.Amount.Currency == o.currency
}

// String shows an amount in minor units, which is how it travels.
func (m *money) String() string {
	if m == nil {
		return "an amount the provider did not name"
	}
	return fmt.Sprintf("%d %s", m.Value, m.Currency)
}
