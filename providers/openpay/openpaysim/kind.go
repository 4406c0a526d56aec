package openpaysim

import (
	"net/url"
	"strconv"

	"github.com/countermand/countermand/providers/simulator"
)

// Definition is the kind's entry in the table of simulated kinds: an account of
// which nobody can ask anything, since the provider's page has one call.
func Definition() simulator.Kind {
	return simulator.Kind{
		Name: "openpay", Instance: "openpay-eu", New: simulated(StatusAbsent), Weight: 20,
		Account: account("shop-eu"),
		Payments: simulator.Payments{
			Currency: "EUR", Amount: 12340, First: "529-1438673740-%d", ByTransaction: true,
			Seed: seedOf, AmountOf: amountOf,
		},
		Habits: simulator.Habits{
			CancelRepeat: simulator.Unsafe, FullRepeat: simulator.Refused, PartRepeat: simulator.Unsafe,
			Compares: true, Blind: true, Asked: simulator.Never, SaysDone: true,
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

// Shown is an account whose status call shows every refund, for the demo.
func Shown(instance string) simulator.Kind {
	all := Variants()
	k := all[len(all)-1]
	k.Instance = instance
	return k
}

// Variants are accounts with a status call switched on, for the proofs: one for
// each sort of answer. No page says which is the real one.
func Variants() []simulator.Kind {
	var all []simulator.Kind
	for _, v := range []struct {
		name   string
		status StatusCall
	}{
		{"status missing", StatusAbsent},
		{"status blank", StatusBlank},
		{"status wrong", StatusWrong},
		{"status paid", StatusPaid},
		{"status full", StatusFull},
		{"status parts", StatusParts}, // the last: see Shown
	} {
		k := Definition().As(v.name)
		k.New, k.Account = simulated(v.status), append(account(k.Instance), simulator.Setting{Key: "statusPath", Value: statusPath})
		k.Blind, k.Asked = v.status != StatusParts, simulator.InVain
		k.Dim, k.Useless = v.status < StatusFull, v.status < StatusWrong
		k.Read, k.Query = opQuery, opQuery
		all = append(all, k)
	}
	return all
}

// account lists the settings of a simulated account by its label.
func account(label string) []simulator.Setting {
	return []simulator.Setting{
		{Key: "account", Value: label},
		{Key: "apiKey", Value: DefaultAPIKey, Secret: true},
		{Key: "partialRefunds", Value: true},
	}
}

func simulated(status StatusCall) func(simulator.Manner) simulator.Simulated {
	return func(m simulator.Manner) simulator.Simulated {
		o := Options{Now: m.Now, PartialRefunds: true, Status: status}
		if m.HideRefunds {
			o.Status = min(o.Status, StatusPaid)
		}
		s := New(o)
		return simulator.Simulated{Handler: s, Base: s.Base}
	}
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
