package openpaysim

import (
	"net/url"
	"strconv"

	"github.com/countermand/countermand/providers/simulator"
)

// Definition is the kind's entry in the table of simulated kinds.
func Definition() simulator.Kind {
	return simulator.Kind{
		Name: "openpay", Instance: "openpay-eu", New: simulated, Weight: 20,
		Account: []simulator.Setting{
			{Key: "account", Value: "shop-eu"},
			{Key: "apiKey", Value: DefaultAPIKey, Secret: true},
			{Key: "partialRefunds", Value: true},
		},
		Payments: simulator.Payments{
			Currency: "EUR", Amount: 12340, First: "529-1438673740-%d", ByTransaction: true,
			Seed: seedOf, AmountOf: amountOf,
		},
		Habits: simulator.Habits{
			CancelRepeat: simulator.Unsafe, PartRepeat: simulator.Unsafe,
			Compares: true, Blind: true, Read: opQuery, Query: opQuery,
		},
		Scenes: []simulator.Scene{
			{Share: 4, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskFull}}},
			{Share: 3, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskParts, UpTo: 2}}},
			{Share: 1, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskTooMuch}, {What: simulator.AskParts}}},
			{Share: 1, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskCancel, Never: true}}},
			{Share: 1, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskParts}, {What: simulator.AskFull}}},
		},
	}
}

func simulated(m simulator.Manner) simulator.Simulated {
	s := New(Options{Now: m.Now, PartialRefunds: true, HideRefunds: m.HideRefunds})
	return simulator.Simulated{Handler: s, Base: s.Base}
}

func seedOf(name string, amount int64, _ simulator.State) any {
	return Payment{TransactionID: name, ReferenceNo: simulator.OrderOf(name), Amount: amount, Currency: "EUR"}
}

// amountOf reads a form: JSON is not what the simulated account is set to.
func amountOf(body string) (int64, bool) {
	form, err := url.ParseQuery(body)
	if err != nil || form.Get("amount") == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(form.Get("amount"), 10, 64)
	return n, err == nil
}
