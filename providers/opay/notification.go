package opay

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/hex"
	"hash"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/providers"
)

var _ providers.NotificationVerifier = (*Provider)(nil)

// notification is a callback of OPay's, as far as it is read. What stands
// beside the signature's own members (fee, country, displayedFailure, type) is
// not authentic and not read at all.
type notification struct {
	Payload payload        `json:"payload"`
	SHA512  jsontext.Value `json:"sha512"`
}

// payload has the signed members as they stand in the body.
type payload struct {
	Amount        jsontext.Value `json:"amount"`
	Currency      jsontext.Value `json:"currency"`
	Reference     jsontext.Value `json:"reference"`
	Refunded      jsontext.Value `json:"refunded"`
	Status        jsontext.Value `json:"status"`
	Timestamp     jsontext.Value `json:"timestamp"`
	Token         jsontext.Value `json:"token"`
	TransactionID jsontext.Value `json:"transactionId"`
}

// VerifyNotification implements providers.NotificationVerifier. OPay signs a
// text made of eight members (its callback-signature page; the example printed
// there was computed anew and matches). Their values are taken as they stand in
// the body: one with an escape in it is refused, for a quotation mark could
// move a border of the text and let one notification pass for another.
//
// Reference is a refund's or the payment's, OPay does not say which.
func (p *Provider) VerifyNotification(mediaType string, body []byte) (providers.Notification, error) {
	var n notification
	if mediaType != "application/json" || providers.DecodeJSON(body, &n) != nil {
		return providers.Notification{}, providers.ErrMalformedNotification
	}
	text, readable := n.Payload.text()
	signature, signed := plainText(n.SHA512)
	if !readable || !signed {
		return providers.Notification{}, providers.ErrMalformedNotification
	}
	key := p.settings.SecretKey.Reveal()
	if key == "" || !hmac.Equal([]byte(SignNotification(text, key)), []byte(signature)) {
		return providers.Notification{}, providers.ErrForgedNotification
	}
	reference, _ := plainText(n.Payload.Reference)
	timestamp, _ := plainText(n.Payload.Timestamp)
	at, uncertain, ok := providers.ParseTime(timestamp)
	if !ok || reference == "" {
		return providers.Notification{}, providers.ErrMalformedNotification
	}
	return providers.Notification{
		Reference: reference, Time: at, Uncertain: uncertain, Digest: sha256.Sum256([]byte(text)),
	}, nil
}

// SignNotification returns the signature of a notification's text. The member
// it comes in is called sha512; it is HMAC-SHA3-512 under the merchant's secret
// key as text, in lower-case hex.
func SignNotification(text, secretKey string) string {
	mac := hmac.New(func() hash.Hash { return sha3.New512() }, []byte(secretKey))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// text is what OPay signs: names in this order, t or f for refunded. False: a
// member cannot stand in it.
func (p payload) text() (string, bool) {
	refunded, ok := flag(p.Refunded)
	var b strings.Builder
	b.WriteByte('{')
	for i, member := range []struct {
		name  string
		value jsontext.Value
	}{
		{"Amount", p.Amount},
		{"Currency", p.Currency},
		{"Reference", p.Reference},
		{"Refunded", nil},
		{"Status", p.Status},
		{"Timestamp", p.Timestamp},
		{"Token", p.Token},
		{"TransactionID", p.TransactionID},
	} {
		if i > 0 {
			b.WriteByte(',')
		}
		if member.name == "Refunded" {
			b.WriteString("Refunded:" + refunded)
			continue
		}
		value, plain := plainText(member.value)
		ok = ok && plain
		b.WriteString(member.name + `:"` + value + `"`)
	}
	b.WriteByte('}')
	return b.String(), ok
}

// plainText is a JSON string that stands for itself; absent and null are empty.
// False for any other value, and for a string with an escape.
func plainText(v jsontext.Value) (string, bool) {
	switch {
	case len(v) == 0, v.Kind() == 'n':
		return "", true
	case v.Kind() != '"', bytes.IndexByte(v, '\\') >= 0:
		return "", false
	default:
		return string(v[1 : len(v)-1]), true
	}
}

// flag reads refunded: a boolean in OPay's example, a string in its table.
func flag(v jsontext.Value) (string, bool) {
	text, plain := plainText(v)
	switch {
	case v.Kind() == 't', plain && (text == "true" || text == "t"):
		return "t", true
	case v.Kind() == 'f', plain && (text == "false" || text == "f" || text == ""):
		return "f", true
	default:
		return "", false
	}
}
