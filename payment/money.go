package payment

import (
	"errors"
	"fmt"
	"math"
)

// Currency is an ISO 4217 alphabetic code such as "EGP".
type Currency string

// Money is an amount in the currency's minor units (ISO 4217), for example
// piastres or cents. It is never a float.
type Money struct {
	Value    int64    `json:"value"`
	Currency Currency `json:"currency"`
}

// MaxAmount is the largest amount a command may name: the largest integer
// every JSON reader keeps exact (2^53−1).
const MaxAmount int64 = 1<<53 - 1

// ErrCurrencyMismatch is returned by arithmetic on two currencies.
var ErrCurrencyMismatch = errors.New("currencies differ")

// ErrOverflow is returned by arithmetic whose result does not fit.
var ErrOverflow = errors.New("amount overflows")

// Add returns m+o, or ErrCurrencyMismatch or ErrOverflow.
func (m Money) Add(o Money) (Money, error) {
	if m.Currency != o.Currency {
		return Money{}, fmt.Errorf("add %s to %s: %w", o.Currency, m.Currency, ErrCurrencyMismatch)
	}
	if (o.Value > 0 && m.Value > math.MaxInt64-o.Value) || (o.Value < 0 && m.Value < math.MinInt64-o.Value) {
		return Money{}, fmt.Errorf("add %d to %d: %w", o.Value, m.Value, ErrOverflow)
	}
	return Money{Value: m.Value + o.Value, Currency: m.Currency}, nil
}

// Sub returns m−o, or ErrCurrencyMismatch or ErrOverflow.
func (m Money) Sub(o Money) (Money, error) {
	if o.Value == math.MinInt64 {
		return Money{}, fmt.Errorf("subtract %d: %w", o.Value, ErrOverflow)
	}
	return m.Add(Money{Value: -o.Value, Currency: o.Currency})
}

// String renders the amount in minor units, for example "400 EGP (minor)".
func (m Money) String() string { return fmt.Sprintf("%d %s (minor units)", m.Value, m.Currency) }
