// Package rejected shows operators the messages that were no valid commands, from the
// stream of refusals and the journal, and from the quarantine, and deletes their bytes. The bytes may hold
// personal data: nobody is given them, and nothing is deleted, before the
// operator's action is in the journal (no audit, no bytes).
package rejected

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// Actions of audit events (payment.operator.<action>), beside desk.ActionReveal.
const ActionDelete = "delete" // the original bytes are about to be deleted

// Rejection is a payment.command.rejected.
type Rejection struct {
	Token          string          `json:"token"`
	At             time.Time       `json:"at"`
	Code           payment.Code    `json:"code"`
	Provider       string          `json:"provider,omitempty"` // where the subject names it
	Faults         []payment.Fault `json:"faults"`
	Size           int             `json:"size"`
	SHA256         string          `json:"sha256"`
	OriginSequence uint64          `json:"originSequence"`
	OriginSubject  string          `json:"originSubject,omitempty"`
	CommandID      string          `json:"commandId,omitempty"`
}

// Filter narrows a list. The zero value lets everything pass.
type Filter struct {
	Since    time.Time    `json:"since,omitzero"`
	Code     payment.Code `json:"code,omitempty"`
	Provider string       `json:"provider,omitempty"`
	// From is the Next of the page before; 0: the first page.
	From uint64 `json:"from,omitempty"`
}

// Page is a part of the list, in the order of the answers.
type Page struct {
	Items []Rejection `json:"items"`
	// Unreadable are the subjects of those that cannot be decoded.
	Unreadable []string `json:"unreadable,omitempty"`
	// Next is where the next page begins; 0: this is the last one.
	Next uint64 `json:"next,omitempty"`
}

// Original is a message as it was published.
type Original struct {
	Subject  string              `json:"subject"`
	Sequence uint64              `json:"sequence"`
	Headers  map[string][]string `json:"headers"`
	Data     []byte              `json:"data"`
}

// Journal is where rejections are read (*stream.Journal).
type Journal interface {
	// NextRejection returns the first rejection from a position on, and the position
	// behind it; the zero one if there is none.
	NextRejection(ctx context.Context, from uint64) (m stream.Stored, next uint64, err error)
	// StoredRejection returns the rejection of a token; the zero one if there is none.
	StoredRejection(ctx context.Context, token string) (stream.Stored, error)
}

// Quarantine is where the bytes are (*broker.Quarantine).
type Quarantine interface {
	// Kept returns a message as it was published, and the sequence it had.
	Kept(ctx context.Context, token string) (m events.Message, sequence uint64, found bool, err error)
	Delete(ctx context.Context, token string) (found bool, err error)
}

// Replayer publishes rejected messages anew (*desk.Replayer).
type Replayer interface {
	Replay(ctx context.Context, who desk.Operator, r desk.Replay) (desk.Replayed, error)
}

// Desk is safe for concurrent use.
type Desk struct {
	audit      *desk.Desk
	journal    Journal
	quarantine Quarantine
	replayer   Replayer
}

// New returns a desk that records at another one; no I/O.
func New(audit *desk.Desk, j Journal, q Quarantine, r Replayer) *Desk {
	return &Desk{audit: audit, journal: j, quarantine: q, replayer: r}
}

const (
	// pageReads bounds the rejections that are read for a page, pageItems those in it.
	pageReads, pageItems = 2000, 500
	// pageBytes bounds a page's faults and subjects, roughly: an answer has its limit.
	pageBytes = 256 << 10
)

// List reads a page of the rejections. Errors are *desk.Error.
func (d *Desk) List(ctx context.Context, f Filter) (*Page, error) {
	p := &Page{Items: []Rejection{}}
	next, size := f.From, 0
	for range pageReads {
		m, behind, err := d.journal.NextRejection(ctx, next)
		if err != nil {
			return nil, unavailable("read rejections", err)
		}
		if m.Sequence == 0 {
			return p, nil
		}
		next = behind
		r, err := decode(m.Message)
		switch {
		case err != nil:
			p.Unreadable = append(p.Unreadable, m.Message.Subject)
		case f.wants(r):
			p.Items = append(p.Items, r)
			size += len(m.Message.Data)
		}
		if len(p.Items)+len(p.Unreadable) >= pageItems || size >= pageBytes {
			break
		}
	}
	p.Next = next
	return p, nil
}

func (f Filter) wants(r Rejection) bool {
	return (f.Code == "" || r.Code == f.Code) && (f.Provider == "" || r.Provider == f.Provider) && !r.At.Before(f.Since)
}

func decode(m events.Message) (Rejection, error) {
	r, at, err := events.DecodeRejection(m)
	if err != nil {
		return Rejection{}, err
	}
	return Rejection{
		Token: r.Token, At: at, Code: r.Code, Provider: events.CommandProvider(r.OriginSubject), Faults: r.Faults, Size: r.Size, SHA256: r.SHA256,
		OriginSequence: r.OriginSequence, OriginSubject: r.OriginSubject, CommandID: r.CommandID,
	}, nil
}

// Show reads one rejection. Errors are *desk.Error.
func (d *Desk) Show(ctx context.Context, token string) (*Rejection, error) {
	if !events.ValidRejectionToken(token) {
		return nil, &desk.Error{Fault: desk.FaultInvalid, Message: "a rejection is named by its token, such as 17-0123456789ab"}
	}
	m, err := d.journal.StoredRejection(ctx, token)
	switch {
	case err != nil:
		return nil, unavailable("read the rejection", err)
	case m.Sequence == 0:
		return nil, &desk.Error{Fault: desk.FaultNotFound, Message: "there is no payment.command.rejected of this token"}
	}
	r, err := decode(m.Message)
	if err != nil {
		return nil, unavailable("read the rejection", err)
	}
	return &r, nil
}

// Original gives the bytes of one message to an operator, once that is recorded. Errors
// are *desk.Error.
func (d *Desk) Original(ctx context.Context, who desk.Operator, token, reason string) (*Original, error) {
	if err := desk.CheckActor(who, reason); err != nil {
		return nil, err
	}
	if _, err := d.Show(ctx, token); err != nil {
		return nil, err
	}
	if _, err := d.audit.Audit(ctx, who, payment.OperatorAction{Action: desk.ActionReveal, Token: token, Reason: reason}); err != nil {
		return nil, err
	}
	return d.kept(ctx, token)
}

func (d *Desk) kept(ctx context.Context, token string) (*Original, error) {
	m, sequence, found, err := d.quarantine.Kept(ctx, token)
	switch {
	case err != nil:
		return nil, unavailable("read the quarantine", err)
	case !found:
		return nil, errGone()
	}
	return &Original{Subject: m.Subject, Sequence: sequence, Headers: m.Header, Data: m.Data}, nil
}

func errGone() error {
	return &desk.Error{Fault: desk.FaultNotFound, Message: "its bytes are not in the quarantine any more"}
}

// Delete is an operator's wish that the bytes of one message be deleted.
type Delete struct {
	Token string `json:"token"`
	// Reason is required: one line of at most 200 characters, no personal data.
	Reason string `json:"reason"`
	// DryRun only says whether they are there.
	DryRun bool `json:"dryRun,omitempty"`
}

// Deleted is what became of it.
type Deleted struct {
	Applied bool   `json:"applied"`
	Audit   string `json:"audit,omitempty"` // the audit event's ULID
	Size    int    `json:"size"`            // of the bytes
}

// Delete deletes the bytes of one message from the quarantine, once that is recorded.
// The rejection stays, which repeats nothing of them. Errors are *desk.Error.
func (d *Desk) Delete(ctx context.Context, who desk.Operator, r Delete) (Deleted, error) {
	if err := desk.CheckActor(who, r.Reason); err != nil {
		return Deleted{}, err
	}
	if _, err := d.Show(ctx, r.Token); err != nil {
		return Deleted{}, err
	}
	kept, err := d.kept(ctx, r.Token)
	if err != nil {
		return Deleted{}, err
	}
	out := Deleted{Size: len(kept.Data)}
	if r.DryRun {
		return out, nil
	}
	a := payment.OperatorAction{Action: ActionDelete, Token: r.Token, Reason: r.Reason}
	if a.ULID, err = d.audit.Audit(ctx, who, a); err != nil {
		return Deleted{}, err
	}
	out.Audit = a.ULID
	found, err := d.quarantine.Delete(ctx, r.Token)
	switch {
	case err != nil:
		err = &desk.Error{Fault: desk.FaultUnknown, Message: "whether the bytes were deleted is not known; again is harmless: " + err.Error()}
	case !found: // somebody else has deleted them
		err = errGone()
	default:
		out.Applied = true
		return out, nil
	}
	d.audit.RecordOutcome(ctx, who, a, outcomeOf(err))
	return out, err
}

func outcomeOf(err error) string {
	var no *desk.Error
	if errors.As(err, &no) && no.Fault == desk.FaultNotFound {
		return desk.OutcomeRefused
	}
	return desk.OutcomeUnknown
}

// Replay publishes a rejected message anew: the corrected one, or the original, which
// is read here and shown to nobody. What is not called corrected is the original with its
// subject and its headers, whatever the request holds: another subject would get past the
// check of who may command what, and other headers are another command. Errors are
// *desk.Error.
func (d *Desk) Replay(ctx context.Context, who desk.Operator, r desk.Replay) (desk.Replayed, error) {
	if r.Corrected {
		return d.replayer.Replay(ctx, who, r)
	}
	if err := desk.CheckActor(who, r.Reason); err != nil {
		return desk.Replayed{}, err
	}
	if _, err := d.Show(ctx, r.Token); err != nil {
		return desk.Replayed{}, err
	}
	kept, err := d.kept(ctx, r.Token)
	if err != nil {
		return desk.Replayed{}, err
	}
	if len(r.Data) > 0 && !kept.same(r) { // of an older program, which reads the original itself
		return desk.Replayed{}, &desk.Error{Fault: desk.FaultInvalid, Message: "this is not the message that was rejected, with its subject and its headers"}
	}
	r.Subject, r.Header, r.Data = kept.Subject, kept.Headers, kept.Data
	return d.replayer.Replay(ctx, who, r)
}

// same reports whether a request holds the message as it was published.
func (o *Original) same(r desk.Replay) bool {
	return o.Subject == r.Subject && bytes.Equal(o.Data, r.Data) &&
		maps.EqualFunc(o.Headers, r.Header, slices.Equal)
}

func unavailable(what string, err error) error {
	return &desk.Error{Fault: desk.FaultUnavailable, Message: "could not " + what + ": " + err.Error()}
}
