package payment_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
)

func TestCompleteFillsInDefaultsAndFindsEveryFault(t *testing.T) {
	t.Parallel()
	defaults := payment.Defaults{Country: "EG", Currency: "EGP"}
	everything := payment.Traits{
		Identity: payment.IdentityOrder, RequiresOrderID: true, RequiresTransactionID: true, RequiresCountry: true, RequiresCurrency: true,
	}
	required := func(pointer string) payment.Fault {
		return payment.Fault{Pointer: pointer, Rule: "required", Detail: "this provider kind needs it"}
	}
	long := payment.Details{OrderID: strings.Repeat("o", 33), TransactionID: strings.Repeat("t", 32)}
	cases := []struct {
		name     string
		traits   payment.Traits
		details  payment.Details
		defaults payment.Defaults
		want     payment.Details
		faults   []payment.Fault
	}{
		{name: "defaults fill in what is silent", traits: everything, details: payment.Details{OrderID: "1", TransactionID: "t"}, defaults: defaults, want: payment.Details{OrderID: "1", TransactionID: "t", Country: "EG", Currency: "EGP"}},
		{name: "the command's word stands over the defaults", details: payment.Details{OrderID: "1", Country: "UA", Currency: "UAH"}, defaults: defaults, want: payment.Details{OrderID: "1", Country: "UA", Currency: "UAH"}},
		{
			name: "every fault is found at once", traits: everything,
			faults: []payment.Fault{required("/payment/orderId"), required("/payment/transactionId"), required("/payment/country"), required("/payment/currency")},
		},
		{name: "the order that names the payment is needed", traits: payment.Traits{Identity: payment.IdentityOrder}, faults: []payment.Fault{required("/payment/orderId")}},
		{name: "the transaction that names the payment is needed", traits: payment.Traits{Identity: payment.IdentityTransaction}, faults: []payment.Fault{required("/payment/transactionId")}},
		{
			name: "an identifier over the kind's length is a fault", traits: openpay(), details: long, want: long,
			faults: []payment.Fault{{Pointer: "/payment/orderId", Rule: "max", Detail: "this provider kind takes at most 32 characters"}},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, faults := c.traits.Complete(payment.Command{Payment: c.details}, c.defaults)
			if diff := cmp.Diff(c.want, got.Payment); diff != "" {
				t.Errorf("payment (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.faults, faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
