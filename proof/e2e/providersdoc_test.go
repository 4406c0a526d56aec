package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/tranzzo"
)

// everyKind returns one instance of each kind with its default settings, in
// the order of docs/providers.md.
func everyKind(t *testing.T) []providers.Provider {
	t.Helper()
	const base = "https://provider.example"
	secret := providers.NewSecret("secret")
	client := providers.NewClient(nil)
	a, errA := opay.New(opay.Settings{BaseURL: base, MerchantID: "1", SecretKey: secret, CallbackURL: base}, client)
	b, errB := tranzzo.New(tranzzo.Settings{BaseURL: base, PosID: "1", EndpointsKey: secret, APIKey: secret, APISecret: secret}, client)
	c, errC := bento.New(bento.Settings{BaseURL: base, Account: "shop", Token: secret}, client)
	d, errD := openpay.New(openpay.Settings{BaseURL: base, Account: "shop", APIKey: secret, PartialRefunds: true}, client)
	for _, err := range []error{errA, errB, errC, errD} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return []providers.Provider{a, b, c, d}
}

func TestTheProvidersPageSaysWhatTheTraitsSay(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(raw), "\n## Traits\n")
	page, _, _ = strings.Cut(page, "\n## ")
	var got []string
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	var want []string
	for _, p := range everyKind(t) {
		want = append(want, traitsRow(p.Traits()))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("traits (-code +docs/providers.md):\n%s", diff)
	}
}

func traitsRow(tr payment.Traits) string {
	named, also := "orderId", []string{}
	if tr.Identity == payment.IdentityTransaction {
		named = "transactionId"
	}
	for _, need := range []struct {
		name   string
		needed bool
	}{
		{"orderId", tr.RequiresOrderID},
		{"transactionId", tr.RequiresTransactionID},
		{"country", tr.RequiresCountry},
		{"currency", tr.RequiresCurrency},
	} {
		if need.needed && need.name != named {
			also = append(also, need.name)
		}
	}
	parallel := "no"
	if tr.Parallel {
		parallel = "yes"
	}
	partial := operationCell(tr.PartialRefund)
	if tr.Kind == openpay.Kind {
		partial += "; off unless `partialRefunds`" // the instance here has it on
	}
	return fmt.Sprintf("| %#q | %#q | %s | %d | %s | %s | %s | %s |", tr.Kind, named, strings.Join(also, ", "),
		tr.MaxIdentifier, parallel, operationCell(tr.Cancel), operationCell(tr.FullRefund), partial)
}

func operationCell(o payment.OperationTraits) string {
	switch {
	case !o.Supported:
		return "not offered"
	case o.Prepare == payment.PrepareAlways:
		return "`" + o.Repeat.String() + "`, read first"
	case o.Prepare == payment.PrepareAmount:
		return "`" + o.Repeat.String() + "`, read where no amount is known"
	default:
		return "`" + o.Repeat.String() + "`"
	}
}
