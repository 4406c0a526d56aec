package properties_test

import (
	"time"

	"github.com/countermand/countermand/payment"
)

const (
	ourAccount   = "account-one"
	otherAccount = "account-two"
)

// morning is when every story begins; the first command was published then.
func morning() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

func egp(v int64) payment.Money    { return payment.Money{Value: v, Currency: "EGP"} }
func inEGP(v int64) *payment.Money { m := egp(v); return &m }

// refund is a command for a partial refund; its key is its name.
func refund(key payment.Key, v int64) payment.Command {
	c := command(payment.Refund, key)
	c.Amount = inEGP(v)
	return c
}

func fullRefund(key payment.Key) payment.Command {
	c := command(payment.Refund, key)
	c.Full = true
	return c
}

func cancel(key payment.Key) payment.Command { return command(payment.Cancel, key) }

func command(op payment.Op, key payment.Key) payment.Command {
	return payment.Command{
		Op: op, Key: key, Provider: "shop",
		Payment: payment.Details{OrderID: "1001", TransactionID: "tx-1", Country: "EG", Currency: "EGP"},
		Origin:  payment.Origin{CommandID: "event-" + string(key), CommandSource: "/orders"}, Trace: payment.Trace{CorrelationID: "correlation-" + string(key)},
		RequestedAt: morning(),
	}
}

func captured(c payment.Command, v int64) payment.Command {
	c.Payment.CapturedAmount = inEGP(v)
	return c
}
