package simulators

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/kinds"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

// Kinds is the table of simulated kinds: the second half of kinds.All, in the
// same order. The demo and the proofs use what stands here and list no kind
// themselves.
func Kinds() []simulator.Kind {
	return []simulator.Kind{
		opaysim.Definition(),
		tranzzosim.Definition(),
		bentosim.Definition(),
		openpaysim.Definition(),
	}
}

// Accounts are the kinds of the table and every variant of their accounts: what
// no page of the provider says, in each way it may be. The proofs play them all.
func Accounts() []simulator.Kind {
	return slices.Concat(
		Kinds(),
		opaysim.Variants(),
		tranzzosim.Variants(),
		bentosim.Variants(),
		openpaysim.Variants(),
	)
}

// Find returns the simulated kind of that name; false: there is none.
func Find(name string) (simulator.Kind, bool) {
	all := Kinds()
	i := slices.IndexFunc(all, func(k simulator.Kind) bool { return k.Name == name })
	if i < 0 {
		return simulator.Kind{}, false
	}
	return all[i], true
}

// Open builds the adapter of a kind for its simulated account at an address.
func Open(k simulator.Kind, baseURL string, client *providers.Client) (providers.Adapter, error) {
	settings, err := Settings(k, baseURL)
	if err != nil {
		return nil, err
	}
	half, _ := kinds.Find(k.Name) // Settings has found it
	return half.Open(settings, client)
}

// Settings fills the settings of a kind with those of its simulated account, as
// the configuration would. The error names the kind and the key that it lacks.
func Settings(k simulator.Kind, baseURL string) (any, error) {
	half, ok := kinds.Find(k.Name)
	if !ok {
		return nil, fmt.Errorf("settings of %s: the table of kinds lacks it", k.Name)
	}
	settings := half.NewSettings()
	for _, s := range append([]simulator.Setting{{Key: "baseURL", Value: baseURL}}, k.Account...) {
		if err := set(reflect.ValueOf(settings).Elem(), s); err != nil {
			return nil, fmt.Errorf("settings of %s: %w", k.Name, err)
		}
	}
	return settings, nil
}

// set gives the field with the setting's key its value.
func set(target reflect.Value, s simulator.Setting) error {
	for i := range target.NumField() {
		name, _, _ := strings.Cut(target.Type().Field(i).Tag.Get("yaml"), ",")
		if name != s.Key {
			continue
		}
		value := reflect.ValueOf(s.Value)
		if text, ok := s.Value.(string); ok && s.Secret {
			value = reflect.ValueOf(providers.NewSecret(text))
		}
		field := target.Field(i)
		if value.Kind() != field.Kind() {
			return fmt.Errorf("%s takes no %s", s.Key, value.Type())
		}
		field.Set(value.Convert(field.Type()))
		return nil
	}
	return fmt.Errorf("there is no key %s", s.Key)
}
