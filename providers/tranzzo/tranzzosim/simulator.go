package tranzzosim

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// The default account, for demonstrations.
const (
	DefaultPosID        = "dc728de1-51ef-4ef1-80f7-3b44b07b5667"
	DefaultEndpointsKey = "simulated-tranzzo-endpoints-key"
	DefaultAPIKey       = "simulated-tranzzo-api-key"
	DefaultAPISecret    = "simulated-tranzzo-api-secret"
)

// CodeCancelled is the documented status code of a cancelled payment.
const CodeCancelled = "6007"

// Options are the simulator's switches; nil and zero values mean the defaults.
type Options struct {
	PosID        string // default DefaultPosID
	EndpointsKey string // default DefaultEndpointsKey
	APIKey       string // default DefaultAPIKey
	APISecret    string // default DefaultAPISecret
	Now          func() time.Time
	// ShowComments: the listing returns each operation's comment.
	ShowComments bool
	// Pending: refunds and voids are answered pending. They are decided by
	// Settle, or when the order was listed SettleAfter times.
	Pending     bool
	SettleAfter int
	// RefuseRepeats: a second cancel or void is answered 400 instead of
	// repeating the first answer.
	RefuseRepeats bool
	// AmountsAsText: amounts are answered as strings with two decimals.
	AmountsAsText bool
}

// Payment is one payment at the simulated provider.
type Payment struct {
	OrderID  string `json:"orderId"`
	Amount   int64  `json:"amount"` // minor units
	Currency string `json:"currency"`
	// Method is purchase, the default, or auth.
	Method string `json:"method,omitempty"`
	// Mode is hosted, the default, or direct.
	Mode string `json:"mode,omitempty"`
	// Status is success, the default, init, pending or failure.
	Status string `json:"status,omitempty"`
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
	Serial int               `json:"serial"`
	Orders map[string]*order `json:"orders"`
}

// New returns a simulator without payments. Close it.
func New(o Options) *Simulator {
	o.PosID = cmp.Or(o.PosID, DefaultPosID)
	o.EndpointsKey = cmp.Or(o.EndpointsKey, DefaultEndpointsKey)
	o.APIKey = cmp.Or(o.APIKey, DefaultAPIKey)
	o.APISecret = cmp.Or(o.APISecret, DefaultAPISecret)
	s := &Simulator{
		Base:    simulator.NewBase(&simulator.Options{Now: o.Now, Secrets: []string{o.EndpointsKey, o.APIKey, o.APISecret}}),
		options: o,
		mux:     http.NewServeMux(),
		memory:  memory{Orders: map[string]*order{}},
	}
	s.mux.HandleFunc("POST /api/v1/pos/{pos}/order/{order}/cancel", s.serveCancel)
	s.mux.HandleFunc("GET /api/v1/pos/{pos}/orders/{order}", s.serveOrders)
	s.mux.HandleFunc("POST /api/v1/void", s.serveBody("cancel", s.void))
	s.mux.HandleFunc("POST /api/v1/refund", s.serveBody("refund", s.refund))
	simulator.Mount(s.Base, s.mux, s.AddPayment)
	s.Keep(&s.mu, &s.memory)
	return s
}

// ServeHTTP serves the API and the administration paths of package simulator.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// AddPayment adds one payment. The error says what it lacks, or what is taken.
func (s *Simulator) AddPayment(p Payment) error {
	p.Method, p.Mode, p.Status = cmp.Or(p.Method, "purchase"), cmp.Or(p.Mode, "hosted"), cmp.Or(p.Status, "success")
	digits, ok := payment.Currency(p.Currency).Exponent()
	switch {
	case p.OrderID == "" || p.Amount <= 0 || !ok || digits > 2:
		return errors.New("add payment: orderId, amount and a currency with two decimals at most are required")
	case !slices.Contains([]string{"purchase", "auth"}, p.Method) || !slices.Contains([]string{"hosted", "direct"}, p.Mode):
		return fmt.Errorf("add payment %s: unknown method or mode", p.OrderID)
	case !slices.Contains([]string{"init", "pending", "success", "failure"}, p.Status):
		return fmt.Errorf("add payment %s: unknown status", p.OrderID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Orders[p.OrderID] != nil {
		return fmt.Errorf("add payment %s: orderId is taken", p.OrderID)
	}
	o := &order{Payment: p}
	o.Operations = []*operation{s.operation(p.Method, p.Amount, p.Status, "")}
	if p.Status == "failure" {
		o.Operations[0].Code = "2001"
	}
	s.Orders[p.OrderID] = o
	return nil
}

// Pay is what the payer does: an unpaid payment is paid, or authorised.
func (s *Simulator) Pay(orderID string) error {
	return s.change(orderID, func(o *order) bool {
		first := o.Operations[0]
		paid := first.Status == "init" || first.Status == "pending"
		if paid {
			first.Status, first.Code = "success", codeSuccess
		}
		return paid
	})
}

// Capture takes the whole of an authorised payment.
func (s *Simulator) Capture(orderID string) error {
	return s.change(orderID, func(o *order) bool {
		if !o.authorised() {
			return false
		}
		o.Operations = append(o.Operations, s.operation("capture", o.Amount, "success", ""))
		return true
	})
}

// RefundElsewhere refunds as somebody else does, in the merchant's portal. It
// is in the ledger as a "portal" operation.
func (s *Simulator) RefundElsewhere(orderID string, amount int64, comment string) error {
	return s.change(orderID, func(o *order) bool {
		if amount <= 0 || amount > o.left() {
			return false
		}
		op := s.operation("refund", amount, "success", comment)
		o.Operations = append(o.Operations, op)
		s.record("portal", o, op, amount)
		return true
	})
}

func (s *Simulator) change(orderID string, f func(*order) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.Orders[orderID]; o == nil || !f(o) {
		return fmt.Errorf("change order %s: unknown, or not in a state for it", orderID)
	}
	return nil
}

// Settle decides all refunds and voids that are pending: they succeed.
func (s *Simulator) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.Orders {
		s.settle(o)
	}
}

// admit answers requests with wrong keys or of another point of sale.
func (s *Simulator) admit(r *http.Request, pos string) (simulator.Reply, bool) {
	equal := func(got, want string) bool { return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1 }
	auth := "CPAY " + s.options.APIKey + ":" + s.options.APISecret
	switch {
	case !equal(r.Header.Get("X-API-Key"), s.options.EndpointsKey), !equal(r.Header.Get("X-API-Auth"), auth):
		return failure(http.StatusUnauthorized, "Unauthorized", "S-401"), false
	case pos != s.options.PosID:
		return failure(http.StatusNotFound, "POS not found", "S-404"), false
	default:
		return simulator.Reply{}, true
	}
}
