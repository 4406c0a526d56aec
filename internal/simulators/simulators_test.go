package simulators_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

func TestBothTablesHoldEveryKindThereIs(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("../../providers/*/*sim")
	if err != nil {
		t.Fatal(err)
	}
	var there, all, simulated []string
	for _, f := range folders {
		there = append(there, filepath.Base(filepath.Dir(f)))
	}
	for _, k := range kinds.All() {
		all = append(all, k.Name)
	}
	for _, k := range simulators.Kinds() {
		simulated = append(simulated, k.Name)
	}
	if diff := cmp.Diff(all, simulated); diff != "" {
		t.Errorf("the two tables differ (-kinds.All +simulators.Kinds):\n%s", diff)
	}
	slices.Sort(all)
	if diff := cmp.Diff(there, all); diff != "" {
		t.Errorf("the tables are not what providers/ holds (-folders +kinds.All):\n%s", diff)
	}
}

func TestTheConformanceSuiteRunsOnEveryKind(t *testing.T) {
	t.Parallel()
	for _, k := range kinds.All() {
		suite, err := os.ReadFile("../../providers/" + k.Name + "/conformance_test.go")
		if err != nil || !bytes.Contains(suite, []byte("providertest.Run(")) {
			t.Errorf("conformance suite: providers/%s/conformance_test.go does not run it (%v)", k.Name, err)
		}
	}
}

// What the proofs expect of a kind is its simulator's word. The adapter must
// not promise anything else.
func TestAnAdapterPromisesWhatItsSimulatorDoes(t *testing.T) {
	t.Parallel()
	for _, k := range simulators.Accounts() {
		t.Run(k.Title(), func(t *testing.T) {
			t.Parallel()
			tr := traitsOf(t, k)
			want := payment.Traits{
				Kind: k.Name, Parallel: k.Parallel, Identity: payment.IdentityOrder, RequiresOrderID: true,
				RequiresCountry: k.Also["country"] != "", RequiresCurrency: k.Also["currency"] != "",
				MaxIdentifier: tr.MaxIdentifier, ShowsRefunds: tr.ShowsRefunds, TellsEnded: tr.TellsEnded,
				RequiresTransactionID: tr.RequiresTransactionID, Asks: tr.Asks,
			}
			if (k.Asked == simulator.Always) != (tr.Asks == payment.AsksDocumented) || k.Asked != simulator.Always && tr.Asks.String() != string(k.Asked) {
				t.Errorf("what can be asked is %s, and at the simulator %q", tr.Asks, k.Asked)
			}
			if k.ByTransaction {
				want.Identity = payment.IdentityTransaction
			}
			operation := func(is payment.OperationTraits, supported bool, repeat simulator.Repeat) payment.OperationTraits {
				if supported && is.Repeat.String() != string(repeat) {
					t.Errorf("a repeat is %s, and the simulator's %s", is.Repeat, repeat)
				}
				is.Supported = supported
				return is
			}
			want.Cancel = operation(tr.Cancel, len(k.Cancels) > 0, k.CancelRepeat)
			want.FullRefund = operation(tr.FullRefund, true, k.FullRepeat)
			want.PartialRefund = operation(tr.PartialRefund, true, k.PartRepeat)
			if diff := cmp.Diff(want, tr); diff != "" {
				t.Errorf("traits (-simulator +adapter):\n%s", diff)
			}
		})
	}
}

func TestEverySimulatorServesUnderItsKindAndIsDescribed(t *testing.T) {
	t.Parallel()
	set, err := simulators.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	server := httptest.NewServer(set.Handler())
	t.Cleanup(server.Close)
	var text bytes.Buffer
	set.Describe(&text, "127.0.0.1:4280")
	for _, k := range simulators.Kinds() {
		answer, err := server.Client().Get(server.URL + "/" + k.Name + "/ledger")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s: its ledger is answered %d", k.Name, answer.StatusCode)
		}
		for _, want := range append(k.Names()[:1], "127.0.0.1:4280/"+k.Name, k.Account[0].Key) {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%s: the description lacks %q:\n%s", k.Name, want, &text)
			}
		}
	}
}

func TestEverySimulatorRemembersOverARestart(t *testing.T) {
	t.Parallel()
	for _, k := range simulators.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			first, second := k.New(simulator.Manner{}), k.New(simulator.Manner{})
			t.Cleanup(first.Close)
			t.Cleanup(second.Close)
			for n, o := range k.Operations() {
				if err := first.Seed(k.Seed(k.Names()[n], k.Amount, simulator.StateFor(o))); err != nil {
					t.Fatal(err)
				}
			}
			refund(t, k, first, k.Names()[len(k.Operations())-1]) // the one for a partial refund
			if n := first.Ledger().Count("", ""); n != 1 {
				t.Fatalf("%d executions, want the refund's", n)
			}
			saved, err := first.Save()
			if err != nil {
				t.Fatal(err)
			}
			if err := second.Load(saved); err != nil {
				t.Fatal(err)
			}
			again, err := second.Save()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(saved), string(again)); diff != "" {
				t.Errorf("memory (-saved +loaded and saved again):\n%s", diff)
			}
			if n := second.Ledger().Count("", ""); n != 1 {
				t.Errorf("%d executions are remembered, want 1", n)
			}
			for _, other := range []string{"{", `{"payments":[]}`, `{"own":{"of another version":1}}`} {
				if err := second.Load([]byte(other)); err == nil {
					t.Errorf("%s: half of a memory was loaded", other)
				}
			}
		})
	}
}

// refund has the adapter refund a part of a payment.
func refund(t *testing.T, k simulator.Kind, sim simulator.Simulated, name string) {
	t.Helper()
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	a, err := simulators.Open(k, server.URL, providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	ids := k.Identifiers(name)
	out := a.Call(t.Context(), providers.Request{
		Op: payment.Refund, Amount: &payment.Money{Value: 400, Currency: payment.Currency(k.Currency)},
		Payment: payment.Details{
			OrderID: ids["orderId"], TransactionID: ids["transactionId"], Country: ids["country"], Currency: payment.Currency(k.Currency),
		},
		Key: "key", Reference: "0123456789abcdef0123456789abcdef",
	})
	calls := sim.Calls()
	if amount, ok := k.AmountOf(calls[len(calls)-1].Body); !ok || amount != 400 {
		t.Errorf("the recorded call names %d (%t), want 400", amount, ok)
	}
	if out.Result != payment.Succeeded && out.Result != payment.Pending && out.Result != payment.Indeterminate {
		t.Fatalf("refund: %+v", out)
	}
}
