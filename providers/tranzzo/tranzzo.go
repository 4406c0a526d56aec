package tranzzo

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Kind is the adapter's kind in configurations, traits and account hashes.
const Kind = "tranzzo"

// Provider is one point of sale at Tranzzo; safe for concurrent use.
type Provider struct {
	settings Settings
	base     string // without a trailing slash
	account  string
	client   *providers.Client
}

var _ providers.Provider = (*Provider)(nil)

// Definition is the kind's entry in the table of kinds. An operation has an operation_id of its own.
func Definition() providers.Kind {
	return providers.NewKind(Kind, payment.ReferenceOfMovement, texts(), New)
}

// New builds a provider from its settings and the client it calls through. It
// does no I/O. The error lists all faults of the settings; none holds a secret.
func New(s Settings, client *providers.Client) (*Provider, error) {
	s, err := providers.Complete(Kind, s, client)
	if err != nil {
		return nil, err
	}
	return &Provider{
		settings: s,
		base:     strings.TrimRight(s.BaseURL, "/"),
		account:  payment.AccountHash(Kind, providers.AccountHost(s.BaseURL), s.PosID),
		client:   client,
	}, nil
}

// Account is the hash of host and point of sale: the same for two instances of
// one account, and unchanged when the keys rotate.
func (p *Provider) Account() string { return p.account }

// Traits says what Tranzzo promises: a second cancel or void moves no money; a
// second full refund finds nothing left; a second partial one is executed. The
// order is listed before every first call, for what it shows decides between
// cancel and void and is what a later listing is compared with.
func (p *Provider) Traits() payment.Traits {
	operation := func(r payment.Repeat) payment.OperationTraits {
		return payment.OperationTraits{Supported: true, Repeat: r, Prepare: payment.PrepareAlways}
	}
	return payment.Traits{
		Kind:             Kind,
		Identity:         payment.IdentityOrder,
		RequiresOrderID:  true,
		RequiresCurrency: true,
		MaxIdentifier:    p.settings.MaxOrderID,
		ShowsRefunds:     true, // the listing has them one by one
		TellsEnded:       true,
		Cancel:           operation(payment.RepeatHarmless),
		FullRefund:       operation(payment.RepeatRefused),
		PartialRefund:    operation(payment.RepeatUnsafe),
	}
}

// Call implements providers.Provider.
func (p *Provider) Call(ctx context.Context, r providers.Request) payment.Outcome {
	switch r.Op {
	case payment.Cancel:
		return p.cancel(ctx, r)
	case payment.Refund:
		return p.refund(ctx, r)
	}
	return providers.Unsupported(Kind, r.Op)
}

// cancel cancels a payment that was unpaid, or voids one that was authorised,
// when it was read before the first attempt (see frozenCall).
func (p *Provider) cancel(ctx context.Context, r providers.Request) payment.Outcome {
	if o, refused := p.refuse(r); refused {
		return o
	}
	c, ok := frozenCall(r)
	switch {
	case !ok:
		return payment.Outcome{
			Result: payment.NotExecuted, Code: payment.CodeInternalError,
			Message: "not sent: no reading says whether the payment is to be cancelled or voided",
		}
	case c == callCancel:
		return p.send(ctx, c, r, p.settings.Paths.Cancel, nil)
	default:
		return p.send(ctx, c, r, p.settings.Paths.Void, p.fields(r))
	}
}

// refund refunds a paid payment: all of it where the amount is left out, which
// a full refund always does, else the request's amount.
func (p *Provider) refund(ctx context.Context, r providers.Request) payment.Outcome {
	if o, refused := p.refuse(r); refused {
		return o
	}
	fields := p.fields(r)
	if !r.Full {
		text, ok := decimal(*r.Amount)
		switch {
		case !ok:
			return notSent(payment.CodeUnsupportedCurrency, "the amount cannot be written with two decimals")
		case p.settings.AmountForm == AmountNumber:
			fields["refund_amount"] = json.Number(text)
		default:
			fields["refund_amount"] = text
		}
	}
	return p.send(ctx, callRefund, r, p.settings.Paths.Refund, fields)
}

// QueryStatus lists the order and compares it with the snapshot from before the
// first attempt (see compareRefund and compareCancel).
func (p *Provider) QueryStatus(ctx context.Context, r providers.Request) payment.Outcome {
	switch r.Op {
	case payment.Cancel:
		return p.queryCancel(ctx, r)
	case payment.Refund:
		return p.queryRefund(ctx, r)
	}
	return providers.Unanswerable(Kind, r.Op)
}

func (p *Provider) queryCancel(ctx context.Context, r providers.Request) payment.Outcome {
	o, failure, ok := p.list(ctx, r)
	if !ok {
		return providers.AsQuery(failure)
	}
	now, ok := o.reading(p.settings, p.client.Now())
	if !ok {
		return indeterminate("the listing's amounts make no sense")
	}
	return compareCancel(p.settings, r, o, now)
}

func (p *Provider) queryRefund(ctx context.Context, r providers.Request) payment.Outcome {
	o, failure, ok := p.list(ctx, r)
	if !ok {
		return providers.AsQuery(failure)
	}
	return compareRefund(p.settings, r, o)
}

// Read lists the order and says what the payment is in. Its movements are the
// refunds and voids listed, the failed ones too.
func (p *Provider) Read(ctx context.Context, r providers.Request) payment.Reading {
	o, failure, ok := p.list(ctx, r)
	switch {
	case !ok && failure.Result == payment.NotFound:
		return payment.Reading{OK: true, Status: payment.PaymentAbsent, At: p.client.Now()}
	case !ok:
		return providers.FailedReading(failure, p.client.Now())
	}
	reading, ok := o.reading(p.settings, p.client.Now())
	if !ok {
		return providers.FailedReading(indeterminate("the listing's amounts make no sense"), p.client.Now())
	}
	return reading
}

// list asks for all operations of the order. false: the outcome says why there
// are none.
//
//	| Answer                                  | Outcome                               |
//	|-----------------------------------------|---------------------------------------|
//	| none, 1xx, 3xx, 408, 429, 5xx           | see providers.ClassifyTransport       |
//	| 401, 403                                | not executed, unhealthy               |
//	| 404 in the API's error form             | not found                             |
//	| 2xx, an empty array                     | not found                             |
//	| 2xx, an array that can be read (readOrder) | true                               |
//	| anything else                           | indeterminate                         |
func (p *Provider) list(ctx context.Context, r providers.Request) (order, payment.Outcome, bool) {
	absent := payment.Outcome{Result: payment.NotFound, Code: payment.CodePaymentNotFound, Message: "the provider does not know the order"}
	if !p.named(r) {
		return order{}, absent, false
	}
	a := p.client.Do(ctx, p.call(http.MethodGet, p.settings.Paths.Orders, r))
	if o, settled := providers.ClassifyTransport(a); settled {
		return order{}, o, false
	}
	_, isRefusal := decodeRefusal(a.Body)
	operations, isList := decodeList(a.Body)
	unclear := indeterminate("the answer is no listing of this order that can be read")
	unclear.RetryAfter = a.RetryAfter
	switch {
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden:
		return order{}, notAccepted(), false
	case a.Status == http.StatusNotFound && isRefusal, a.Status < 300 && isList && len(operations) == 0:
		return order{}, absent, false
	case a.Status >= 300 || !isList:
		return order{}, unclear, false
	}
	o, ok := readOrder(p.settings, r, operations)
	return o, unclear, ok
}

// send makes the one call that can void or refund.
func (p *Provider) send(ctx context.Context, c call, r providers.Request, path string, fields map[string]any) payment.Outcome {
	request := p.call(http.MethodPost, path, r)
	request.MovesMoney, request.SendBefore = true, r.SendBefore
	if fields != nil {
		body, err := providers.EncodeJSON(fields)
		if err != nil {
			return notSent(payment.CodeInternalError, "the request could not be encoded")
		}
		request.Body = body
		request.Header.Set("Content-Type", "application/json") // else 406
	}
	a := p.client.Do(ctx, request)
	o := classify(p.settings, c, r, a)
	o.RetryAfter = a.RetryAfter
	return o
}

// fields are what void and refund have in common. The comment is the key alone:
// it is what a later listing is searched for.
func (p *Provider) fields(r providers.Request) map[string]any {
	fields := map[string]any{
		"pos_id":         p.settings.PosID,
		"order_id":       r.Payment.OrderID,
		"order_currency": string(p.currency(r)),
		"comment":        string(r.Key),
	}
	if p.settings.CallbackURL != "" {
		fields["server_url"] = p.settings.CallbackURL
	}
	return fields
}

// currency is the order's.
func (p *Provider) currency(r providers.Request) payment.Currency {
	if r.Amount != nil {
		return r.Amount.Currency
	}
	return cmp.Or(r.Payment.Currency, p.settings.Currency)
}

// call builds a request without a body. Identifiers are percent-encoded.
func (p *Provider) call(method, path string, r providers.Request) providers.Call {
	s := p.settings
	path = strings.NewReplacer(
		"{posId}", url.PathEscape(s.PosID), "{orderId}", url.PathEscape(r.Payment.OrderID),
	).Replace(path)
	key, secret, endpoints := s.APIKey.Reveal(), s.APISecret.Reveal(), s.EndpointsKey.Reveal()
	return providers.Call{
		Method: method,
		URL:    p.base + path,
		Header: http.Header{
			"X-Api-Key":  {endpoints},
			"X-Api-Auth": {"CPAY " + key + ":" + secret},
			"Accept":     {"application/json"},
		},
		// As they are now: they may rotate before the answer comes.
		Secrets: []providers.Secret{providers.NewSecret(secret), providers.NewSecret(key), providers.NewSecret(endpoints)},
	}
}

// named reports whether the request names an order. A dot or two would name
// another place of the path, whatever the encoding.
func (p *Provider) named(r providers.Request) bool {
	id := r.Payment.OrderID
	return id != "" && id != "." && id != ".." && len(id) <= p.settings.MaxOrderID
}

// refuse returns the outcome of a request that must not be sent.
func (p *Provider) refuse(r providers.Request) (payment.Outcome, bool) {
	s, c := p.settings, p.currency(r)
	switch {
	case !p.named(r):
		return notSent(payment.CodeInvalidCommand, "an order id is required, not too long, and no dots alone"), true
	case r.Key == "":
		return notSent(payment.CodeInvalidCommand, "without a key the operation could not be recognised"), true
	case r.Partial() && (r.Amount == nil || r.Amount.Value < 1):
		return notSent(payment.CodeInvalidCommand, "a partial refund needs an amount"), true
	case c == "":
		return notSent(payment.CodeInvalidCommand, "the order's currency is required"), true
	case !supported(c):
		return notSent(payment.CodeUnsupportedCurrency, "the currency has more than two decimals, or is none"), true
	case r.Payment.Currency != "" && r.Payment.Currency != c, otherCurrency(r, c):
		return notSent(payment.CodeCurrencyMismatch, "the order is in another currency"), true
	case s.APIKey.Reveal() == "" || s.APISecret.Reveal() == "" || s.EndpointsKey.Reveal() == "":
		o := notAccepted()
		o.Message = "not sent: a key is empty"
		return o, true
	default:
		return payment.Outcome{}, false
	}
}

// otherCurrency reports whether the reading says the payment is in another one.
func otherCurrency(r providers.Request, c payment.Currency) bool {
	return r.Snapshot != nil && r.Snapshot.Captured != nil && r.Snapshot.Captured.Currency != c
}

// notSent is the outcome of a request this adapter refuses: certainly not done.
func notSent(code payment.Code, message string) payment.Outcome {
	return payment.Outcome{Result: payment.Failed, Code: code, Message: "not sent: " + message}
}
