package properties_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/countermand/countermand/payment"
)

func TestArithmeticIsExactOrRefused(t *testing.T) {
	t.Parallel()
	for name, op := range map[string]struct {
		money func(a, b payment.Money) (payment.Money, error)
		exact func(a, b *big.Int) *big.Int
	}{
		"Add": {payment.Money.Add, func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }},
		"Sub": {payment.Money.Sub, func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				a, b := drawValue(t, "a"), drawValue(t, "b")
				want := op.exact(big.NewInt(a), big.NewInt(b))
				got, err := op.money(egp(a), egp(b))
				switch {
				case err == nil && (want.Cmp(big.NewInt(got.Value)) != 0 || got.Currency != "EGP"):
					t.Fatalf("%d and %d give %v, want %v", a, b, got, want)
				case err != nil && !errors.Is(err, payment.ErrOverflow):
					t.Fatalf("%d and %d give error %v, want ErrOverflow", a, b, err)
				case err != nil && got != (payment.Money{}):
					t.Fatalf("a refused sum is %v, want nothing", got)
				case err != nil && want.IsInt64() && b != math.MinInt64:
					t.Fatalf("%d and %d are refused although %v fits", a, b, want)
				}
			})
		})
	}
}

// drawValue draws any amount, the borders of the type often.
func drawValue(t *rapid.T, label string) int64 {
	return rapid.OneOf(
		rapid.Int64(),
		rapid.SampledFrom([]int64{
			math.MinInt64, math.MinInt64 + 1, -1, 0, 1, payment.MaxAmount, math.MaxInt64 - 1, math.MaxInt64,
		}),
	).Draw(t, label)
}

func TestWhatIsTakenOffAndPutBackIsTheSameAmount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := egp(rapid.Int64Range(0, payment.MaxAmount).Draw(t, "a"))
		b := egp(rapid.Int64Range(0, payment.MaxAmount).Draw(t, "b"))
		rest, err := a.Sub(b)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := rest.Add(b); err != nil || back != a {
			t.Fatalf("%v − %v + %v = %v, %v", a, b, b, back, err)
		}
	})
}
