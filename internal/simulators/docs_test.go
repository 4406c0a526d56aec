package simulators_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/kinds"
	"github.com/countermand/countermand/providers/simulator"
)

// section returns the lines of a page's section that begin a row with a kind.
func section(t *testing.T, page, title string) []string {
	t.Helper()
	raw, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(raw), "\n## "+title+"\n")
	if !found {
		t.Fatalf("%s has no section %s", page, title)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var rows []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	return rows
}

func TestTheProvidersPageSaysWhatTheTraitsSay(t *testing.T) {
	t.Parallel()
	var want []string
	for _, k := range simulators.Kinds() {
		want = append(want, traitsRow(t, k))
		section(t, "docs/providers.md", k.Name)
	}
	if diff := cmp.Diff(want, section(t, "docs/providers.md", "Traits")); diff != "" {
		t.Errorf("traits (-code +docs/providers.md):\n%s", diff)
	}
}

func TestTheReadmeListsEveryKind(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, k := range simulators.Kinds() {
		want = append(want, k.Name)
	}
	for _, row := range section(t, "README.md", "Providers") {
		got = append(got, strings.Split(row, "`")[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds (-table +README.md, section Providers):\n%s", diff)
	}
}

// traitsOf is what a simulated account's adapter promises.
func traitsOf(t *testing.T, k simulator.Kind) payment.Traits {
	t.Helper()
	a, err := simulators.Open(k, "https://provider.example", providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	return a.Traits()
}

// switches lists the settings without which there are no partial refunds.
func switches(t *testing.T, k simulator.Kind) []string {
	t.Helper()
	var all []string
	for i, s := range k.Account {
		if s.Value != true {
			continue
		}
		without := k
		without.Account = slices.Delete(slices.Clone(k.Account), i, i+1)
		if !traitsOf(t, without).PartialRefund.Supported {
			all = append(all, "`"+s.Key+"`")
		}
	}
	return all
}

func traitsRow(t *testing.T, k simulator.Kind) string {
	t.Helper()
	tr := traitsOf(t, k)
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
	if off := switches(t, k); len(off) > 0 {
		partial += "; off unless " + strings.Join(off, ", ")
	}
	half, _ := kinds.Find(k.Name) // it was opened
	return fmt.Sprintf("| %#q | %#q | %s | %d | %s | %s | %#q | %s | %s | %s |", tr.Kind, named, strings.Join(also, ", "), tr.MaxIdentifier,
		parallel, askedCell(t, k), half.References, operationCell(tr.Cancel), operationCell(tr.FullRefund), partial)
}

// askedCell is what the account can be asked, and which settings change that.
func askedCell(t *testing.T, k simulator.Kind) string {
	t.Helper()
	asks := traitsOf(t, k).Asks
	cell := "`" + asks.String() + "`"
	for _, v := range simulators.Accounts() {
		if other := traitsOf(t, v).Asks; v.Name == k.Name && other != asks {
			return cell + ", `" + other.String() + "` with `" + v.Account[len(v.Account)-1].Key + "`"
		}
	}
	return cell
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
