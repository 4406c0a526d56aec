package payment

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// Key is the idempotency key given by the order service. Its scope is one
// payment and one operation.
type Key string

// ID names a payment: the configured provider instance and the identifier
// that names the payment there (order or transaction id, by the kind's traits).
type ID struct {
	Provider string
	Native   string
}

// Details is the payment as the wire describes it.
type Details struct {
	OrderID        string   `json:"orderId,omitempty"`
	TransactionID  string   `json:"transactionId,omitempty"`
	Country        string   `json:"country,omitempty"`
	Currency       Currency `json:"currency,omitempty"`
	CapturedAmount *Money   `json:"capturedAmount,omitempty"`
}

// Command is a valid request for one operation on one payment, with what its
// envelope said. Country and currency are resolved (instance defaults filled
// in) before a Command reaches Decide.
type Command struct {
	Op       Op
	Key      Key
	Provider string
	Payment  Details
	Amount   *Money // exactly one of Amount and Full, where Op.TakesAmount
	Full     bool
	Reason   string

	Origin
	Trace
	Time        time.Time // zero when the event named none
	Expiry      time.Time // zero: never
	RequestedAt time.Time // the stream's time of the original message
}

// Origin names the command that began an operation, by the id and the source of
// its CloudEvent. It is zero where there is no operation.
type Origin struct {
	CommandID     string `json:"commandId"`
	CommandSource string `json:"commandSource"`
}

// Trace is what ties an event to the command it answers: the command's
// correlation id and its W3C trace context. Any of them may be empty.
type Trace struct {
	CorrelationID string `json:"correlationId,omitempty"`
	TraceParent   string `json:"traceparent,omitempty"`
	TraceState    string `json:"tracestate,omitempty"`
}

// Fingerprint is the SHA-256 (hex) over the command's content: operation,
// provider, payment identifiers with country and currency resolved, amount or
// full. Two commands under one key with unequal fingerprints are a key reused
// for other content. It is frozen by golden tests: versions side by side must agree.
func (c Command) Fingerprint() string {
	var room [hashRoom]byte
	b := appendFields(room[:0], "countermand/fingerprint/1", string(c.Op), c.Provider,
		c.Payment.OrderID, c.Payment.TransactionID, c.Payment.Country, string(c.Payment.Currency))
	switch {
	case c.Amount != nil:
		var v [8]byte
		binary.BigEndian.PutUint64(v[:], uint64(c.Amount.Value))
		b = appendFields(b, "amount", string(v[:]), string(c.Amount.Currency))
	case c.Full:
		b = appendFields(b, "full")
	default:
		b = appendFields(b, "none")
	}
	return hexOf(sha256.Sum256(b))
}

// Hash names the key without revealing it: the first 32 hex digits of SHA-256.
func (k Key) Hash() string { return firstHex(string(k)) }

// ProviderReference is the reference sent to a provider for one operation. It
// derives from what never changes (kind, account, native payment id, operation,
// key), so neither a renamed instance nor a further attempt changes it.
// 32 lower-case hex digits; frozen by golden tests.
func ProviderReference(kind, account, native string, op Op, key Key) string {
	return firstHex("countermand/reference/1", kind, account, native, string(op), string(key))
}

// AccountHash names a provider account (host and merchant, or host and label)
// without revealing it; two instances with equal hashes are one account.
func AccountHash(kind string, parts ...string) string {
	return firstHex(append([]string{"countermand/account/1", kind}, parts...)...)
}

func firstHex(fields ...string) string {
	var room [hashRoom]byte
	b := room[:0]
	if len(fields) == 1 {
		b = append(b, fields[0]...)
	} else {
		b = appendFields(b, fields...)
	}
	return hexOf(sha256.Sum256(b))[:32]
}

// hashRoom is as much as is usually hashed.
const hashRoom = 256

// hexOf writes a hash in lower-case hex.
func hexOf(sum [sha256.Size]byte) string {
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

// appendFields appends each field behind its length, so that no two field lists
// collide by moving a border.
func appendFields(b []byte, fields ...string) []byte {
	for _, f := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b
}
