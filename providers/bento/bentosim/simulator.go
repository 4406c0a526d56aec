package bentosim

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/countermand/countermand/providers/simulator"
)

// The default account, for demonstrations.
const (
	DefaultToken        = "simulated-bento-token-0123456789"
	DefaultClientID     = "simulated-client"
	DefaultClientSecret = "simulated-bento-secret-0123456789"
)

// TokenPath is the token endpoint's path.
const TokenPath = "/oauth/token"

// The modes this simulator adds, all of the call that voids or refunds.
const (
	// CaptureFirst: the transaction is captured just before the call is carried out.
	CaptureFirst simulator.Mode = "capture_first"
	// StayPending: accepted, and not finished until Settle.
	StayPending simulator.Mode = "stay_pending"
	// DeclineLater: accepted, and shown as failed at its end.
	DeclineLater simulator.Mode = "decline_later"
	// DeclineRetryable: an explicit decline that may be tried again; the state stays.
	DeclineRetryable simulator.Mode = "decline_retryable"
)

// The operations, as faults and calls name them.
const (
	opCancel = "cancel"
	opRefund = "refund"
	opRead   = "read"
	opToken  = "token"
)

// Answer is what a 202 shows of the transaction.
type Answer string

// The answers.
const (
	AnswerStale    Answer = "stale"    // what it was before, as in the documented sample; the default
	AnswerAccepted Answer = "accepted" // Refunding; a void shows nothing yet
	AnswerFinal    Answer = "final"    // the end: everything is carried out at once
)

// Options are the simulator's switches; nil and zero values mean the defaults.
type Options struct {
	// Token is always accepted; default DefaultToken.
	Token string
	// ClientID and ClientSecret get tokens; the defaults are DefaultClientID
	// and DefaultClientSecret.
	ClientID, ClientSecret string
	// TokenLife is how long such a token is accepted; default an hour.
	TokenLife time.Duration
	// HideTokenLife leaves expires_in out.
	HideTokenLife bool
	Now           func() time.Time // default time.Now
	Answer        Answer           // default AnswerStale
	// SettleAfter is how many reads show an accepted refund as Refunding; default
	// 0. There is no state for a void under way: the next read shows it done.
	SettleAfter int
	// AmountAtOnce: refundedAmount counts a refund from Refunding on, not from Refunded.
	AmountAtOnce bool
	// DeclineIn4xx answers declines as the API's later generation does.
	DeclineIn4xx bool
	// NoRead: no transaction is read at the path that is inferred for it.
	NoRead bool
	// Forbid answers every call with 403.
	Forbid bool
}

// Payment is one transaction to seed.
type Payment struct {
	OrderID       string `json:"orderId"`
	TransactionID string `json:"transactionId"`
	Amount        int64  `json:"amount"` // minor units
	Currency      string `json:"currency"`
	// State is a documented state, default CaptureSucceeded.
	State string `json:"state,omitempty"`
	// Refunded is what state Refunded has refunded; default all.
	Refunded int64 `json:"refundedAmount,omitempty"`
}

// Simulator is the simulated provider; safe for concurrent use. Close it
// (simulator.Base) to cut calls that hang.
type Simulator struct {
	*simulator.Base
	options Options
	mux     *http.ServeMux

	mu sync.Mutex
	memory
}

// memory is what the simulator knows, guarded by its mu.
type memory struct {
	Transactions map[string]*transaction `json:"transactions"`
	Tokens       map[string]time.Time    `json:"tokens"` // until
	Serial       int                     `json:"serial"`
}

// New returns a simulator without transactions. Close it.
func New(o Options) *Simulator {
	o.Token = cmp.Or(o.Token, DefaultToken)
	o.ClientID = cmp.Or(o.ClientID, DefaultClientID)
	o.ClientSecret = cmp.Or(o.ClientSecret, DefaultClientSecret)
	o.TokenLife = cmp.Or(o.TokenLife, time.Hour)
	o.Answer = cmp.Or(o.Answer, AnswerStale)
	s := &Simulator{
		Base: simulator.NewBase(&simulator.Options{
			Now: o.Now, Secrets: []string{o.Token, o.ClientSecret, url.QueryEscape(o.ClientSecret)},
			Modes: []simulator.Mode{CaptureFirst, StayPending, DeclineLater, DeclineRetryable},
		}),
		options: o,
		mux:     http.NewServeMux(),
		memory:  memory{Transactions: map[string]*transaction{}, Tokens: map[string]time.Time{}},
	}
	const path = "/payments/v1/orders/{order}/transactions/{transaction}"
	s.mux.HandleFunc("PUT "+path+"/_cancel", s.serveCancel)
	if !o.NoRead {
		s.mux.HandleFunc("GET "+path, s.serveRead)
	}
	s.mux.HandleFunc("POST "+TokenPath, s.serveToken)
	simulator.Mount(s.Base, s.mux, s.AddPayment)
	s.Keep(&s.mu, &s.memory)
	return s
}

// ServeHTTP serves the API, the token endpoint and the administration paths of
// package simulator.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// AddPayment adds one transaction. The error says what it lacks, or what is taken.
func (s *Simulator) AddPayment(p Payment) error {
	p.State = cmp.Or(p.State, captureSucceeded)
	if p.OrderID == "" || p.TransactionID == "" || p.Amount <= 0 || len(p.Currency) != 3 {
		return errors.New("add payment: orderId, transactionId, amount and currency are required")
	}
	if !slices.Contains(states(), p.State) || p.Refunded < 0 || p.Refunded > p.Amount {
		return fmt.Errorf("add payment %s: unknown state, or more refunded than paid", p.TransactionID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.Transactions[p.TransactionID]; taken {
		return fmt.Errorf("add payment %s: transactionId is taken", p.TransactionID)
	}
	s.Transactions[p.TransactionID] = seeded(p, s.Now())
	return nil
}

// Capture captures an authorised transaction, as its merchant would.
func (s *Simulator) Capture(transactionID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.Transactions[transactionID]
	if !ok || !t.capture(s.Now()) {
		return fmt.Errorf("capture %s: it is not authorised", transactionID)
	}
	return nil
}

// SetState sets a transaction's state, as time or the gateway behind Bento would.
func (s *Simulator) SetState(transactionID, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.Transactions[transactionID]
	if !ok || !slices.Contains(states(), state) {
		return fmt.Errorf("set state of %s: no such transaction or state", transactionID)
	}
	t.State = state
	return nil
}

// Settle finishes every accepted void and refund.
func (s *Simulator) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.Transactions {
		t.finish(s.Now())
	}
}

func (s *Simulator) serveCancel(w http.ResponseWriter, r *http.Request) {
	body, ok := s.Read(r)
	order, id := r.PathValue("order"), r.PathValue("transaction")
	call := simulator.Call{Operation: s.operation(id), Payment: id, Reference: order, Body: string(body)}
	if refusal, refused := s.refuse(r); refused {
		s.Refuse(w, call, refusal)
		return
	}
	amount, readable := refundAmount(body)
	if !ok || !readable {
		s.Refuse(w, call, problem(http.StatusUnprocessableEntity, "Request body is not valid"))
		return
	}
	s.Serve(w, r, call, func(f simulator.Fault) simulator.Reply {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.cancel(s.find(order, id), amount, f)
	})
}

func (s *Simulator) serveRead(w http.ResponseWriter, r *http.Request) {
	order, id := r.PathValue("order"), r.PathValue("transaction")
	call := simulator.Call{Operation: opRead, Payment: id, Reference: order}
	if refusal, refused := s.refuse(r); refused {
		s.Refuse(w, call, refusal)
		return
	}
	s.Serve(w, r, call, func(f simulator.Fault) simulator.Reply {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.show(s.find(order, id), f)
	})
}

// operation names a call by what its transaction is in.
func (s *Simulator) operation(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.Transactions[id]; ok && t.Captured > 0 {
		return opRefund
	}
	return opCancel
}

// find returns the transaction of that order, or nil. Callers hold mu.
func (s *Simulator) find(order, id string) *transaction {
	if t, ok := s.Transactions[id]; ok && t.OrderID == order {
		return t
	}
	return nil
}
