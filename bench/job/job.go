// Package job is the one job all contestants do: take a refund command from
// JetStream, call the provider once, publish one result. It holds the command's
// bytes, the provider's call and the result's bytes, so that the contestants
// differ in nothing else. Safe for concurrent use.
package job

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Names on the broker. Commands and journal are Countermand's own; contestants
// that have no journal publish their results on a stream without its rules.
const (
	CommandSubject = "payment.refund.requested"
	CommandStream  = "PAYMENT_COMMANDS"
	JournalStream  = "PAYMENT_EVENTS"
	RefusalsStream = "PAYMENT_REFUSALS"
	RejectedPrefix = "payment.command.rejected."
	ResultStream   = "BENCH_RESULTS"
	ResultPrefix   = "result."
	// Instance is the configured provider the commands name, Currency theirs.
	Instance = "opay-eg"
	Currency = "EGP"
)

// PendingAmount is an amount that the fake provider keeps pending for ever.
const PendingAmount = 1

// MaxNumber bounds the number of a command: payments have nine digits.
const MaxNumber = 999_999_999

// Command is what a contestant has to know of a command.
type Command struct {
	ID      string // of the CloudEvent
	Payment string
	Key     string
	Amount  int64 // minor units
}

// Number returns the command of a number from 0 to MaxNumber: a payment of its
// own, and an amount that differs from its neighbours'.
func Number(i int) Command {
	n := fmt.Sprintf("%09d", i)
	return Command{ID: "cmd-" + n, Payment: "p" + n, Key: "return-" + n, Amount: int64(100 + i%900)}
}

// Of reads the number from a payment made by Number.
func Of(payment string) (int, bool) {
	digits, ok := strings.CutPrefix(payment, "p")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && len(digits) == 9
}

// Data is the command's message: a structured CloudEvent as docs/contract.md has it.
func (c Command) Data() []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"/orders","type":%q,"time":"2026-11-21T10:00:00Z","datacontenttype":"application/json",`+
		`"data":{"idempotencyKey":%q,"provider":%q,"payment":{"orderId":%q,"country":"EG","currency":%q,"capturedAmount":{"value":40000,"currency":%q}},`+
		`"amount":{"value":%d,"currency":%q},"reason":"item returned"}}`,
		c.ID, CommandSubject, c.Key, Instance, c.Payment, Currency, Currency, c.Amount, Currency)
}

// ContentType is the header of commands and results.
const ContentType = "application/cloudevents+json"

type money struct {
	Value    int64  `json:"value"`
	Currency string `json:"currency"`
}

// event is a CloudEvent as far as the peers read and write it.
type event struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Data        data   `json:"data"`
}

type data struct {
	IdempotencyKey string `json:"idempotencyKey"`
	Provider       string `json:"provider"`
	Payment        struct {
		OrderID string `json:"orderId"`
	} `json:"payment"`
	Amount *money `json:"amount,omitempty"`
	Moved  *money `json:"moved,omitempty"`
	Status string `json:"status,omitempty"`
}

// Read decodes a command the way most programs do, and checks nothing more.
func Read(b []byte) (Command, error) {
	var e event
	if err := json.Unmarshal(b, &e); err != nil {
		return Command{}, fmt.Errorf("decode command: %w", err)
	}
	if e.Data.Amount == nil || e.Data.Payment.OrderID == "" {
		return Command{}, fmt.Errorf("decode command %q: it names no payment or no amount", e.ID)
	}
	return Command{ID: e.ID, Payment: e.Data.Payment.OrderID, Key: e.Data.IdempotencyKey, Amount: e.Data.Amount.Value}, nil
}

// Subject is where a peer without a journal publishes a command's result.
func (c Command) Subject() string { return ResultPrefix + c.Payment }

// Result is the result's message of a peer without a journal.
func (c Command) Result(moved int64) ([]byte, error) {
	e := event{SpecVersion: "1.0", ID: "result-" + c.ID, Source: "/bench", Type: "payment.refund.succeeded"}
	e.Data.IdempotencyKey, e.Data.Provider, e.Data.Payment.OrderID = c.Key, Instance, c.Payment
	e.Data.Moved, e.Data.Status = &money{moved, Currency}, "succeeded"
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	return b, nil
}

// Outcome is what a result says, whoever published it.
type Outcome struct {
	Payment string
	Key     string
	Moved   int64
	Status  string
}

// ReadResult decodes a result of any contestant.
func ReadResult(b []byte) (Outcome, error) {
	var e event
	if err := json.Unmarshal(b, &e); err != nil {
		return Outcome{}, fmt.Errorf("decode result: %w", err)
	}
	o := Outcome{Payment: e.Data.Payment.OrderID, Key: e.Data.IdempotencyKey, Status: e.Data.Status}
	if e.Data.Moved != nil {
		o.Moved = e.Data.Moved.Value
	}
	return o, nil
}
