package payment_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/countermand/countermand/payment"
)

func egp(v int64) payment.Money { return payment.Money{Value: v, Currency: "EGP"} }

func TestTwoCurrenciesAreNeverAddedOrSubtracted(t *testing.T) {
	t.Parallel()
	eur := payment.Money{Value: 1, Currency: "EUR"}
	for name, op := range map[string]func(a, b payment.Money) (payment.Money, error){
		"Add": payment.Money.Add, "Sub": payment.Money.Sub,
	} {
		if got, err := op(egp(1), eur); !errors.Is(err, payment.ErrCurrencyMismatch) || got != (payment.Money{}) {
			t.Errorf("%s of EGP and EUR gives %v, %v; want ErrCurrencyMismatch", name, got, err)
		}
	}
}

func TestTheLargestAmountSurvivesAReaderOfFloats(t *testing.T) {
	t.Parallel()
	for _, v := range []int64{payment.MaxAmount, payment.MaxAmount - 1} {
		if back := int64(float64(v)); back != v {
			t.Errorf("%d becomes %d as a float", v, back)
		}
	}
	if next := payment.MaxAmount + 2; int64(float64(next)) == next {
		t.Errorf("%d is exact as a float too: MaxAmount is too small", next)
	}
}

func TestMoneyIsWrittenAsTheContractSays(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(egp(40000))
	if want := `{"value":40000,"currency":"EGP"}`; err != nil || string(got) != want {
		t.Errorf("Money is written %s, %v; want %s", got, err, want)
	}
	if got, want := egp(400).String(), "400 EGP (minor units)"; got != want {
		t.Errorf("String is %q, want %q", got, want)
	}
}
