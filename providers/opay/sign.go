package opay

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
)

// Sign returns OPay's signature of a body: HMAC-SHA512 under the merchant's
// secret key as text, in lower-case hex (OPay's api-signature page). The body
// must be the exact bytes sent, its members sorted at every level.
func Sign(body []byte, secretKey string) string {
	mac := hmac.New(sha512.New, []byte(secretKey))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
