package properties_test

import (
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"

	"github.com/countermand/countermand/payment"
)

// The four things a reference is made of must not run into each other: two
// operations with one reference would be one refund to the provider.
func TestTwoOperationsNeverShareAReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[a-c]{0,3}`)
		draw := func(label string) [5]string {
			var f [5]string
			for i := range f {
				f[i] = part.Draw(t, label)
			}
			return f
		}
		ref := func(f [5]string) string {
			return payment.ProviderReference(f[0], f[1], f[2], payment.Op(f[3]), payment.Key(f[4]))
		}
		a, b := draw("a"), draw("b")
		if (a == b) != (ref(a) == ref(b)) {
			t.Fatalf("%q and %q have references %s and %s", a, b, ref(a), ref(b))
		}
	})
}

func TestReferencesAreThirtyTwoLowerCaseHexDigits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := payment.Key(rapid.String().Draw(t, "key"))
		for _, got := range []string{
			payment.ProviderReference("opay", "acc", "1", payment.Refund, key),
			payment.AccountHash("opay", string(key)),
			key.Hash(),
		} {
			raw, err := hex.DecodeString(got)
			if err != nil || len(raw) != 16 || hex.EncodeToString(raw) != got {
				t.Fatalf("%q is not 32 lower-case hex digits", got)
			}
		}
	})
}
