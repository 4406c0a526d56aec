package simulator

import (
	"slices"
	"sync"
	"time"
)

// Movement is one execution: money moved, or with amount 0 an effect that
// moves none, such as closing an unpaid payment.
type Movement struct {
	Time      time.Time `json:"time"`
	Operation string    `json:"operation"`
	Payment   string    `json:"payment"`
	// Reference is the caller's reference, where the kind has one.
	Reference string `json:"reference,omitempty"`
	// ProviderReference is the simulated provider's own number.
	ProviderReference string `json:"providerReference,omitempty"`
	Amount            int64  `json:"amount"` // minor units
	Currency          string `json:"currency,omitempty"`
}

// Ledger records every execution and never removes or merges one; safe for
// concurrent use. A second entry for one refund is a double refund.
type Ledger struct {
	mu        sync.Mutex
	movements []Movement
	changed   signal
}

// Record appends one execution.
func (l *Ledger) Record(m Movement) {
	l.mu.Lock()
	l.movements = append(l.movements, m)
	l.mu.Unlock()
	l.changed.raise()
}

// Movements returns the executions of one payment in order; of all payments
// where payment is "".
func (l *Ledger) Movements(payment string) []Movement {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Movement{}
	for _, m := range l.movements {
		if payment == "" || m.Payment == payment {
			out = append(out, m)
		}
	}
	return out
}

// Count returns how many executions of an operation a payment had; "" counts
// every operation, or every payment.
func (l *Ledger) Count(operation, payment string) int {
	return len(slices.DeleteFunc(l.Movements(payment), func(m Movement) bool {
		return operation != "" && m.Operation != operation
	}))
}

// Total returns the money moved for one payment, or with "" for all, in minor
// units by currency.
func (l *Ledger) Total(payment string) map[string]int64 {
	totals := map[string]int64{}
	for _, m := range l.Movements(payment) {
		if m.Amount != 0 {
			totals[m.Currency] += m.Amount
		}
	}
	return totals
}
