package tranzzosim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/countermand/countermand/providers/simulator"
)

// Definition is the kind's entry in the table of simulated kinds.
func Definition() simulator.Kind {
	return simulator.Kind{
		Name: "tranzzo", Instance: "tranzzo-ua", New: simulated(Options{}), Weight: 20,
		Account: []simulator.Setting{
			{Key: "posID", Value: DefaultPosID},
			{Key: "endpointsKey", Value: DefaultEndpointsKey, Secret: true},
			{Key: "apiKey", Value: DefaultAPIKey, Secret: true},
			{Key: "apiSecret", Value: DefaultAPISecret, Secret: true},
			{Key: "currency", Value: "UAH"},
		},
		Payments: simulator.Payments{
			Currency: "UAH", Amount: 25000, First: "ua-100%d", Also: map[string]string{"currency": "UAH"},
			Seed: seedOf, AmountOf: amountOf,
		},
		Habits: simulator.Habits{
			Cancels:      []simulator.State{simulator.Unpaid, simulator.Authorised},
			CancelRepeat: simulator.Harmless, FullRepeat: simulator.Refused, PartRepeat: simulator.Unsafe,
			Slow: true, Compares: true, Read: "query", Query: "query",
		},
		Scenes: []simulator.Scene{
			{Share: 3, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskParts, UpTo: 2}}},
			{Share: 3, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskFull}}},
			{Share: 2, State: simulator.Unpaid, Asks: []simulator.Ask{{What: simulator.AskCancel}}},
			{Share: 1, State: simulator.Authorised, Asks: []simulator.Ask{{What: simulator.AskCancel}}},
			{Share: 1, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskParts}, {What: simulator.AskFull}}},
		},
	}
}

// Variants are accounts that answer otherwise than the kind's own, where no page
// says how Tranzzo answers, for the proofs.
func Variants() []simulator.Kind {
	var all []simulator.Kind
	for name, o := range map[string]Options{
		"comments listed":       {ShowComments: true},
		"second cancel refused": {RefuseRepeats: true},
		"amounts as text":       {AmountsAsText: true},
	} {
		k := Definition()
		k.New, k.Compares = simulated(o), !o.ShowComments
		all = append(all, k.As(name))
	}
	slices.SortFunc(all, func(a, b simulator.Kind) int { return strings.Compare(a.Variant, b.Variant) })
	return all
}

func simulated(o Options) func(simulator.Manner) simulator.Simulated {
	return func(m simulator.Manner) simulator.Simulated {
		o := o
		o.Now = m.Now
		if m.Pace == simulator.Later {
			o.Pending, o.SettleAfter = true, 2
		}
		s := New(o)
		return simulator.Simulated{Handler: s, Base: s.Base}
	}
}

func seedOf(name string, amount int64, s simulator.State) any {
	p := Payment{OrderID: name, Amount: amount, Currency: "UAH"}
	switch s {
	case simulator.Unpaid:
		p.Status = "init"
	case simulator.Authorised:
		p.Method = "auth"
	case simulator.Paid:
	}
	return p
}

// amountOf reads an amount in major units, written as text or as a number.
func amountOf(body string) (int64, bool) {
	var v struct {
		RefundAmount json.RawMessage `json:"refund_amount"`
	}
	if json.Unmarshal([]byte(body), &v) != nil || len(v.RefundAmount) == 0 {
		return 0, false
	}
	whole, fraction, _ := strings.Cut(strings.Trim(string(v.RefundAmount), `"`), ".")
	n, err := strconv.ParseInt(whole+(fraction + "00")[:2], 10, 64)
	return n, err == nil
}
