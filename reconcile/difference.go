package reconcile

import (
	"time"

	"github.com/countermand/countermand/payment"
)

// Kind says what sort of difference it is.
type Kind string

// The kinds of difference, the worst first.
const (
	// MovedTwice: the provider carried out one operation more than once.
	MovedTwice Kind = "moved_twice"
	// UnknownMoney: the provider moved money that no operation of ours explains.
	UnknownMoney Kind = "unknown_money"
	// NotExecuted: we call it succeeded and the provider does not.
	NotExecuted Kind = "not_executed"
	// ExecutedAnyway: we call it failed or rejected and the provider carried it out.
	ExecutedAnyway Kind = "executed_anyway"
	// Returned: we call it succeeded and the provider says that it came back.
	Returned Kind = "returned"
	// AmountDiffers: both call it succeeded, with different amounts.
	AmountDiffers Kind = "amount_differs"
	// OpenTooOld: it has not ended for longer than is allowed.
	OpenTooOld Kind = "open_too_old"
	// RowRepeated: the statement has a row twice, equal in every column. Its parts overlap.
	RowRepeated Kind = "row_repeated"
)

// Kinds lists every kind of difference, the worst first.
func Kinds() []Kind {
	return []Kind{MovedTwice, UnknownMoney, NotExecuted, ExecutedAnyway, Returned, AmountDiffers, OpenTooOld, RowRepeated}
}

// Difference is one thing in which our books and the provider's differ.
type Difference struct {
	Kind Kind `json:"kind"`
	// Provider is the configured instance; Payment, Operation and Key are empty where
	// no operation of ours is known.
	Provider  string      `json:"provider"`
	Payment   string      `json:"payment,omitempty"`
	Operation payment.Op  `json:"operation,omitempty"`
	Key       payment.Key `json:"idempotencyKey,omitempty"`
	// Reference is ours as the provider was told it, ProviderReference theirs.
	Reference         string `json:"reference,omitempty"`
	ProviderReference string `json:"providerReference,omitempty"`
	// Ours and Theirs say what each calls it; Theirs is "absent" where the
	// provider does not know it.
	Ours   string `json:"ours,omitempty"`
	Theirs string `json:"theirs,omitempty"`
	// OurAmount and TheirAmount are what moved, as far as is known.
	OurAmount   *payment.Money `json:"ourAmount,omitempty"`
	TheirAmount *payment.Money `json:"theirAmount,omitempty"`
	// At is when the provider says it happened, else when our books changed.
	At time.Time `json:"at,omitzero"`
	// Line is the row's in the statement; 0: none.
	Line int `json:"line,omitempty"`
	// FirstLine is that of the row which Line repeats; 0: it repeats none.
	FirstLine int `json:"firstLine,omitempty"`
	// Note says what a reader could not see from the rest.
	Note string `json:"note,omitempty"`
}

// Report counts what was compared. Differences themselves are handed on as
// they are found and not kept.
type Report struct {
	// Operations is how many the journal has for the provider, InPeriod how many
	// of them may have been carried out in the period.
	Operations int `json:"operations"`
	InPeriod   int `json:"inPeriod"`
	// Rows is how many the statement has.
	Rows int `json:"rows,omitempty"`
	// Agreed counts operations of the period in which both say the same.
	Agreed int `json:"agreed"`
	// Border counts operations that are not in the statement and lie so near to the
	// period's border that they may be in another; Outside counts movements in the
	// statement that lie outside the period and match nothing.
	Border  int `json:"border,omitempty"`
	Outside int `json:"outside,omitempty"`
	// Unlisted counts successful cancels that are not in the statement, because it lists money
	// only. Cancels counts the statement's cancels without an amount that match nothing.
	Unlisted int `json:"unlisted,omitempty"`
	Cancels  int `json:"cancels,omitempty"`
	// CannotTell counts operations of which the provider cannot say what became;
	// Unanswered those it was asked about in vain.
	CannotTell int `json:"cannotTell,omitempty"`
	Unanswered int `json:"unanswered,omitempty"`
	// Found counts the differences by kind.
	Found map[Kind]int `json:"found"`
}

// Differences is how many were found in all.
func (r *Report) Differences() int {
	n := 0
	for _, count := range r.Found {
		n += count
	}
	return n
}

// Sink counts into a report and hands differences on.
type Sink struct {
	Period   Period
	Provider string
	Report   *Report
	// ListsCancels: the statement has cancels that moved no money, so that one which is not
	// in it was not carried out. Else it is one of money.
	ListsCancels bool
	// References is what the provider's references in the statement name.
	References payment.ReferenceScope
	// Emit takes each difference; its error ends everything.
	Emit func(Difference) error
}

func (s *Sink) found(kind Kind, o *Operation, d Difference) error {
	d.Kind, d.Provider = kind, s.Provider
	if o != nil {
		d.Payment, d.Operation, d.Key = o.Payment.Native, o.Op, o.Key
		d.Ours, d.OurAmount = o.says(), o.money()
		d.Reference = o.Reference
		if d.ProviderReference == "" {
			d.ProviderReference = o.ProviderReference
		}
		if d.At.IsZero() {
			d.At = o.Changed
		}
	}
	if s.Report.Found == nil {
		s.Report.Found = map[Kind]int{}
	}
	s.Report.Found[kind]++
	return s.Emit(d)
}

// says is what our books call it.
func (o Operation) says() string {
	if o.Fact != "" {
		return string(o.Fact)
	}
	if o.Review {
		return "reviewRequired"
	}
	return string(o.Last)
}
