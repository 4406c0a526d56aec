package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/payment"
)

// showCommand is "consumer show".
type showCommand struct {
	target

	Provider string `arg:"" help:"The configured instance, as commands name it."`
	Payment  string `arg:"" help:"The identifier that names the payment there (orderId or transactionId)."`
	JSON     bool   `help:"The payment's events as they are, one a line."`
}

// Help is the long help text.
func (showCommand) Help() string {
	return `Prints every event of the payment in order, what each operation waits for, and when it is looked at next.

Exit codes: 0 shown, 1 the server could not be read, 3 there is no such payment.

Example: consumer show opay-eg 1001000`
}

// notFoundError is an error whose exit code says that nothing was found.
type notFoundError struct{ error }

// showFor bounds the whole of it: reading one payment's events takes a scan of
// the journal's index.
const showFor = 30 * time.Second

// Run shows one payment.
func (c *showCommand) Run(w *world) error {
	id := payment.ID{Provider: c.Provider, Native: c.Payment}
	filter, err := events.Filter(id)
	if err != nil {
		return usageError{err}
	}
	nc, js, cfg, err := c.open(w)
	if err != nil {
		return err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(w.ctx, showFor)
	defer cancel()
	all, err := history(ctx, js, cfg.Streams.Events, filter)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return notFoundError{fmt.Errorf("no event of payment %s at %s (is it named by its %s there?)", c.Payment, c.Provider, "orderId or transactionId")}
	}
	if c.JSON {
		for _, m := range all {
			fmt.Fprintf(w.stdout, "%s\n", m.Data)
		}
		return nil
	}
	return c.tell(ctx, w, js, cfg, all)
}

// tell prints the story for people.
func (c *showCommand) tell(ctx context.Context, w *world, js jetstream.JetStream, cfg *config.Config, all []events.Message) error {
	fmt.Fprintf(w.stdout, "payment %s at %s\n\n", c.Payment, c.Provider)
	var last events.Entry
	for _, m := range all {
		e, err := events.DecodeEvent(m)
		if err != nil {
			fmt.Fprintf(w.stdout, "  %s  cannot be read: %v\n", m.Subject, err)
			continue
		}
		last = e
		d := e.Data
		fmt.Fprintf(w.stdout, "  v%-3d %s  %-6s %-15s %s\n", e.State.Version,
			d.OccurredAt.UTC().Format("2006-01-02 15:04:05.000Z"), d.Operation, d.Status, details(d))
	}
	timers, err := schedules(ctx, js, cfg.Streams.Due, c.Provider, c.Payment)
	if err != nil {
		return err
	}
	fmt.Fprintln(w.stdout)
	for _, op := range last.State.Operations {
		fmt.Fprintln(w.stdout, "  "+standing(op))
	}
	for _, at := range timers {
		fmt.Fprintf(w.stdout, "  timer: comes back %s\n", at)
	}
	return nil
}

// details is what matters of one event on one line.
func details(d events.Result) string {
	parts := []string{"key " + string(d.IdempotencyKey)}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	amount := func(m *payment.Money) string {
		if m == nil {
			return ""
		}
		return fmt.Sprintf("%d %s", m.Value, m.Currency)
	}
	if d.Attempt > 0 {
		add("attempt", fmt.Sprint(d.Attempt))
	}
	if d.Full {
		add("amount", "full")
	}
	add("amount", amount(d.Amount))
	add("moved", amount(d.Moved))
	add("effect", string(d.Effect))
	add("code", string(d.Code))
	add("basis", string(d.Basis))
	add("our reference", d.ClientReference)
	add("provider's reference", d.ProviderReference)
	add("provider said", strings.TrimSpace(d.ProviderCode+" "+d.ProviderMessage))
	if d.Message != "" {
		add("note", fmt.Sprintf("%q", d.Message))
	}
	if d.Review != nil {
		add("question", fmt.Sprintf("%q", d.Review.Question))
	}
	return strings.Join(parts, ", ")
}

// standing says where an operation stands and who acts next.
func standing(op payment.Operation) string {
	if op.Status.Terminal() || op.Open == nil {
		return fmt.Sprintf("%s %s: %s, nothing more to do", op.Op, op.KeyHash[:8], op.Status)
	}
	s := fmt.Sprintf("%s %s (key %s): %s", op.Op, op.KeyHash[:8], op.Open.Key, op.Status)
	switch {
	case op.Open.Review != nil:
		return s + ", a person has to decide: " + strings.Join(op.Open.Review.SafeActions, "; or ")
	case op.Status == payment.StatusStarted:
		return s + ", a call may be under way until " + op.Open.CallUntil.UTC().Format(time.RFC3339)
	default:
		return s + ", looked at again " + op.Open.Due.UTC().Format(time.RFC3339)
	}
}

// history reads a payment's events in order.
func history(ctx context.Context, js jetstream.JetStream, stream, filter string) ([]events.Message, error) {
	c, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	info, err := c.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	var all []events.Message
	for range info.NumPending {
		m, err := c.Next(jetstream.FetchContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		all = append(all, events.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
	}
	return all, nil
}

// schedules finds when a payment's timers are due.
func schedules(ctx context.Context, js jetstream.JetStream, due, provider, native string) ([]string, error) {
	filter, err := events.TimersOf(payment.ID{Provider: provider, Native: native})
	if err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, due)
	if err != nil {
		return nil, fmt.Errorf("read timers: %w", err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("read timers: %w", err)
	}
	var at []string
	for subject := range info.State.Subjects {
		when, there, err := openwork.At(ctx, js, due, subject)
		if err != nil {
			return nil, err
		}
		if there && !when.IsZero() { // else it was delivered just now, or is no timer of ours
			at = append(at, when.UTC().Format(time.RFC3339))
		}
	}
	return at, nil
}
