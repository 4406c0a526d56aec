package bento

import (
	"context"
	"net/http"
	"strings"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Kind is the adapter's kind in configurations, traits and account hashes.
const Kind = "bento"

// maxIdentifier is the wire's own limit; the provider states none.
const maxIdentifier = 64

// Provider is one merchant account at Bento; safe for concurrent use.
type Provider struct {
	settings Settings
	base     string // without a trailing slash
	account  string
	client   *providers.Client
	tokens   *tokens
}

var _ providers.Provider = (*Provider)(nil)

// Definition is the kind's entry in the table of kinds. A transaction keeps its id, whatever is
// done to it, and its voids and refunds have none.
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
		tokens:   &tokens{settings: s, client: client},
	}, nil
}

// Account is the hash of host and account label: the same for two instances of
// one merchant account, and unchanged when credentials rotate.
func (p *Provider) Account() string { return p.account }

// Traits says what Bento promises: a void and a refund "can be sent once", so a
// repeat is refused; the transaction is read before every first call, because
// the one call does what the transaction's state makes of it.
func (p *Provider) Traits() payment.Traits {
	once := payment.OperationTraits{Supported: true, Repeat: payment.RepeatRefused, Prepare: payment.PrepareAlways}
	return payment.Traits{
		Kind:            Kind,
		Identity:        payment.IdentityTransaction,
		RequiresOrderID: true,
		MaxIdentifier:   maxIdentifier,
		ShowsRefunds:    true,
		TellsEnded:      true, // a refund that failed late is the state RefundFailed
		Cancel:          once, FullRefund: once, PartialRefund: once,
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

// cancel voids an uncaptured transaction. If it has been captured since it was
// read, the provider refunds all of it, and the outcome says so.
//
// A repeat would do the same to a transaction captured in the meantime, without
// anybody having wanted that. So in doubt the transaction is read again here,
// and only one that is still authorised is sent a second cancel:
//
//	| Transaction            | Then                                                |
//	|------------------------|-----------------------------------------------------|
//	| AuthSucceeded          | the repeat is sent                                  |
//	| shows the operation    | that (see compare)                                  |
//	| anything else, or none | not sent, duplicate: the core asks on, no further repeat |
//	| could not be read      | not sent, not executed                              |
func (p *Provider) cancel(ctx context.Context, r providers.Request) payment.Outcome {
	if o, refused := refuse(r); refused {
		return o
	}
	if !r.InDoubt {
		return p.send(ctx, r)
	}
	t, failure, ok := p.fetch(ctx, r)
	switch {
	case !ok && failure.Result == payment.NotFound:
		failure.Result, failure.Message = payment.Duplicate, "not sent: "+failure.Message
		return failure
	case !ok:
		failure.Result, failure.Message = payment.NotExecuted, "not sent: "+failure.Message
		return failure
	case t.State == stateAuthSucceeded:
		return p.send(ctx, r)
	}
	o := compare(r, t)
	if o.Result == payment.NotFound {
		o.Result, o.Message = payment.Duplicate, "not sent: the transaction is no longer only authorised, a cancel would refund it"
		return o
	}
	return asCall(r, o)
}

// refund refunds a captured transaction, whole or by the request's amount.
func (p *Provider) refund(ctx context.Context, r providers.Request) payment.Outcome {
	if o, refused := refuse(r); refused {
		return o
	}
	return p.send(ctx, r)
}

// QueryStatus reads the transaction and compares it with the snapshot from
// before the first attempt (see compare).
func (p *Provider) QueryStatus(ctx context.Context, r providers.Request) payment.Outcome {
	switch r.Op {
	case payment.Cancel, payment.Refund:
		return p.query(ctx, r)
	}
	return providers.Unanswerable(Kind, r.Op)
}

func (p *Provider) query(ctx context.Context, r providers.Request) payment.Outcome {
	if !named(r) {
		return payment.Outcome{Result: payment.NotFound, Message: "no transaction can have this identifier"}
	}
	t, failure, ok := p.fetch(ctx, r)
	if !ok {
		return providers.AsQuery(failure)
	}
	return compare(r, t)
}

// Read asks what the transaction is in. Its movements are the history's Void
// and Refund entries.
func (p *Provider) Read(ctx context.Context, r providers.Request) payment.Reading {
	if !named(r) {
		return payment.Reading{OK: true, Status: payment.PaymentAbsent, At: p.client.Now()}
	}
	t, failure, ok := p.fetch(ctx, r)
	switch {
	case ok:
		return reading(t, p.client.Now())
	case failure.Result == payment.NotFound:
		// The path to read is inferred, and a gateway answers 404 as well: it is no
		// documented word that there is no such transaction. The operation waits.
		return payment.Reading{Code: failure.Code, Message: failure.Message, RetryAfter: failure.RetryAfter, At: p.client.Now()}
	default:
		return providers.FailedReading(failure, p.client.Now())
	}
}

// send makes the one call that voids or refunds. A refused token is dropped and
// the call not repeated here: that is another attempt with its own record.
func (p *Provider) send(ctx context.Context, r providers.Request) payment.Outcome {
	fields := map[string]any{}
	if r.Partial() {
		fields["refundAmount"] = r.Amount.Value
	}
	body, err := providers.EncodeJSON(fields)
	if err != nil {
		return notSent(payment.CodeInternalError, "request could not be encoded")
	}
	token, failure, ok := p.tokens.get(ctx)
	if !ok {
		return failure
	}
	call := p.call(http.MethodPut, p.settings.CancelPath, token, r)
	call.Header.Set("Content-Type", "application/json")
	call.Body, call.MovesMoney, call.SendBefore = body, true, r.SendBefore
	a := p.client.Do(ctx, call)
	if a.Err == nil && a.Status == http.StatusUnauthorized {
		p.tokens.refused(token)
	}
	o, ask := classify(r, a)
	if ask {
		o = p.explain(ctx, r, o)
	}
	o.RetryAfter = a.RetryAfter
	return o
}

// explain settles a first attempt the provider refused (422 "action cannot be
// performed", which also answers what was done before) by the transaction:
//
//	| Transaction                        | Outcome                                     |
//	|------------------------------------|---------------------------------------------|
//	| could not be read                  | indeterminate: the core asks                |
//	| took no money, and it is a cancel  | succeeded, none                             |
//	| shows a void or refund             | duplicate: the core asks whose it is        |
//	| shows nothing of the kind          | failed: this call was refused, no other left |
func (p *Provider) explain(ctx context.Context, r providers.Request, word payment.Outcome) payment.Outcome {
	t, failure, ok := p.fetch(ctx, r)
	if !ok {
		word.Code, word.Message = failure.Code, "the provider refused the call, and "+failure.Message
		return word
	}
	o, shown := seen(r, t)
	switch {
	case shown && o.Effect == payment.EffectNone:
		o.Basis = payment.BasisQuery
		return o
	case shown:
		word.Result, word.Message = payment.Duplicate, "the provider refused the call, and the transaction shows a void or refund"
		return word
	}
	word.Result, word.Code, word.Message = payment.Failed, refusalCode(r, t), "the provider refused the call, and the transaction is as it was"
	return word
}

// refusalCode names what stands in the operation's way, if the state tells.
func refusalCode(r providers.Request, t transaction) payment.Code {
	status, _ := paymentStatus(t)
	if status == payment.PaymentPending {
		return payment.CodePaymentPending
	}
	switch r.Op {
	case payment.Cancel:
		if status == payment.PaymentPaid || status == payment.PaymentNotRefundable {
			return payment.CodePaymentAlreadyPaid
		}
	case payment.Refund:
		if status != payment.PaymentPaid {
			return payment.CodePaymentNotRefundable
		}
	}
	return payment.CodeProviderRejectedRequest
}
