package providers_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// quiet is a provider that is never called here.
type quiet struct{ kind string }

func (q quiet) Traits() payment.Traits { return payment.Traits{Kind: q.kind} }

func (quiet) Call(context.Context, providers.Request) payment.Outcome { return payment.Outcome{} }

func (quiet) QueryStatus(context.Context, providers.Request) payment.Outcome {
	return payment.Outcome{}
}

func (quiet) Read(context.Context, providers.Request) payment.Reading { return payment.Reading{} }

func instance(name, account string) providers.Instance {
	return providers.Instance{Name: name, Kind: "openpay", Account: account, Provider: quiet{kind: "openpay"}}
}

func TestASetGivesItsInstancesByName(t *testing.T) {
	t.Parallel()
	set, err := providers.NewSet(instance("openpay-uk", "b"), instance("openpay-eu", "a"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"openpay-eu", "openpay-uk"}, set.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	got, ok := set.Get("openpay-eu")
	if !ok || got.Account != "a" {
		t.Errorf("Get(openpay-eu) = %+v, %v", got, ok)
	}
	if _, ok := set.Get("opay-eg"); ok {
		t.Error("an instance nobody configured was found")
	}
}

func TestNamesCannotBeChangedThroughTheList(t *testing.T) {
	t.Parallel()
	set, err := providers.NewSet(instance("openpay-eu", "a"))
	if err != nil {
		t.Fatal(err)
	}
	set.Names()[0] = "changed"
	if got := set.Names()[0]; got != "openpay-eu" {
		t.Errorf("name is %q after its copy was changed", got)
	}
}

func TestEveryFaultOfASetIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	wrongKind := instance("bento-uk", "c")
	wrongKind.Kind = "bento"
	negative := instance("negative", "d")
	negative.MaxConcurrent = -1
	_, err := providers.NewSet(
		instance("openpay-eu", "a"),
		instance("openpay-eu", "b"),
		instance("openpay-uk", "a"),
		instance("Open.Pay", "e"),
		wrongKind, negative,
		providers.Instance{Name: "empty"},
	)
	if err == nil {
		t.Fatal("a set full of faults was accepted")
	}
	for _, want := range []string{
		`"openpay-eu": name is used twice`,
		`"openpay-uk": same account as "openpay-eu"`,
		`"Open.Pay": name must match`,
		`"bento-uk": kind "bento", but its adapter is "openpay"`,
		`"negative": maxConcurrent is negative`,
		`"empty": has no adapter`,
		`"empty": has no account`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
}

func TestNamesAreSubjectTokens(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "0": true, "opay-eg": true, strings.Repeat("a", 32): true,
		"": false, "-a": false, "a.b": false, "a*": false, "a>": false, "A": false, "a b": false,
		"a\n": false, strings.Repeat("a", 33): false, "ä": false,
	} {
		_, err := providers.NewSet(instance(name, "a"))
		if (err == nil) != want {
			t.Errorf("name %q: error %v, want accepted %v", name, err, want)
		}
	}
}
