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
	// PrepareHelpful: a reading helps to compare, and no call needs it. It comes from
	// a call that the provider does not document, so it refuses nothing and holds
	// nothing back, whatever it says and if it fails.
	PrepareHelpful
)

// Asks says what a provider can be asked about an operation. It depends on the
// account: a call that nobody documents may be there or not.
type Asks int

// What can be asked.
const (
	AsksDocumented Asks = iota // a documented call tells what became of an operation
	// AsksHelpful: a call that the provider does not document may tell. An answer
	// without use counts as "not found", and nothing better than an inference comes of it.
	AsksHelpful
	AsksNone // there is no call; an operation's turn to be asked about counts as "not found"
)

// String returns the word the docs use.
func (a Asks) String() string {
	switch a {
	case AsksHelpful:
		return "helpful"
	case AsksNone:
		return "none"
	default:
		return "documented"
	}
}

// ReferenceScope says what a provider's own reference (Outcome.ProviderReference) names.
// The zero value is the careful one.
type ReferenceScope int

// The two scopes.
const (
	// ReferenceOfPayment: it is the payment's, and all that is done to the payment shares it.
	ReferenceOfPayment ReferenceScope = iota
	// ReferenceOfMovement: it is that of one refund and of no other, whatever becomes of that.
	ReferenceOfMovement
)

// String returns the word the docs use.
func (s ReferenceScope) String() string {
	if s == ReferenceOfMovement {
		return "movement"
	}
	return "payment"
}

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
	// Asks: what this account can be asked about an operation.
	Asks Asks
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
