package opaysim

import (
	"encoding/json"

	"github.com/countermand/countermand/providers/simulator"
)

// Definition is the kind's entry in the table of simulated kinds.
func Definition() simulator.Kind {
	return simulator.Kind{
		Name: "opay", Instance: "opay-eg", New: simulated(Options{}), Weight: 40,
		Account: []simulator.Setting{
			{Key: "merchantID", Value: DefaultMerchantID},
			{Key: "secretKey", Value: DefaultSecretKey, Secret: true},
			{Key: "callbackURL", Value: "https://shop.example/callback"},
			{Key: "country", Value: "EG"},
		},
		Payments: simulator.Payments{
			Currency: "EGP", Amount: 40000, First: "100100%d", Also: map[string]string{"country": "EG"},
			Seed: seedOf, AmountOf: amountOf,
		},
		Habits: simulator.Habits{
			Cancels:      []simulator.State{simulator.Unpaid},
			CancelRepeat: simulator.Harmless, FullRepeat: simulator.Refused, PartRepeat: simulator.Refused,
			Parallel: true, Slow: true, Read: opRead, Query: opQuery,
			Modes: []simulator.Mode{DeclineLater}, DeclineLater: DeclineLater,
		},
		Scenes: []simulator.Scene{
			{Share: 4, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskParts, UpTo: 4}}},
			{Share: 2, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskFull}}},
			{Share: 1, State: simulator.Unpaid, Asks: []simulator.Ask{{What: simulator.AskCancel}}},
			{Share: 1, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskCancel}}}, // OPay leaves a paid one as it is
			{Share: 1, State: simulator.Paid, Asks: []simulator.Ask{
				{What: simulator.AskParts}, {What: simulator.AskTooMuch}, {What: simulator.AskExpired},
			}},
			{Share: 1, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskParts}, {What: simulator.AskFull}}},
		},
	}
}

// Variants are accounts that answer otherwise than the kind's own, where no page
// says how OPay answers, for the proofs.
func Variants() []simulator.Kind {
	executing := Definition()
	executing.New = simulated(Options{RepeatsExecute: true})
	executing.FullRepeat, executing.PartRepeat = simulator.Unsafe, simulator.Unsafe
	executing.Account = append(executing.Account, simulator.Setting{Key: "refundRepeat", Value: "unsafe"})
	coded := Definition()
	coded.New = simulated(Options{DuplicateCode: "31337"})
	return []simulator.Kind{executing.As("repeats carried out"), coded.As("another duplicate code")}
}

func simulated(o Options) func(simulator.Manner) simulator.Simulated {
	return func(m simulator.Manner) simulator.Simulated {
		o := o
		o.Now = m.Now
		switch m.Pace {
		case simulator.AtOnce:
			o.FirstStatus = "SUCCESS"
		case simulator.Later:
			o.SettleAfter = 1
		case simulator.Documented:
		}
		s := New(o)
		return simulator.Simulated{Handler: s, Base: s.Base}
	}
}

func seedOf(name string, amount int64, s simulator.State) any {
	p := Payment{Reference: name, Country: "EG", Amount: amount, Currency: "EGP", Status: "SUCCESS"}
	if s == simulator.Unpaid {
		p.Status = "INITIAL"
	}
	return p
}

func amountOf(body string) (int64, bool) {
	var q request
	if json.Unmarshal([]byte(body), &q) != nil || q.Amount == nil {
		return 0, false
	}
	return q.Amount.Total, true
}
