// Package simulators has the table of simulated provider kinds, and puts every
// simulator on one address, each under the path of its kind, with an account
// and payments to begin with. What a simulator does is said in its own package.
package simulators

import (
	"fmt"
	"io"
	"net/http"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// Set is every simulator; safe for concurrent use.
type Set struct{ all []one }

// one is one simulated provider.
type one struct {
	kind simulator.Kind
	sim  simulator.Simulated
}

// New returns all simulators with their accounts and first payments.
func New() (*Set, error) {
	s := &Set{}
	for _, k := range Kinds() {
		sim := k.New(simulator.Manner{})
		s.all = append(s.all, one{k, sim})
		if err := Seed(k, sim, func(string) bool { return false }); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// Seed gives a simulator the payments of its kind to begin with, but for those that are
// there.
func Seed(k simulator.Kind, sim simulator.Simulated, there func(name string) bool) error {
	for n, name := range k.Names() {
		if there(name) {
			continue
		}
		if err := sim.Seed(k.Seed(name, k.Amount, firstState(k, n))); err != nil {
			return fmt.Errorf("seed %s: %w", k.Name, err)
		}
	}
	return nil
}

// firstState leaves the last two payments to be cancelled, where that works.
func firstState(k simulator.Kind, n int) simulator.State {
	if n >= len(k.Names())-2 && len(k.Cancels) > 0 {
		return k.Cancels[0]
	}
	return simulator.Paid
}

// Handler serves every simulator under /<kind>.
func (s *Set) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, o := range s.all {
		mux.Handle("/"+o.kind.Name+"/", http.StripPrefix("/"+o.kind.Name, o.sim))
	}
	return mux
}

// Close cuts what hangs.
func (s *Set) Close() {
	for _, o := range s.all {
		o.sim.Close()
	}
}

// Describe tells people what there is, at the address it is served on.
func (s *Set) Describe(w io.Writer, address string) {
	for _, o := range s.all {
		k := o.kind
		account := k.YAML(simulator.Setting.Text)
		fmt.Fprintf(w, "  http://%s/%s\n      account   %s\n      payments  %s\n", address, k.Name, account, payments(k))
	}
}

// payments says which there are to begin with.
func payments(k simulator.Kind) string {
	names := k.Names()
	text := "orderId "
	if k.ByTransaction {
		text = "transactionId "
	}
	text += names[0] + " to " + names[len(names)-1]
	if k.ByTransaction {
		text += ", orderId " + simulator.OrderOf("<transactionId>")
	}
	for key, value := range k.Also {
		text += ", " + key + " " + value
	}
	text += ", " + payment.Money{Value: k.Amount, Currency: payment.Currency(k.Currency)}.Text() + " each"
	if len(k.Cancels) > 0 {
		text += "; the last two are " + string(k.Cancels[0])
	}
	return text
}
