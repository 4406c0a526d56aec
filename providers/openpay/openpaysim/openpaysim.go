package openpaysim

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/countermand/countermand/providers/simulator"
)

// DefaultAPIKey is the default account's key, for demonstrations.
const DefaultAPIKey = "simulated-openpay-key-0123456789"

// The codes the simulator invents, because the provider's list is not public.
const (
	CodeDeclined         = 5
	CodeTooMuch          = 13
	CodeNoPartialRefunds = 57
	CodeNotFound         = 128
	CodeNotRefundable    = 129
)

// The documented codes.
const (
	codeApproved        = "00" // a string, as in the sample
	codeAlreadyRefunded = 32   // a number, as in the sample
	codeInvalid         = 188
)

// The operations, as faults and calls name them.
const (
	opRefund = "refund"
	opQuery  = "query"
)

// StatusCall is what becomes of a question about a payment.
type StatusCall int

// The sorts, each knowing more than the one before it.
const (
	StatusAbsent StatusCall = iota // there is no such call, as far as the provider's page goes
	StatusBlank                    // it knows no payment
	StatusWrong                    // it says of every payment that it failed
	StatusPaid                     // it finds payments and never shows a refund
	StatusFull                     // it shows a full refund, and no partial one
	StatusParts                    // it shows every refund and how much
)

// statusPath is where sister brands have their status call.
const statusPath = "/pw/v3/payment/status"

// Options are the simulator's switches; nil and zero values mean the defaults.
type Options struct {
	APIKey string           // every request must carry it; default DefaultAPIKey
	Now    func() time.Time // default time.Now
	// PartialRefunds switches them on for the account; the provider's default is off.
	PartialRefunds bool
	// Status is what the status call is like, which no page of the provider says.
	Status StatusCall
	// RefuseAddress answers every call with 403, as for an address not registered.
	RefuseAddress bool
}

// Payment is one payment at the simulated provider.
type Payment struct {
	TransactionID string `json:"transactionId"`
	ReferenceNo   string `json:"referenceNo"`
	Amount        int64  `json:"amount"` // minor units
	Currency      string `json:"currency"`
	// Method is the payment method, default CREDITCARD. Only CREDITCARD and
	// VISA can be refunded.
	Method string `json:"method,omitempty"`
	// Status is the payment's own, default APPROVED.
	Status string `json:"status,omitempty"`
}

// held is a payment and what was refunded of it.
type held struct {
	Payment
	Refunded int64 `json:"refunded"`
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
	Payments map[string]*held `json:"payments"` // by transaction
}

// New returns a simulator without payments. Close it.
func New(o Options) *Simulator {
	o.APIKey = cmp.Or(o.APIKey, DefaultAPIKey)
	s := &Simulator{
		Base:    simulator.NewBase(&simulator.Options{Now: o.Now, Secrets: []string{o.APIKey}}),
		options: o,
		mux:     http.NewServeMux(),
		memory:  memory{Payments: map[string]*held{}},
	}
	s.mux.HandleFunc("POST /pw/v3/payment/refund", s.serveRefund)
	if o.Status != StatusAbsent {
		s.mux.HandleFunc("POST "+statusPath, s.serveStatus)
	}
	simulator.Mount(s.Base, s.mux, s.AddPayment)
	s.Keep(&s.mu, &s.memory)
	return s
}

// ServeHTTP serves the API and the administration paths of package simulator.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// AddPayment adds one payment. The error says what it lacks, or what is taken.
func (s *Simulator) AddPayment(p Payment) error {
	p.Method = cmp.Or(p.Method, "CREDITCARD")
	p.Status = cmp.Or(p.Status, "APPROVED")
	if p.TransactionID == "" || p.ReferenceNo == "" || p.Amount <= 0 || len(p.Currency) != 3 {
		return errors.New("add payment: transactionId, referenceNo, amount and currency are required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.Payments {
		if other.TransactionID == p.TransactionID || other.ReferenceNo == p.ReferenceNo {
			return fmt.Errorf("add payment %s: transactionId or referenceNo is taken", p.TransactionID)
		}
	}
	s.Payments[p.TransactionID] = &held{Payment: p}
	return nil
}

func (s *Simulator) serveRefund(w http.ResponseWriter, r *http.Request) {
	in, call := s.read(r, opRefund)
	if reply, refused := s.refuse(in); refused {
		s.Refuse(w, call, reply)
		return
	}
	s.Serve(w, r, call, func(f simulator.Fault) simulator.Reply { return s.refund(in, f) })
}

func (s *Simulator) serveStatus(w http.ResponseWriter, r *http.Request) {
	in, call := s.read(r, opQuery)
	if reply, refused := s.refuse(in); refused {
		s.Refuse(w, call, reply)
		return
	}
	s.Serve(w, r, call, func(f simulator.Fault) simulator.Reply { return s.status(in, f) })
}

// refuse answers requests from an unregistered address or with a wrong key.
func (s *Simulator) refuse(in request) (simulator.Reply, bool) {
	if s.options.RefuseAddress {
		return simulator.Reply{Status: http.StatusForbidden, ContentType: "text/plain", Body: []byte("IP address is not registered")}, true
	}
	if in.readable && in.apiKey == "" {
		return simulator.Reply{}, false // a missing field like any other: 188
	}
	if subtle.ConstantTimeCompare([]byte(in.apiKey), []byte(s.options.APIKey)) != 1 && in.readable {
		return reply(http.StatusUnauthorized, answer{Status: "ERROR", Message: "Invalid API key"}), true
	}
	return simulator.Reply{}, false
}
