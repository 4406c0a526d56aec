package events

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/countermand/countermand/payment"
)

// A text of an outcome is published as soon as it is a field. It may hold what a
// provider or a person typed, so each is masked, except those from closed lists
// and references, which are compared byte by byte.
func TestEveryFreeTextOfAnOutcomeIsMasked(t *testing.T) {
	t.Parallel()
	plain := []string{"Code", "Effect", "Basis", "Status", "ClientReference", "ProviderReference"}
	const card = "4111111111111111"
	var o payment.Outcome
	v := reflect.ValueOf(&o).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.String {
			f.SetString("card " + card)
		}
	}
	out := reflect.ValueOf(published(o))
	for i := range out.NumField() {
		name := out.Type().Field(i).Name
		if out.Field(i).Kind() != reflect.String {
			continue
		}
		masked := !strings.Contains(out.Field(i).String(), card)
		if listed := slices.Contains(plain, name); masked == listed {
			t.Errorf("%s: masked is %v; mask it in published, or add it to the list above with a reason", name, masked)
		}
	}
}
