package payment_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
)

// partialRefund is the contract's example command.
func partialRefund() payment.Command {
	captured, amount := egp(40000), egp(400)
	return payment.Command{
		Op: payment.Refund, Key: "order-1001-return-1", Provider: "opay-eg",
		Payment: payment.Details{OrderID: "1001000", Country: "EG", Currency: "EGP", CapturedAmount: &captured},
		Amount:  &amount, Reason: "item returned",
		Origin: payment.Origin{CommandID: "01J-1", CommandSource: "/shop/orders"},
	}
}

// with returns the example command, changed.
func with(change func(*payment.Command)) payment.Command {
	c := partialRefund()
	change(&c)
	return c
}

// The golden values below are frozen: state written by one version is compared
// with commands read by the next, and a provider knows refunds by our
// references. A change of any of them moves money twice. Never update them;
// a new form needs a new name beside the old one.

func TestFingerprintIsFrozen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		command payment.Command
		want    string
	}{
		"partial refund": {partialRefund(), "d512cb29c6735f7713fa079723c0be928bbfb5ea9aaad0a35d5cd507301c38f7"},
		"full refund":    {with(func(c *payment.Command) { c.Amount, c.Full = nil, true }), "922a847ec314c1596d4407eb0064707a56b35f537838959d9f761047d0be84e8"},
		"cancel":         {with(func(c *payment.Command) { c.Op, c.Amount = payment.Cancel, nil }), "040171b8c45ae2120c0dba82374a5f57ae620c37501aa621c7e59dfe170702d0"},
		"by transaction": {with(func(c *payment.Command) {
			c.Payment = payment.Details{OrderID: "A-1", TransactionID: "5f0e", Currency: "EUR"}
			c.Provider = "openpay-eu"
			c.Amount = &payment.Money{Value: payment.MaxAmount, Currency: "EUR"}
		}), "46ed80c19248d6f5855ebd675111abd1967f8e01b14234feccbd26405f6c4d80"},
		"the empty command": {payment.Command{}, "46a970c6a89271c695a1c3f25765b4ba85ad26eec61efb002ba3bf11546b6649"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tc.command.Fingerprint(); got != tc.want {
				t.Errorf("Fingerprint is %s, want %s", got, tc.want)
			}
		})
	}
}

func TestFingerprintIsTheDocumentedHash(t *testing.T) {
	t.Parallel()
	h := sha256.New()
	for _, field := range []string{
		"countermand/fingerprint/1", "refund", "opay-eg", "1001000", "", "EG", "EGP",
		"amount", "\x00\x00\x00\x00\x00\x00\x01\x90", "EGP",
	} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(field))))
		h.Write([]byte(field))
	}
	if got, want := partialRefund().Fingerprint(), hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("Fingerprint is %s, want SHA-256 over the length-prefixed fields, %s", got, want)
	}
}

func TestFingerprintChangesWithEveryPartOfTheContent(t *testing.T) {
	t.Parallel()
	seen := map[string]string{partialRefund().Fingerprint(): "the original"}
	for name, change := range map[string]func(*payment.Command){
		"operation":       func(c *payment.Command) { c.Op = payment.Cancel },
		"provider":        func(c *payment.Command) { c.Provider = "opay-ng" },
		"order":           func(c *payment.Command) { c.Payment.OrderID = "1001001" },
		"transaction":     func(c *payment.Command) { c.Payment.TransactionID = "1001000" },
		"order as trans.": func(c *payment.Command) { c.Payment.OrderID, c.Payment.TransactionID = "", "1001000" },
		"border moved":    func(c *payment.Command) { c.Payment.OrderID, c.Payment.TransactionID = "100100", "0" },
		"country":         func(c *payment.Command) { c.Payment.Country = "NG" },
		"currency":        func(c *payment.Command) { c.Payment.Currency = "NGN" },
		"no amount":       func(c *payment.Command) { c.Amount = nil },
		"full":            func(c *payment.Command) { c.Amount, c.Full = nil, true },
		"value":           func(c *payment.Command) { c.Amount = &payment.Money{Value: 401, Currency: "EGP"} },
		"value's sign":    func(c *payment.Command) { c.Amount = &payment.Money{Value: -400, Currency: "EGP"} },
		"amount currency": func(c *payment.Command) { c.Amount = &payment.Money{Value: 400, Currency: "EUR"} },
	} {
		fp := with(change).Fingerprint()
		if other, taken := seen[fp]; taken {
			t.Errorf("another %s has the fingerprint of %s", name, other)
		}
		seen[fp] = name
	}
}

func TestFingerprintIgnoresWhatIsNotContent(t *testing.T) {
	t.Parallel()
	want := partialRefund().Fingerprint()
	for name, change := range map[string]func(*payment.Command){
		"key":             func(c *payment.Command) { c.Key = "other" },
		"reason":          func(c *payment.Command) { c.Reason = "changed" },
		"captured amount": func(c *payment.Command) { c.Payment.CapturedAmount = nil },
		"event id":        func(c *payment.Command) { c.CommandID = "01J-2" },
		"source":          func(c *payment.Command) { c.CommandSource = "/other" },
		"time":            func(c *payment.Command) { c.Time = time.Unix(1, 0) },
		"expiry":          func(c *payment.Command) { c.Expiry = time.Unix(1, 0) },
		"requested at":    func(c *payment.Command) { c.RequestedAt = time.Unix(1, 0) },
		"correlation":     func(c *payment.Command) { c.CorrelationID = "x" },
		"trace":           func(c *payment.Command) { c.TraceParent, c.TraceState = "x", "y" },
	} {
		if got := with(change).Fingerprint(); got != want {
			t.Errorf("the %s changes the fingerprint: a repeat would be taken for other content", name)
		}
	}
}

func TestKeyHashIsFrozen(t *testing.T) {
	t.Parallel()
	for key, want := range map[payment.Key]string{
		"":                    "e3b0c44298fc1c149afbf4c8996fb924",
		"order-1001-return-1": "cb3f77d9449b2e9b0faa2ab814dbf165",
		"a":                   "ca978112ca1bbdcafac231b39a23dc4d",
	} {
		if got := key.Hash(); got != want {
			t.Errorf("Hash of %q is %s, want %s", key, got, want)
		}
	}
}

func TestProviderReferenceIsFrozen(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind, account, native string
		op                    payment.Op
		key                   payment.Key
		want                  string
	}{
		{"opay", "0123456789abcdef0123456789abcdef", "1001000", payment.Refund, "order-1001-return-1", "7af098b33959341c2c68c0a93f482b0e"},
		{"opay", "0123456789abcdef0123456789abcdef", "1001000", payment.Cancel, "order-1001-return-1", "65befa3cf0efe810ba0acef65aa462ff"},
		{"openpay", "0123456789abcdef0123456789abcdef", "5f0e", payment.Refund, "k", "36f5560729112725c3392ed709db68f0"},
		{"", "", "", "", "", "450b21289539cf392c478b8495c0b48a"},
	} {
		if got := payment.ProviderReference(tc.kind, tc.account, tc.native, tc.op, tc.key); got != tc.want {
			t.Errorf("ProviderReference of %+v is %s", tc, got)
		}
	}
}

func TestAccountHashIsFrozen(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind  string
		parts []string
		want  string
	}{
		{"opay", []string{"sandboxapi.opaycheckout.com", "256612345678901"}, "80c01f4d8543d3c8cddf9fc8c8adf402"},
		{"openpay", []string{"api.openpaydpsp.com", "shop-eu"}, "e4693a2ce14734d21ad244896ef5c73e"},
		{"openpay", nil, "1791e3e287d04c75b5fbbe766c73b98e"},
	} {
		if got := payment.AccountHash(tc.kind, tc.parts...); got != tc.want {
			t.Errorf("AccountHash of %s %q is %s", tc.kind, tc.parts, got)
		}
	}
}
