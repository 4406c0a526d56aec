package payment

import "fmt"

// Defaults is what an instance fills in where a command is silent.
type Defaults struct {
	Country  string
	Currency Currency
}

// Complete fills in the instance's defaults and checks what the kind needs of
// a command: which identifiers, country and currency. It returns every fault;
// with faults the command must not be decided about.
func (t Traits) Complete(c Command, d Defaults) (Command, []Fault) {
	if c.Payment.Country == "" {
		c.Payment.Country = d.Country
	}
	if c.Payment.Currency == "" {
		c.Payment.Currency = d.Currency
	}
	var faults []Fault
	need := func(needed bool, value, pointer string) {
		if needed && value == "" {
			faults = append(faults, Fault{Pointer: pointer, Rule: "required", Detail: "this provider kind needs it"})
		}
	}
	need(t.RequiresOrderID || t.Identity == IdentityOrder, c.Payment.OrderID, "/payment/orderId")
	need(t.RequiresTransactionID || t.Identity == IdentityTransaction, c.Payment.TransactionID, "/payment/transactionId")
	need(t.RequiresCountry, c.Payment.Country, "/payment/country")
	need(t.RequiresCurrency, string(c.Payment.Currency), "/payment/currency")
	for _, id := range []struct{ value, pointer string }{
		{c.Payment.OrderID, "/payment/orderId"}, {c.Payment.TransactionID, "/payment/transactionId"},
	} {
		if t.MaxIdentifier > 0 && len(id.value) > t.MaxIdentifier {
			faults = append(faults, Fault{
				Pointer: id.pointer, Rule: "max",
				Detail: fmt.Sprintf("this provider kind takes at most %d characters", t.MaxIdentifier),
			})
		}
	}
	return c, faults
}
