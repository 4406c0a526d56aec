package desk

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// AwaitsSecond: it is recorded, and another person has to replay the same.
	AwaitsSecond bool `json:"awaitsSecond,omitempty"`
	// Decision is what would be published, in words.
	Decision string `json:"decision,omitempty"`
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
// a new id. A message with faults is told and not published, and so is one that its
// provider's rules or the payment's state would have the service refuse. Published twice, it is one
// operation: the key and the content are the same. Where rulings need a second person
// above an amount, a command above it and one with changed content do too. Errors are
// *Error.
func (p *Replayer) Replay(ctx context.Context, who Operator, r Replay) (Replayed, error) {
	who, err := p.desk.Who(who)
	if err != nil {
		return Replayed{}, err
	}
	if err := line("reason", r.Reason, longestText); err != nil {
		return Replayed{}, err
	}
	rejected, unchanged, err := p.rejected(ctx, r)
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
	again := replaying{Replay: r, who: who, command: c, unchanged: unchanged}
	if out.Faults, err = p.foresee(ctx, &again); err != nil || len(out.Faults) > 0 {
		return out, err
	}
	if err := p.judge(ctx, &again); err != nil {
		return out, err
	}
	out.Decision, out.AwaitsSecond = again.words(), again.waits
	switch {
	case r.DryRun:
		return out, nil
	case again.waits:
		return p.propose(ctx, again, out)
	default:
		return p.publish(ctx, again, out)
	}
}

// replaying is one replay with what is known of it.
type replaying struct {
	Replay

	who       Operator
	command   payment.Command
	unchanged bool // its bytes are those that were rejected
	id        payment.ID
	version   uint64                 // of the payment; 0: it has no event
	first     payment.OperatorAction // the proposal that it confirms, if there is one
	waits     bool                   // for another person
}

// stake is what the command moves: the amount it names, or all that was captured; nil
// where nobody has named it.
func (r replaying) stake() *payment.Money {
	if r.command.Amount != nil {
		return r.command.Amount
	}
	return r.command.Payment.CapturedAmount
}

// content is the fingerprint of what would be published.
func (r replaying) content() string {
	c := r.command
	sum := sha256.Sum256([]byte(strings.Join([]string{
		string(c.Op), c.Fingerprint(), string(c.Key), payment.MoneyText(c.Payment.CapturedAmount), c.CommandSource, c.Expiry.UTC().Format(time.RFC3339Nano), c.Reason,
	}, "\x00")))
	return hex.EncodeToString(sum[:])
}

// words is what would be published, for people.
func (r replaying) words() string {
	text := payment.MoneyText(r.command.Amount) + " asked"
	switch {
	case r.command.Full && r.command.Payment.CapturedAmount == nil:
		text = "the whole amount asked, which is not known"
	case r.command.Full:
		text = "the whole amount asked, " + r.command.Payment.CapturedAmount.Text()
	case r.command.Amount == nil:
		text = "no amount asked"
	}
	if !r.unchanged {
		text += ", not with the bytes that were rejected"
	}
	return text
}

// foresee says why the service would refuse the command: what its provider needs of it,
// and what the payment has been through. It notes the payment and its version.
func (p *Replayer) foresee(ctx context.Context, r *replaying) ([]payment.Fault, error) {
	in, _ := p.desk.o.Providers.Get(r.command.Provider)
	if _, faults := in.Complete(r.command); len(faults) > 0 {
		return faults, nil
	}
	r.id = in.Provider.Traits().ID(r.command.Provider, r.command.Payment)
	last, err := p.desk.o.Journal.Last(ctx, r.id)
	if err != nil {
		return nil, unavailable("read the payment", err)
	}
	r.version = last.State.Version
	return in.Foresee(r.command, last.State, p.now()), nil
}

// judge finds out whether a replay waits for another person.
func (p *Replayer) judge(ctx context.Context, r *replaying) error {
	above := p.desk.o.SecondPersonAbove
	if len(above) == 0 || r.unchanged && !NeedsSecond(above, r.stake()) {
		return nil
	}
	proposals, err := p.desk.recent(ctx, ActionPropose)
	if err != nil {
		return unavailable("read proposals", err)
	}
	matter := slices.DeleteFunc(proposals, func(a payment.OperatorAction) bool {
		return a.Outcome != "" || a.Ruling != rulingReplay || a.Token != r.Token || payment.ProposalLapsed(a.At, p.desk.o.Now())
	})
	r.first, r.waits, err = p.desk.Another(r.who, matter, func(a payment.OperatorAction) bool {
		return a.Content == r.content() && a.Version == r.version
	})
	return err
}

// rulingReplay is the ruling of a proposal to replay.
const rulingReplay = "replay"

// action is the audit event of the replay.
func (r replaying) action(name string) payment.OperatorAction {
	return payment.OperatorAction{
		Action: name, Token: r.Token, Reason: r.Reason, ID: r.id, Op: r.command.Op, Key: r.command.Key,
		AtRisk: r.stake(), Content: r.content(), Version: r.version, Follows: r.first.ULID,
	}
}

// propose records a replay that waits for another person.
func (p *Replayer) propose(ctx context.Context, r replaying, out Replayed) (Replayed, error) {
	a := r.action(ActionPropose)
	a.Ruling = rulingReplay
	var err error
	out.Audit, err = p.desk.Audit(ctx, r.who, a)
	return out, err
}

// rejected finds what the token names, and holds the message against it.
func (p *Replayer) rejected(ctx context.Context, r Replay) (rejected payment.Rejection, unchanged bool, err error) {
	if !events.ValidRejectionToken(r.Token) {
		return rejected, false, invalid("only a payment.command.rejected can be replayed, by its token such as 17-0123456789ab; what a guard has rejected has ended, and a new try is a new command of its order service")
	}
	rejected, err = p.rejections.Rejection(ctx, r.Token)
	switch {
	case err != nil:
		return rejected, false, unavailable("read the rejection", err)
	case rejected.Token == "":
		return rejected, false, &Error{Fault: FaultNotFound, Message: "there is no payment.command.rejected of this token"}
	}
	sum := sha256.Sum256(r.Data)
	// A timer's bytes were encoded anew by this service, so that their sum is another.
	timer := events.IsDue(rejected.OriginSubject)
	unchanged = hex.EncodeToString(sum[:]) == rejected.SHA256
	if !r.Corrected && !timer && !unchanged {
		return rejected, false, invalid("these are not the bytes that were rejected")
	}
	return rejected, unchanged && !r.Corrected, nil
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
func (p *Replayer) publish(ctx context.Context, r replaying, out Replayed) (Replayed, error) {
	c := r.command
	old := c.CommandID
	c.CommandID, c.Time = "replay-"+p.desk.o.IDs(), p.now().UTC()
	c.CorrelationID = cmp.Or(c.CorrelationID, old)
	m, err := p.encoder.EncodeReplay(c, out.CausationID)
	if err != nil {
		return out, unavailable("write the command", err)
	}
	a := r.action(ActionReplay)
	a.Evidence = r.evidence(c.CommandID)
	out.Audit, err = p.desk.Audit(ctx, r.who, a)
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

// evidence says what was published, and only what was compared.
func (r replaying) evidence(id string) string {
	switch {
	case r.Corrected:
		return "published corrected as " + id
	case r.unchanged:
		return "published unchanged as " + id
	default:
		return "published as a timer holds it, which was not compared with the first message, as " + id
	}
}
