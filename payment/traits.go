package payment

// Repeat says what a provider does with a second call for the same operation.
// The zero value is the careful one.
type Repeat int

// The three ways.
const (
	RepeatUnsafe   Repeat = iota // nothing stops a second movement of money
	RepeatRefused                // the provider refuses it, never executes it twice
	RepeatHarmless               // a second call moves no money
)

// String returns the word the docs use.
func (r Repeat) String() string {
	switch r {
	case RepeatRefused:
		return "refused"
	case RepeatHarmless:
		return "harmless"
	default:
		return "unsafe"
	}
}

// repeatable reports whether a repeat surely moves no money twice. A value
// nobody has classified is not.
func (r Repeat) repeatable() bool { return r == RepeatHarmless || r == RepeatRefused }

// Prepare says whether the payment is read at the provider before a call.
type Prepare int

// When a preparing read is needed.
const (
	PrepareNever  Prepare = iota
	PrepareAmount         // only where a full refund's amount is not known otherwise
	PrepareAlways         // the kind compares with a before-snapshot, or looks first
)

// OperationTraits is what a kind promises of one operation.
type OperationTraits struct {
	Supported bool
	Repeat    Repeat
	Prepare   Prepare
	// NeedsAmount: a full refund must name its amount to the provider.
	NeedsAmount bool
}

// Identity says which identifier names a payment at a kind.
type Identity int

// The two identifiers.
const (
	IdentityOrder Identity = iota
	IdentityTransaction
)

// Traits is what a provider kind promises (docs/providers.md); constant for
// an instance once it is configured.
type Traits struct {
	Kind     string
	Identity Identity
	// Requires lists the further identifiers a command must carry.
	RequiresOrderID       bool
	RequiresTransactionID bool
	RequiresCountry       bool // unless the instance has a default
	RequiresCurrency      bool // unless the instance has a default
	// MaxIdentifier is the longest identifier the provider takes, in bytes.
	MaxIdentifier int
	// Parallel: refunds of one payment may be under way side by side.
	Parallel bool
	// ShowsRefunds: a reading, once it has caught up, shows every refund of the
	// payment, with what was refunded. One that shows less than the journal knows
	// of lags behind and is not used.
	ShowsRefunds bool
	// TellsEnded: the status query still tells of an operation that has ended, by
	// more than inference: whether its refund came back, or whether what was
	// called failed went through.
	TellsEnded bool

	Cancel        OperationTraits
	FullRefund    OperationTraits
	PartialRefund OperationTraits
}

// For returns the traits of one operation.
func (t Traits) For(op Op, full bool) OperationTraits {
	switch op {
	case Cancel:
		return t.Cancel
	case Refund:
		if full {
			return t.FullRefund
		}
		return t.PartialRefund
	}
	return OperationTraits{}
}

// ID returns the payment's identity at this kind; its Native is empty where
// the command lacks the identifier.
func (t Traits) ID(provider string, d Details) ID {
	if t.Identity == IdentityTransaction {
		return ID{Provider: provider, Native: d.TransactionID}
	}
	return ID{Provider: provider, Native: d.OrderID}
}
