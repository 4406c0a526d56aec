package openpay

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Kind is the adapter's kind in configurations, traits and account hashes.
const Kind = "openpay"

// maxIdentifier is the documented size of transactionId and referenceNo.
const maxIdentifier = 32

// Provider is one Openpay merchant account; safe for concurrent use.
type Provider struct {
	settings Settings
	base     string // without a trailing slash
	account  string
	client   *providers.Client
}

var _ providers.Provider = (*Provider)(nil)

// Definition is the kind's entry in the table of kinds. A refund is answered under the payment's
// transactionId and has no number of its own.
func Definition() providers.Kind {
	return providers.NewKind(Kind, payment.ReferenceOfPayment, texts(), New)
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
		account:  payment.AccountHash(Kind, providers.AccountHost(s.BaseURL), s.Account),
		client:   client,
	}, nil
}

// Account is the hash of host and account label: the same for two instances of
// one merchant account, and unchanged when the key rotates.
func (p *Provider) Account() string { return p.account }

// Traits says what Openpay promises: no cancel; a second full refund is
// refused (code 32); nothing is said of a second partial one, so it is unsafe.
// Nobody can be asked, unless a status path is configured: both are then compared
// with the payment's status from before the first call, where that can be read.
func (p *Provider) Traits() payment.Traits {
	asks, prepare := payment.AsksNone, payment.PrepareNever
	if p.settings.StatusPath != "" {
		asks, prepare = payment.AsksHelpful, payment.PrepareHelpful
	}
	return payment.Traits{
		Kind:            Kind,
		Identity:        payment.IdentityTransaction,
		RequiresOrderID: true, // sent as referenceNo
		MaxIdentifier:   maxIdentifier,
		Asks:            asks,
		FullRefund:      payment.OperationTraits{Supported: true, Repeat: payment.RepeatRefused, Prepare: prepare},
		PartialRefund: payment.OperationTraits{
			Supported: p.settings.PartialRefunds, Repeat: payment.RepeatUnsafe, Prepare: prepare,
		},
	}
}

// Call implements providers.Provider.
func (p *Provider) Call(ctx context.Context, r providers.Request) payment.Outcome {
	switch r.Op {
	case payment.Cancel:
		return providers.Unsupported(Kind, r.Op) // the API has no call for it
	case payment.Refund:
		return p.refund(ctx, r)
	}
	return providers.Unsupported(Kind, r.Op)
}

// refund sends one refund request. What its answer means is said at
// classifyRefund; a request that cannot be one is refused without being sent.
func (p *Provider) refund(ctx context.Context, r providers.Request) payment.Outcome {
	if o, refused := p.refuse(r); refused {
		return o
	}
	call, err := p.call(p.settings.RefundPath, p.refundFields(r))
	if err != nil {
		return notSent(payment.CodeInternalError, "request could not be encoded")
	}
	call.MovesMoney, call.SendBefore = true, r.SendBefore
	a := p.client.Do(ctx, call)
	if a.Err != nil {
		o, _ := providers.ClassifyTransport(a)
		return o
	}
	o := classifyRefund(p.settings.Codes, r, a.Status, a.Body)
	o.RetryAfter = a.RetryAfter
	return o
}

// QueryStatus reads the payment's status and compares it with the snapshot
// from before the first attempt (see compare). The provider has no reference of
// ours to ask by, so a yes is always inferred.
func (p *Provider) QueryStatus(ctx context.Context, r providers.Request) payment.Outcome {
	switch r.Op {
	case payment.Refund:
		return compare(r, p.Read(ctx, r))
	case payment.Cancel:
		return providers.Unanswerable(Kind, r.Op)
	}
	return providers.Unanswerable(Kind, r.Op)
}

// Read asks for the payment's status by its referenceNo (see classifyStatus). Where
// no status path is configured nothing is sent.
func (p *Provider) Read(ctx context.Context, r providers.Request) payment.Reading {
	if p.settings.StatusPath == "" {
		return payment.Reading{
			Code: payment.CodeUnsupportedOperation, At: p.client.Now(),
			Message: "not asked: the provider documents no status call (statusPath)",
		}
	}
	call, err := p.call(p.settings.StatusPath, map[string]any{"referenceNo": r.Payment.OrderID})
	if err != nil {
		return payment.Reading{Code: payment.CodeInternalError, Message: "request could not be encoded", At: p.client.Now()}
	}
	a := p.client.Do(ctx, call)
	if a.Err != nil {
		o, _ := providers.ClassifyTransport(a)
		return providers.FailedReading(o, p.client.Now())
	}
	reading := classifyStatus(p.settings.Codes, r, a.Status, a.Body)
	reading.At = p.client.Now()
	reading.RetryAfter = a.RetryAfter
	return reading
}

// refuse returns the outcome of a request that must not be sent.
func (p *Provider) refuse(r providers.Request) (payment.Outcome, bool) {
	id, order := r.Payment.TransactionID, r.Payment.OrderID
	switch {
	case id == "" || order == "" || len(id) > maxIdentifier || len(order) > maxIdentifier:
		return notSent(payment.CodeInvalidCommand, "transaction and order id are required, of 32 characters at most"), true
	case p.settings.APIKey.Reveal() == "":
		return unhealthy(envelope{}, payment.CodeProviderAuthentication, "not sent: the API key is empty"), true
	case r.Full:
		return payment.Outcome{}, false
	case !p.settings.PartialRefunds:
		return notSent(payment.CodePartialRefundUnsupported, "partial refunds are not enabled for this account"), true
	case r.Amount == nil || r.Amount.Value < 1 || r.Amount.Currency == "":
		return notSent(payment.CodeInvalidCommand, "a partial refund needs an amount"), true
	default:
		return payment.Outcome{}, false
	}
}

// refundFields are the documented fields but the key. A full refund never
// names amount and currency, even where they are known: with them it would be
// a partial one, which is declined or, worse, executed once more on a repeat.
func (p *Provider) refundFields(r providers.Request) map[string]any {
	fields := map[string]any{"transactionId": r.Payment.TransactionID, "referenceNo": r.Payment.OrderID}
	if !r.Full {
		fields["amount"] = r.Amount.Value
		fields["currency"] = string(r.Amount.Currency)
	}
	return fields
}

// call builds the request of one API call: the fields with the key.
func (p *Provider) call(path string, fields map[string]any) (providers.Call, error) {
	fields["apiKey"] = p.settings.APIKey.Reveal()
	contentType, body, err := encode(p.settings.Encoding, fields)
	return providers.Call{
		Method:  http.MethodPost,
		URL:     p.base + path,
		Header:  http.Header{"Content-Type": {contentType}, "Accept": {"application/json"}},
		Body:    body,
		Secrets: []providers.Secret{p.settings.APIKey},
	}, err
}

// encode writes the fields in the configured encoding.
func encode(e Encoding, fields map[string]any) (contentType string, body []byte, err error) {
	if e == EncodingJSON {
		body, err = providers.EncodeJSON(fields)
		return "application/json", body, err
	}
	form := url.Values{}
	for name, value := range fields {
		switch v := value.(type) {
		case int64:
			form.Set(name, strconv.FormatInt(v, 10))
		case string:
			form.Set(name, v)
		}
	}
	return "application/x-www-form-urlencoded", []byte(form.Encode()), nil
}

// notSent is the outcome of a request this adapter refuses: certainly not done.
func notSent(code payment.Code, message string) payment.Outcome {
	return payment.Outcome{Result: payment.Failed, Code: code, Message: "not sent: " + message}
}
