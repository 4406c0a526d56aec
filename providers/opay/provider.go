package opay

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Kind is the configuration's name of this adapter.
const Kind = "opay"

// Provider is one OPay merchant account; safe for concurrent use.
type Provider struct {
	settings Settings
	client   *providers.Client
	meanings map[string]meaning
}

var _ providers.Provider = (*Provider)(nil)

// Definition is the kind's entry in the table of kinds. A refund has an orderNo of its own.
func Definition() providers.Kind {
	return providers.NewKind(Kind, payment.ReferenceOfMovement, texts(), New)
}

// New returns an adapter, or an error that lists every fault of the settings.
func New(s Settings, client *providers.Client) (*Provider, error) {
	s, err := providers.Complete(Kind, s, client)
	if err != nil {
		return nil, err
	}
	return &Provider{settings: s, client: client, meanings: meanings()}, nil
}

// Account names the merchant account without revealing it.
func (p *Provider) Account() string { return p.settings.Account() }

// Traits says what OPay promises.
func (p *Provider) Traits() payment.Traits {
	repeat := payment.RepeatRefused
	if p.settings.RefundRepeat == RepeatUnsafe {
		repeat = payment.RepeatUnsafe
	}
	return payment.Traits{
		Kind:            Kind,
		Identity:        payment.IdentityOrder,
		RequiresOrderID: true,
		RequiresCountry: true,
		MaxIdentifier:   64, // OPay states no limit; this is the wire's own
		Parallel:        true,
		TellsEnded:      true, // by our own reference
		// Closing a closed payment changes nothing, and a paid one cannot be closed.
		Cancel:        payment.OperationTraits{Supported: true, Repeat: payment.RepeatHarmless},
		FullRefund:    payment.OperationTraits{Supported: true, Repeat: repeat, Prepare: payment.PrepareAmount, NeedsAmount: true},
		PartialRefund: payment.OperationTraits{Supported: true, Repeat: repeat},
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

// cancel closes an unpaid payment.
func (p *Provider) cancel(ctx context.Context, r providers.Request) payment.Outcome {
	answer := p.send(ctx, p.settings.Paths.Close, p.body(r, r.Payment.OrderID), r.SendBefore, true)
	e, out, settled := p.open(callClose, answer)
	if settled {
		return out
	}
	return p.closeOutcome(r, e)
}

// refund creates a refund under the request's reference.
func (p *Provider) refund(ctx context.Context, r providers.Request) payment.Outcome {
	if r.Amount == nil || r.Reference == "" {
		return payment.Outcome{
			Result: payment.NotExecuted, Code: payment.CodeInternalError,
			Message: "not sent: a refund at OPay needs an amount and a reference",
		}
	}
	body := p.body(r, r.Reference)
	body.OriginalReference, body.CallbackURL = r.Payment.OrderID, p.settings.callbackURL(r.Payment.OrderID)
	body.Amount = &bodyAmount{Currency: r.Amount.Currency, Total: r.Amount.Value}
	body.RefundReason, body.RefundWay = plain(r.Reason), p.settings.RefundWay
	answer := p.send(ctx, p.settings.Paths.Refund, body, r.SendBefore, true)
	e, out, settled := p.open(callRefund, answer)
	if settled {
		return out
	}
	return p.refundOutcome(r, e, callRefund)
}

// QueryStatus asks for the refund by its reference, or for a cancel what the
// payment is in.
func (p *Provider) QueryStatus(ctx context.Context, r providers.Request) payment.Outcome {
	switch r.Op {
	case payment.Cancel:
		e, out, settled := p.query(ctx, p.settings.Paths.Status, p.body(r, r.Payment.OrderID))
		if settled {
			return out
		}
		return p.cancelOutcome(r, e)
	case payment.Refund:
		e, out, settled := p.query(ctx, p.settings.Paths.RefundQuery, p.body(r, r.Reference))
		if settled {
			return out
		}
		return p.refundOutcome(r, e, callQuery)
	}
	return providers.Unanswerable(Kind, r.Op)
}

// Read asks what the payment is in. What was refunded OPay does not say there.
func (p *Provider) Read(ctx context.Context, r providers.Request) payment.Reading {
	e, out, settled := p.query(ctx, p.settings.Paths.Status, p.body(r, r.Payment.OrderID))
	at := p.client.Now()
	switch {
	case settled && out.Result == payment.NotFound:
		return payment.Reading{OK: true, Status: payment.PaymentAbsent, At: at}
	case settled:
		return providers.FailedReading(out, at)
	}
	return p.reading(r, e, at)
}

// query asks one question; settled: the outcome says why there is no answer.
func (p *Provider) query(ctx context.Context, path string, b *body) (e envelope, out payment.Outcome, settled bool) {
	return p.open(callQuery, p.send(ctx, path, b, time.Time{}, false))
}

// body is a request's body. Its members stand sorted at every level, as the
// signature wants them; a new one goes where the alphabet puts it.
type body struct {
	Amount            *bodyAmount `json:"amount,omitempty"`
	CallbackURL       string      `json:"callbackUrl,omitempty"`
	Country           string      `json:"country"`
	OriginalReference string      `json:"originalReference,omitempty"`
	Reference         string      `json:"reference"`
	RefundReason      string      `json:"refundReason,omitempty"`
	RefundWay         string      `json:"refundWay,omitempty"`
}

// bodyAmount is in minor units.
type bodyAmount struct {
	Currency payment.Currency `json:"currency"`
	Total    int64            `json:"total"`
}

// body starts a request's body.
func (p *Provider) body(r providers.Request, reference string) *body {
	return &body{Reference: reference, Country: cmp.Or(r.Payment.Country, p.settings.Country)}
}

// send signs the exact bytes it sends.
func (p *Provider) send(ctx context.Context, path string, body *body, before time.Time, moves bool) providers.Answer {
	encoded, err := providers.EncodeJSON(body)
	if err != nil {
		return providers.Answer{NeverSent: true, Err: err}
	}
	key := p.settings.SecretKey.Reveal()
	signature := Sign(encoded, key)
	return p.client.Do(ctx, providers.Call{
		Method: http.MethodPost,
		URL:    p.settings.BaseURL + path,
		Header: http.Header{
			"Authorization": {"Bearer " + signature},
			"MerchantId":    {p.settings.MerchantID},
			"Content-Type":  {"application/json"},
			"Accept":        {"application/json"},
		},
		Body:       encoded,
		MovesMoney: moves,
		SendBefore: before,
		// The signature too: with it the same body could be sent again.
		Secrets: []providers.Secret{providers.NewSecret(key), providers.NewSecret(signature)},
	})
}

// open reads the envelope. True: the outcome is settled by the transport, the
// HTTP status or the code; false: the code is success and the data decides.
func (p *Provider) open(c call, answer providers.Answer) (envelope, payment.Outcome, bool) {
	out, settled := providers.ClassifyTransport(answer)
	var e envelope
	switch {
	case settled:
	case providers.DecodeJSON(answer.Body, &e) != nil, e.Code == "":
		out, settled = noEnvelope(answer.Status), true
	case e.Code != codeSuccess:
		out, settled = p.classifyCode(c, e), true
	case answer.Status >= 400:
		out = payment.Outcome{Code: payment.CodeOther, ProviderCode: string(e.Code), Message: "OPay's code says success, its HTTP status does not"}
		settled = true
	}
	if settled && c == callQuery {
		out = providers.AsQuery(out)
	}
	return e, out, settled
}

// noEnvelope classifies an answer that is not OPay's JSON. Only 401 says by
// itself that the request was not applied (RFC 9110, section 15.5.2).
func noEnvelope(status int) payment.Outcome {
	if status == http.StatusUnauthorized {
		return payment.Outcome{
			Result: payment.NotExecuted, Code: payment.CodeProviderAuthentication, Unhealthy: true,
			Message: "OPay refused the credentials",
		}
	}
	return payment.Outcome{Code: payment.CodeOther, Message: "OPay's answer could not be read"}
}

// redact masks the secret key in OPay's free text.
func (p *Provider) redact(text string) string { return providers.Redact(text, p.settings.SecretKey) }

// plain makes a free text one that every encoder of JSON writes the same way: OPay may
// verify a body it has encoded anew, and a signature that differs looks like a wrong key.
// Encoders differ in what is not ASCII, and in some signs, which become spaces. A text
// with letters or digits beyond ASCII is left out as a whole, since the rest of it may
// say something else.
func plain(text string) string {
	if strings.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII && unicode.In(c, unicode.L, unicode.M, unicode.N) }) {
		return ""
	}
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || strings.ContainsRune(escaped+"\"\\+`", c) {
			return ' '
		}
		return c
	}, text))
}
