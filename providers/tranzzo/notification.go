package tranzzo

import (
	"crypto/sha1" //nolint:gosec // the provider's signature, not ours to choose
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/countermand/countermand/providers"
)

var _ providers.NotificationVerifier = (*Provider)(nil)

// notice is the operation a notification carries, as far as it is read: which
// order to ask about, and when it was sent at the earliest.
type notice struct {
	PosID          providers.Text `json:"pos_id"`
	OrderID        providers.Text `json:"order_id"`
	CreatedAt      providers.Text `json:"created_at"`
	ProcessedAt    providers.Text `json:"processed_at"`
	ProcessingTime providers.Text `json:"processing_time"`
}

// VerifyNotification implements providers.NotificationVerifier. Tranzzo sends a
// form with data, which is JSON in base64url, and its signature (its page on
// the webhook's structure; the vector printed there was computed anew and
// matches). That the secret is the API secret is known from Tranzzo's own
// plugins. The point of sale must be ours: several may share one secret.
func (p *Provider) VerifyNotification(mediaType string, body []byte) (providers.Notification, error) {
	data, signature, ok := signedForm(mediaType, body)
	if !ok {
		return providers.Notification{}, providers.ErrMalformedNotification
	}
	secret := p.settings.APISecret.Reveal()
	if secret == "" || subtle.ConstantTimeCompare([]byte(SignNotification(data, secret)), []byte(signature)) != 1 {
		return providers.Notification{}, providers.ErrForgedNotification
	}
	content, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(data, "="))
	var n notice
	if err != nil || providers.DecodeJSON(content, &n) != nil || n.OrderID == "" {
		return providers.Notification{}, providers.ErrMalformedNotification
	}
	if !samePos(string(n.PosID), p.settings.PosID) {
		return providers.Notification{}, providers.ErrForgedNotification
	}
	at, uncertain := n.newest()
	return providers.Notification{
		Native: string(n.OrderID), Time: at, Uncertain: uncertain, Digest: sha256.Sum256([]byte(data)),
	}, nil
}

// SignNotification returns the signature of a notification's data, the text as
// it came: base64url of SHA-1 over secret, data and secret.
func SignNotification(data, apiSecret string) string {
	sum := sha1.Sum([]byte(apiSecret + data + apiSecret)) //nolint:gosec // the provider's signature, not ours to choose
	return base64.URLEncoding.EncodeToString(sum[:])
}

// signedForm returns the form's two fields. Each must be there once: of two, the
// one that is verified and the one that is read could differ.
func signedForm(mediaType string, body []byte) (data, signature string, ok bool) {
	if mediaType != "application/x-www-form-urlencoded" {
		return "", "", false
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["data"]) != 1 || len(form["signature"]) != 1 {
		return "", "", false
	}
	return form["data"][0], form["signature"][0], true
}

// samePos compares two points of sale. The provider's own sample writes a
// dollar sign before the identifier.
func samePos(a, b string) bool {
	return strings.EqualFold(strings.TrimPrefix(a, "$"), strings.TrimPrefix(b, "$"))
}

// newest is the newest of the times that can be read. Tranzzo's samples have no
// zone, and of processing_time its pages do not say whether it is one.
func (n notice) newest() (newest time.Time, uncertain time.Duration) {
	for _, text := range []providers.Text{n.CreatedAt, n.ProcessedAt, n.ProcessingTime} {
		if at, off, ok := providers.ParseTime(string(text)); ok && at.After(newest) {
			newest, uncertain = at, off
		}
	}
	return newest, uncertain
}
