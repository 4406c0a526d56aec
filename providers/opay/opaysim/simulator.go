package opaysim

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/countermand/countermand/providers/simulator"
)

// The default account, for demonstrations.
const (
	DefaultMerchantID = "256612345678901"
	DefaultSecretKey  = "OPAYPRV-simulated-key"
)

// The modes this simulator adds: a refund that is accepted and stays PENDING
// until Settle, and one that is accepted and later shown as failed.
const (
	StayPending  simulator.Mode = "stay_pending"
	DeclineLater simulator.Mode = "decline_later"
)

// The operations, as faults and calls name them. A payment's status is a read,
// also where it is asked for the fate of a cancel.
const (
	opCancel = "cancel"
	opRefund = "refund"
	opQuery  = "query"
	opRead   = "read"
)

// Options are the optional parts of a Simulator.
type Options struct {
	MerchantID string           // default DefaultMerchantID
	SecretKey  string           // default DefaultSecretKey
	Now        func() time.Time // default time.Now
	// DuplicateCode answers a refund whose reference exists; default 02004.
	DuplicateCode string
	// RepeatsExecute makes a repeated reference move money again, as OPay must
	// not but does not promise for refunds.
	RepeatsExecute bool
	// FirstStatus of an accepted refund: INITIAL, PENDING (default) or SUCCESS.
	FirstStatus string
	// SettleAfter is how many queries show FirstStatus before the end; default 0.
	SettleAfter int
	// CallbackNamesPayment: notifications name the payment instead of the refund.
	// OPay does not say which it does.
	CallbackNamesPayment bool
}

// Simulator is a simulated OPay for one merchant; safe for concurrent use.
type Simulator struct {
	*simulator.Base
	options Options
	mux     *http.ServeMux

	mu sync.Mutex
	memory
}

// memory is what the simulator knows, guarded by its mu.
type memory struct {
	Payments map[string]*held   `json:"payments"`
	Refunds  map[string]*refund `json:"refunds"`
	Serial   int64              `json:"serial"`
}

// Payment is one payment of the merchant's.
type Payment struct {
	Reference string `json:"reference"` // the merchant's order number
	Country   string `json:"country"`
	Amount    int64  `json:"amount"` // minor units
	Currency  string `json:"currency"`
	// Status is INITIAL, PENDING, SUCCESS, FAIL or CLOSE; default SUCCESS.
	Status string `json:"status"`
	Voided bool   `json:"voided"`
}

// held is a payment with what OPay adds to it.
type held struct {
	Payment
	OrderNo  string    `json:"orderNo"`
	Created  time.Time `json:"created"`
	Refunded int64     `json:"refunded"`
}

// refund is one accepted or failed refund.
type refund struct {
	Reference string `json:"reference"`
	Original  string `json:"original"`
	OrderNo   string `json:"orderNo"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
	Status    string `json:"status"`
	End       string `json:"end"`     // the status it will come to
	Queries   int    `json:"queries"` // until then; negative: until Settle
	ErrorCode string `json:"errorCode"`
	Callback  string `json:"callback"` // where its notification goes
}

// New returns a simulator without payments. Close it.
func New(o Options) *Simulator {
	o.MerchantID = cmp.Or(o.MerchantID, DefaultMerchantID)
	o.SecretKey = cmp.Or(o.SecretKey, DefaultSecretKey)
	o.DuplicateCode = cmp.Or(o.DuplicateCode, "02004")
	o.FirstStatus = cmp.Or(o.FirstStatus, "PENDING")
	s := &Simulator{
		Base: simulator.NewBase(&simulator.Options{
			Now: o.Now, Secrets: []string{o.SecretKey}, Modes: []simulator.Mode{StayPending, DeclineLater},
		}),
		options: o,
		mux:     http.NewServeMux(),
		memory:  memory{Payments: map[string]*held{}, Refunds: map[string]*refund{}},
	}
	const prefix = "POST /api/v1/international"
	s.mux.HandleFunc(prefix+"/payment/close", s.handle(opCancel, s.close))
	s.mux.HandleFunc(prefix+"/payment/refund/create", s.handle(opRefund, s.createRefund))
	s.mux.HandleFunc(prefix+"/payment/refund/query", s.handle(opQuery, s.queryRefund))
	s.mux.HandleFunc(prefix+"/cashier/status", s.handle(opRead, s.readPayment))
	simulator.Mount(s.Base, s.mux, s.AddPayment)
	s.Keep(&s.mu, &s.memory)
	return s
}

// ServeHTTP serves OPay's paths and the administration's.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// AddPayment adds a payment; an incomplete one or a reference taken is refused.
func (s *Simulator) AddPayment(p Payment) error {
	p.Status = cmp.Or(p.Status, "SUCCESS")
	if p.Reference == "" || len(p.Country) != 2 || len(p.Currency) != 3 || p.Amount <= 0 {
		return errors.New("add payment: reference, country, currency and a positive amount are needed")
	}
	if !slices.Contains([]string{"INITIAL", "PENDING", "SUCCESS", "FAIL", "CLOSE"}, p.Status) {
		return fmt.Errorf("add payment: unknown status %q", p.Status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.Payments[p.Reference]; taken {
		return fmt.Errorf("add payment: reference %q is taken", p.Reference)
	}
	s.Payments[p.Reference] = &held{Payment: p, OrderNo: s.number(), Created: s.Now()}
	return nil
}

// SetStatus changes a payment's status, as its payer or OPay would.
func (s *Simulator) SetStatus(reference, status string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.Payments[reference]
	if !ok {
		return fmt.Errorf("set status: no payment %q", reference)
	}
	p.Status = status
	return nil
}

// Settle shows a refund's end from now on.
func (s *Simulator) Settle(reference string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.Refunds[reference]
	if !ok {
		return fmt.Errorf("settle: no refund %q", reference)
	}
	r.Status = r.End
	return nil
}

// number returns the next of OPay's own numbers. Callers hold mu.
func (s *Simulator) number() string {
	s.Serial++
	return fmt.Sprintf("2110091408%08d", s.Serial)
}

// request is any of OPay's requests.
type request struct {
	Reference         string         `json:"reference"`
	OriginalReference string         `json:"originalReference"`
	OrderNo           string         `json:"orderNo"`
	Country           string         `json:"country"`
	Amount            *requestAmount `json:"amount"`
	CallbackURL       string         `json:"callbackUrl"`
	RefundReason      string         `json:"refundReason"`
	RefundWay         string         `json:"refundWay"`
}

type requestAmount struct {
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
}

// handle reads, authenticates and decodes a request, then serves it by rule.
func (s *Simulator) handle(operation string, rule func(request, simulator.Fault) simulator.Reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, ok := s.Read(r)
		call := simulator.Call{Operation: operation, Body: string(body)}
		if !ok || !s.authentic(r.Header, body) {
			s.Refuse(w, call, refusal("02000"))
			return
		}
		var q request
		if simulator.Decode(body, &q) != nil || q.Country == "" || (q.Reference == "" && q.OrderNo == "") {
			s.Refuse(w, call, refusal("02001"))
			return
		}
		call.Payment, call.Reference = s.names(operation, q)
		s.Serve(w, r, call, func(f simulator.Fault) simulator.Reply {
			s.mu.Lock()
			defer s.mu.Unlock()
			return rule(q, f)
		})
	}
}

// names returns the payment and the refund reference a request is about.
func (s *Simulator) names(operation string, q request) (payment, reference string) {
	switch operation {
	case opRefund:
		return q.OriginalReference, q.Reference
	case opQuery:
		s.mu.Lock()
		defer s.mu.Unlock()
		if r, ok := s.Refunds[q.Reference]; ok {
			payment = r.Original
		}
		return payment, q.Reference
	default:
		return q.Reference, ""
	}
}

// authentic checks what OPay's documentation asks of a request's headers.
func (s *Simulator) authentic(h http.Header, body []byte) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || media != "application/json" || h.Get("MerchantId") != s.options.MerchantID {
		return false
	}
	mac := hmac.New(sha512.New, []byte(s.options.SecretKey))
	mac.Write(body)
	want := "Bearer " + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(h.Get("Authorization")), []byte(want)) && sorted(body)
}

// sorted reports whether encoding the body anew gives the same bytes.
func sorted(body []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var v map[string]any
	if decoder.Decode(&v) != nil {
		return false
	}
	var again bytes.Buffer
	encoder := json.NewEncoder(&again)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(v) != nil {
		return false
	}
	return bytes.Equal(bytes.TrimSuffix(again.Bytes(), []byte("\n")), body)
}
