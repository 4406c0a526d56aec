package events_test

import (
	"testing"

	"github.com/countermand/countermand/events"
)

func TestACardNumberIsNoProvidersReference(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"4111111111111111", "4111 1111 1111 1111", "ref 4111-1111-1111-1111", "5555555555554444", "2223003122003222",
		"378282246310005", "6011111111111117", "3530111333300000", "30569309025904", "x5019717010103742",
	} {
		if !events.CardLike(s) {
			t.Errorf("%q passes", s)
		}
	}
	for _, s := range []string{
		"", "p-1", "211003140885499643", "220507145660712931829", "10000000-0000-4000-8000-000000000001", "4111111111111112", "1234567890123",
		"20261121123456789", "rf_411111", "0000000000000000",
	} {
		if events.CardLike(s) {
			t.Errorf("%q is refused", s)
		}
	}
}
