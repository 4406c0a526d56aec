package providers_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// said is an adapter whose every answer is the outcome.
type said struct {
	providers.Provider
	payment.Outcome
}

func (s said) Account() string { return "account" }

func (s said) Call(context.Context, providers.Request) payment.Outcome { return s.Outcome }

func (s said) QueryStatus(context.Context, providers.Request) payment.Outcome { return s.Outcome }

// saidAndSigned verifies notifications too.
type saidAndSigned struct{ said }

func (saidAndSigned) VerifyNotification(string, []byte) (providers.Notification, error) {
	return providers.Notification{Reference: "r-1"}, nil
}

type noSettings struct{}

func (noSettings) WithDefaults() noSettings { return noSettings{} }
func (noSettings) Verify() error            { return nil }

// kindOf is a kind of which 05 is documented as "Do not honour", PENDING without a text,
// and "Not found" without a code.
func kindOf(a providers.Adapter) providers.Kind {
	texts := providers.Texts{"": {"Not found"}, "05": {"Do not honour"}, "PENDING": nil}
	return providers.NewKind("said", payment.ReferenceOfPayment, texts, func(noSettings, *providers.Client) (providers.Adapter, error) { return a, nil })
}

func opened(t *testing.T, k providers.Kind) providers.Adapter {
	t.Helper()
	a, err := k.Open(k.NewSettings(), providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestOfAProvidersWordsOnlyTheDocumentedOnesAreTold(t *testing.T) {
	t.Parallel()
	type words struct{ Code, Message, Reference string }
	const paid = "2110031408854996"
	for in, want := range map[words]words{
		{"05", "Do not honour", paid}:                {"05", "Do not honour", paid},
		{"05", "do-not HONOUR.", paid}:               {"05", "do-not HONOUR.", paid},
		{"05", "Do not honour Ana Lima", paid}:       {"05", "", paid},
		{"51", "Do not honour", paid}:                {"51", "", paid},
		{"", "not found", ""}:                        {"", "not found", ""},
		{"05", "not found", ""}:                      {"05", "", ""},
		{"PENDING", "PENDING", ""}:                   {"PENDING", "", ""},
		{"DECLINED", "", ""}:                         {},
		{"PG0051", "", ""}:                           {"PG0051", "", ""},
		{"olena.kovalenko1990", "", ""}:              {},
		{"AB123456", "", ""}:                         {},
		{"tel-441234", "", "4111.1111.1111.1111"}:    {},
		{"Ana Lima", "Ana Lima", "Ana Lima"}:         {},
		{"05", "", "ana@example.com"}:                {"05", "", ""},
		{"4012888888881881", "", "4012888888881881"}: {},
	} {
		out := payment.Outcome{
			Result: payment.Failed, Message: "declined", ProviderCode: in.Code, ProviderMessage: in.Message, ProviderReference: in.Reference,
		}
		a := opened(t, kindOf(said{Outcome: out}))
		out.ProviderCode, out.ProviderMessage, out.ProviderReference = want.Code, want.Message, want.Reference
		for name, got := range map[string]payment.Outcome{
			"call": a.Call(t.Context(), providers.Request{}), "query": a.QueryStatus(t.Context(), providers.Request{}),
		} {
			if diff := cmp.Diff(out, got); diff != "" {
				t.Errorf("%s of %+v (-want +got):\n%s", name, in, diff)
			}
		}
	}
}

func TestASilentKindTellsItsCodesAndNoMessage(t *testing.T) {
	t.Parallel()
	for code, message := range map[string]string{"05": "Do not honour", "": "Not found", "PENDING": ""} {
		k := kindOf(said{Outcome: payment.Outcome{ProviderCode: code, ProviderMessage: message}})
		if got := opened(t, k.Silent()).Call(t.Context(), providers.Request{}); got.ProviderMessage != "" || got.ProviderCode != code {
			t.Errorf("told %q %q", got.ProviderCode, got.ProviderMessage)
		}
		if got := opened(t, k).Call(t.Context(), providers.Request{}); got.ProviderMessage != message {
			t.Errorf("the kind itself has become silent: %q", got.ProviderMessage)
		}
	}
}

func TestAnAdapterThatVerifiesNotificationsStillDoes(t *testing.T) {
	t.Parallel()
	if _, ok := opened(t, kindOf(said{})).(providers.NotificationVerifier); ok {
		t.Error("an adapter that cannot verify says that it can")
	}
	v, ok := opened(t, kindOf(saidAndSigned{})).(providers.NotificationVerifier)
	if !ok {
		t.Fatal("the adapter no longer verifies")
	}
	if n, err := v.VerifyNotification("", nil); err != nil || n.Reference != "r-1" {
		t.Errorf("%+v, %v", n, err)
	}
}
