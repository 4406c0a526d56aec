package desk

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Actions of audit events about rejected messages.
const (
	ActionReveal = "reveal" // the original bytes are shown
	ActionReplay = "replay" // a new command is published in place of the rejected one
)

// Rejections finds what was rejected. The zero Rejection: there is none of that token.
type Rejections interface {
	Rejection(ctx context.Context, token string) (payment.Rejection, error)
}

// Commands publishes a command to the stream of commands. A message id that the
// stream has seen within its window is success.
type Commands interface {
	Publish(ctx context.Context, m events.Message, id string) error
}

// ReplayOptions are the optional parts of a Replayer; nil and zero values mean
// the defaults.
type ReplayOptions struct {
	Now func() time.Time // default: the desk's clock
}

// Replayer publishes rejected messages anew, after an operator has looked at
// them. It is safe for concurrent use.
type Replayer struct {
	desk       *Desk
	rejections Rejections
	commands   Commands
	encoder    *events.Encoder
	decoder    *events.Decoder
	now        func() time.Time
}

// NewReplayer returns a replayer; no I/O. It records at the desk, and publishes
// commands for the desk's providers only.
func NewReplayer(d *Desk, r Rejections, c Commands, e *events.Encoder, o *ReplayOptions) (*Replayer, error) {
	if d == nil || r == nil || c == nil || e == nil {
		return nil, errors.New("open replayer: desk, rejections, commands and encoder are needed")
	}
	decoder, err := events.NewDecoder()
	if err != nil {
		return nil, fmt.Errorf("open replayer: %w", err)
	}
	p := &Replayer{desk: d, rejections: r, commands: c, encoder: e, decoder: decoder, now: d.o.Now}
	if o != nil && o.Now != nil {
		p.now = o.Now
	}
	return p, nil
}

// Replay is an operator's wish to publish a rejected message anew.
type Replay struct {
	// Token names the payment.command.rejected.
	Token string `json:"token"`
	// Reason is required: one line of at most 200 characters, no personal data.
	Reason string `json:"reason"`
	// Subject, Header and Data are the message: the original as it lies in the
	// quarantine, or with Corrected what the operator has made of it.
	Subject   string              `json:"subject"`
	Header    map[string][]string `json:"header,omitempty"`
	Data      []byte              `json:"data"`
	Corrected bool                `json:"corrected,omitempty"`
	// DryRun checks everything and does nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// Replayed is what became of it, or with DryRun what would.
type Replayed struct {
	Applied bool   `json:"applied"`
	Audit   string `json:"audit,omitempty"` // the audit event's ULID
	// EventID is the new event's, CausationID the rejected one's.
	EventID     string      `json:"eventId,omitempty"`
	CausationID string      `json:"causationId"`
	Operation   payment.Op  `json:"operation,omitempty"`
	Provider    string      `json:"provider,omitempty"`
	Key         payment.Key `json:"idempotencyKey,omitempty"`
	// Faults is why it would be rejected again; then nothing is published.
	Faults []payment.Fault `json:"faults,omitempty"`
}

// Replay checks the message, records the action, and publishes the command under
// a new id. A message with faults is told and not published. Published twice, it is one
// operation: the key and the content are the same. Errors are *Error.
func (p *Replayer) Replay(ctx context.Context, who Operator, r Replay) (Replayed, error) {
	if err := cmp.Or(who.check(), line("reason", r.Reason, longestText)); err != nil {
		return Replayed{}, err
	}
	rejected, err := p.rejected(ctx, r)
	if err != nil {
		return Replayed{}, err
	}
	out := Replayed{CausationID: events.RejectedSubject(r.Token)}
	c, invalid := p.decoder.DecodeCommand(events.Message{Subject: events.Undelayed(r.Subject), Header: r.Header, Data: r.Data})
	if invalid != nil {
		out.Faults = invalid.Faults
		return out, nil //nolint:nilerr // the faults are the answer
	}
	out.Operation, out.Provider, out.Key = c.Op, c.Provider, c.Key
	if err := p.guard(rejected, c, r); err != nil {
		return out, err
	}
	if r.DryRun {
		return out, nil
	}
	return p.publish(ctx, who, c, out, r)
}

// rejected finds what the token names, and holds the message against it.
func (p *Replayer) rejected(ctx context.Context, r Replay) (payment.Rejection, error) {
	if !events.ValidRejectionToken(r.Token) {
		return payment.Rejection{}, invalid("only a payment.command.rejected can be replayed, by its token such as 17-0123456789ab; what a guard has rejected has ended, and a new try is a new command of its order service")
	}
	rejected, err := p.rejections.Rejection(ctx, r.Token)
	switch {
	case err != nil:
		return rejected, unavailable("read the rejection", err)
	case rejected.Token == "":
		return rejected, &Error{Fault: FaultNotFound, Message: "there is no payment.command.rejected of this token"}
	}
	sum := sha256.Sum256(r.Data)
	// A timer's bytes were encoded anew by this service, so that their sum is another.
	timer := events.IsDue(rejected.OriginSubject)
	if !r.Corrected && !timer && hex.EncodeToString(sum[:]) != rejected.SHA256 {
		return rejected, invalid("these are not the bytes that were rejected")
	}
	return rejected, nil
}

// guard refuses what would be rejected again, or should not run any more.
func (p *Replayer) guard(rejected payment.Rejection, c payment.Command, r Replay) error {
	_, configured := p.desk.o.Providers.Get(c.Provider)
	switch {
	case !configured:
		return p.refuse(r, "the provider is not configured here: it would be rejected again")
	case rejected.Code == payment.CodeIdempotencyKeyReused && !r.Corrected:
		return p.refuse(r, "its key belongs to another operation of this payment: it would be rejected again")
	case rejected.Code == payment.CodeTooManyOperations && !r.Corrected:
		return p.refuse(r, "the payment has as many operations as it can have: it would be rejected again")
	case !c.Expiry.IsZero() && !p.now().Before(c.Expiry):
		return p.refuse(r, "it has expired: ask its order service for a new command")
	default:
		return nil
	}
}

func (*Replayer) refuse(r Replay, why string) error {
	if !r.Corrected {
		why += "; a corrected message can be given"
	}
	return &Error{Fault: FaultRefused, Message: why}
}

// publish records the action first: no audit, no command.
func (p *Replayer) publish(ctx context.Context, who Operator, c payment.Command, out Replayed, r Replay) (Replayed, error) {
	old := c.CommandID
	c.CommandID, c.Time = "replay-"+p.desk.o.IDs(), p.now().UTC()
	c.CorrelationID = cmp.Or(c.CorrelationID, old)
	m, err := p.encoder.EncodeReplay(c, out.CausationID)
	if err != nil {
		return out, unavailable("write the command", err)
	}
	id, _ := p.desk.o.Providers.Get(c.Provider)
	out.Audit, err = p.desk.Audit(ctx, who, payment.OperatorAction{
		Action: ActionReplay, Token: r.Token, Reason: r.Reason, Evidence: evidence(c.CommandID, r.Corrected),
		ID: id.Provider.Traits().ID(c.Provider, c.Payment), Op: c.Op, Key: c.Key,
	})
	if err != nil {
		return out, err
	}
	out.EventID = c.CommandID
	if err := p.commands.Publish(ctx, m, c.CommandSource+"/"+c.CommandID); err != nil {
		return out, &Error{Fault: FaultUnknown, Message: "whether the command was published is not known; again is harmless, it is one operation: " + err.Error(), err: err}
	}
	out.Applied = true
	return out, nil
}

func evidence(id string, corrected bool) string {
	if corrected {
		return "published corrected as " + id
	}
	return "published unchanged as " + id
}
