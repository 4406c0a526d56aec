package desk

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Journal is what the desk needs of the payment journal. Implementations are
// safe for concurrent use.
type Journal interface {
	// Last returns a payment's newest record as its leader knows it.
	Last(ctx context.Context, id payment.ID) (journal.Record, error)
	// History returns the events of one payment in order; complete is false
	// where there are more than are returned.
	History(ctx context.Context, id payment.ID) (all []events.Entry, complete bool, err error)
	// OperatorActions returns the audit events of one action that lie behind a
	// sequence of the journal, in order, at most 1,000 at a time.
	OperatorActions(ctx context.Context, action string, after uint64) ([]payment.OperatorAction, error)
	// AppendOperator adds an audit event. Nothing that needs one is done before
	// it has returned without an error.
	AppendOperator(ctx context.Context, a payment.OperatorAction) error
}

// Index lists the payments that may have an open operation, none twice;
// complete is false where there are more than are listed.
type Index interface {
	Open(ctx context.Context) (payments []payment.ID, complete bool, err error)
}

// Service carries out what was ruled, and asks providers
// (handlers.Handler with its scheduler).
type Service interface {
	Resolve(ctx context.Context, r handlers.Ruling) (journal.Record, error)
	Ask(ctx context.Context, id payment.ID, op payment.Op, key payment.Key) (handlers.Answer, error)
	Requery(ctx context.Context, id payment.ID, op payment.Op, key payment.Key) (handlers.Requeried, error)
}

// Options are the optional parts of a Desk; nil and zero values mean the defaults.
type Options struct {
	// IDs returns a new ULID at each call; safe for concurrent use. Default: the
	// time for the eye, 80 random bits for uniqueness.
	IDs func() string
	// SecondPersonAbove: a ruling on more than one of these amounts, of its own
	// currency, waits until a second person says the same. So do an amount that nobody
	// has named, another currency, and a replay with changed content. Empty: one person
	// is enough.
	SecondPersonAbove []payment.Money
	// People says which logins are one person; nil: a name says who somebody is.
	People *People
	Now    func() time.Time // default: time.Now
	Logger *slog.Logger     // default: discards
}

// Desk is safe for concurrent use, by many replicas too: all it knows lies in
// the journal.
type Desk struct {
	o parts

	turn   chan struct{} // holds one for whoever reads or makes the queue
	queue  Queue         // the last one made
	queued time.Time     // when; zero: none

	floorsMu sync.Mutex
	floors   map[string]uint64 // by action: up to there everything is too old to matter
}

// parts are what a desk is built on, options included.
type parts struct {
	Options

	Journal   Journal
	Index     Index
	Service   Service
	Providers *providers.Set
}

// New returns a desk; no I/O.
func New(j Journal, x Index, s Service, set *providers.Set, o *Options) (*Desk, error) {
	if j == nil || x == nil || s == nil || set == nil {
		return nil, errors.New("open desk: journal, index, service and providers are needed")
	}
	p := parts{Journal: j, Index: x, Service: s, Providers: set}
	if o != nil {
		p.Options = *o
	}
	if p.IDs == nil {
		p.IDs = NewULID
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	return &Desk{o: p, turn: make(chan struct{}, 1), floors: map[string]uint64{}}, nil
}

// NewULID names an audit event. It is safe for concurrent use.
func NewULID() string { return ulid.MustNew(ulid.Timestamp(time.Now()), rand.Reader).String() }

// Identity is how an operator's name is known.
type Identity string

// The identities.
const (
	// IdentityNATS: the server lets the user publish under the name.
	IdentityNATS Identity = "nats"
	// IdentityAsserted: the name was only typed; where the settings allow it.
	IdentityAsserted Identity = "asserted"
	// IdentityToken: the console was opened with the operator's token.
	IdentityToken Identity = "token"
	// IdentityProxy: a proxy in front of the console names the operator.
	IdentityProxy Identity = "proxy"
)

// Operator is who acts.
type Operator struct {
	Name     string   `json:"name"`
	Identity Identity `json:"identity"`
	// Login is what the server has authenticated, nats:<account>/<public key>; empty
	// where it does not say. Of a token and of a proxy's user it is made of the name.
	Login string `json:"login,omitempty"`
}

// As is what an operator rules, in the words of commands and requests.
type As string

// The rulings.
const (
	AsSucceeded As = "succeeded" // it happened
	AsFailed    As = "failed"    // it did not happen
	AsRetry     As = "retry"     // call again
)

// Ruling is an operator's decision about one open operation.
type Ruling struct {
	Provider  string      `json:"provider"`
	Payment   string      `json:"payment"` // the identifier that names it there
	Operation payment.Op  `json:"operation"`
	Key       payment.Key `json:"idempotencyKey"`
	// Version and Seen are those of the Story that was shown.
	Version uint64    `json:"version"`
	Seen    time.Time `json:"seen"`
	As      As        `json:"as"`
	// Reason and Evidence are required: why, and what it rests on. One line, at
	// most 200 characters each, no personal data.
	Reason   string `json:"reason"`
	Evidence string `json:"evidence"`
	// Of a cancel that succeeded the effect may be said: closed (where it is not
	// said), voided, none, or refunded. What moved and the provider's reference are
	// required where money moved (a refund as succeeded, a cancel with the effect
	// refunded).
	payment.Testimony
	// ConfirmAmount is an amount, typed out: the operation's for a retry that could
	// pay twice, and what moved where that is not the amount asked.
	ConfirmAmount *payment.Money `json:"confirmAmount,omitempty"`
	// Bulk: it is one of many, of which the sum counts for the second person. Before is
	// what those before it in the same file decide about, for a dry run.
	Bulk   bool            `json:"bulk,omitempty"`
	Before []payment.Money `json:"before,omitempty"`
	// DryRun checks everything and does nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// ID names the ruling's payment.
func (r Ruling) ID() payment.ID { return payment.ID{Provider: r.Provider, Native: r.Payment} }

// Done is what became of a ruling.
type Done struct {
	// Applied: it is in the journal. False for a dry run, and while a second
	// person is waited for.
	Applied bool `json:"applied"`
	// AwaitsSecond: it is recorded, and another person has to say the same.
	AwaitsSecond bool `json:"awaitsSecond,omitempty"`
	// Audit is the ULID of the audit event; empty for a dry run.
	Audit string `json:"audit,omitempty"`
	// Version and Status are the operation's afterwards (now, for a dry run).
	Version uint64         `json:"version"`
	Status  payment.Status `json:"status"`
	// Decision is the ruling in words: what moved and what was asked.
	Decision string `json:"decision,omitempty"`
	// Code is amount_differs where what moved is not the amount asked.
	Code payment.Code `json:"code,omitempty"`
}

// Fault is why the desk says no.
type Fault string

// The faults.
const (
	FaultInvalid     Fault = "invalid"     // the request itself is wrong; nothing was done
	FaultNotFound    Fault = "not_found"   // no such payment or operation
	FaultStale       Fault = "stale"       // the payment has moved since it was shown
	FaultRefused     Fault = "refused"     // a guard refuses, or it has ended
	FaultUnderWay    Fault = "under_way"   // a call may be under way: look again later
	FaultForbidden   Fault = "forbidden"   // this operator may not
	FaultUnavailable Fault = "unavailable" // could not be done; nothing was
	FaultUnknown     Fault = "unknown"     // may have been done: look again
)

// Error is a no of the desk.
type Error struct {
	Fault   Fault  `json:"fault"`
	Message string `json:"message"`
	// Code is amount_differs where what moved is not the amount asked, and nobody has
	// confirmed that.
	Code payment.Code `json:"code,omitempty"`
	// Until is when it may be tried again, where that is known.
	Until time.Time `json:"until,omitzero"`
	// Now is the payment's story as it is now, for a stale view.
	Now *Story `json:"now,omitempty"`
	err error
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.err }
