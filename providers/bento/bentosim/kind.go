package bentosim

import (
	"github.com/countermand/countermand/providers/simulator"
)

// Definition is the kind's entry in the table of simulated kinds.
func Definition() simulator.Kind {
	return simulator.Kind{
		Name: "bento", Instance: "bento-uk", New: simulated(Options{}), Weight: 20,
		Account: []simulator.Setting{
			{Key: "account", Value: "shop-uk"},
			{Key: "token", Value: DefaultToken, Secret: true},
		},
		Payments: simulator.Payments{
			Currency: "GBP", Amount: 9900, First: "tx-100%d", ByTransaction: true,
			Seed: seedOf, AmountOf: amountOf,
		},
		Habits: simulator.Habits{
			Cancels:      []simulator.State{simulator.Authorised},
			CancelRepeat: simulator.Refused, FullRepeat: simulator.Refused, PartRepeat: simulator.Refused,
			OneRefund: true, Slow: true, Compares: true, CancelNeedsSight: true, Read: opRead, Query: opRead,
			Modes: []simulator.Mode{CaptureFirst, DeclineRetryable}, DeclineLater: DeclineLater,
		},
		Scenes: []simulator.Scene{
			{Share: 3, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskFull}}},
			{Share: 3, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskParts}}},
			{Share: 2, State: simulator.Authorised, Asks: []simulator.Ask{{What: simulator.AskCancel}}},
			{Share: 1, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskParts, Parts: 2}}}, // one must learn that Bento takes one only
			{Share: 1, State: simulator.Paid, Asks: []simulator.Ask{{What: simulator.AskCancel}}},          // it was paid
		},
	}
}

// Variants are accounts that are otherwise than the kind's own, where no page says
// how Bento is, for the proofs.
func Variants() []simulator.Kind {
	unread := Definition()
	unread.New, unread.Waits = simulated(Options{NoRead: true}), true
	refusing := Definition()
	refusing.New = simulated(Options{DeclineIn4xx: true})
	return []simulator.Kind{unread.As("read missing"), refusing.As("declines in 4xx")}
}

func simulated(o Options) func(simulator.Manner) simulator.Simulated {
	return func(m simulator.Manner) simulator.Simulated {
		o := o
		o.Now = m.Now
		switch m.Pace {
		case simulator.AtOnce:
			o.Answer = AnswerFinal
		case simulator.Later:
			o.SettleAfter = 1
		case simulator.Documented:
		}
		s := New(o)
		return simulator.Simulated{Handler: s, Base: s.Base}
	}
}

func seedOf(name string, amount int64, s simulator.State) any {
	p := Payment{OrderID: simulator.OrderOf(name), TransactionID: name, Amount: amount, Currency: "GBP", State: captureSucceeded}
	if s == simulator.Authorised {
		p.State = authSucceeded
	}
	return p
}

func amountOf(body string) (int64, bool) {
	amount, ok := refundAmount([]byte(body))
	if !ok || amount == nil {
		return 0, false
	}
	return *amount, true
}
