package simulator

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Kind is the simulated half of a provider kind: its simulator, and what the
// demo and the proofs need to know to use it. Package simulators has the table
// of all. Everything here is the simulated provider's own word: the proofs hold
// the adapters to it.
type Kind struct {
	// Name is the kind's, and the path its simulator is served under.
	Name string
	// Variant says what is different about this account; empty: nothing, it is as
	// the provider documents it.
	Variant string
	// Instance is what the demo and the proofs call their instance of it.
	Instance string
	// New returns a simulator without payments.
	New func(Manner) Simulated
	// Account lists the settings of the simulated account, without baseURL.
	Account []Setting
	Payments
	Habits
	// Scenes are what the chaos runs do with payments of this kind.
	Scenes []Scene
	// Weight is the kind's share of all payments in a chaos run.
	Weight int
}

// Manner says how a simulator behaves. The zero value is what the provider's
// documents show.
type Manner struct {
	Now func() time.Time // default time.Now
	Pace
	// HideRefunds: the status never shows a refund, where the documents leave that open.
	HideRefunds bool
}

// Pace says when an accepted operation is decided.
type Pace int

// The paces. A provider that has one pace only behaves the same in all.
const (
	Documented Pace = iota
	AtOnce
	Later // after it was asked about
)

// Simulated is a simulator: its server, and the Base it is built on.
type Simulated struct {
	http.Handler
	*Base
}

// Setting is one setting of an account, by its key in the configuration.
type Setting struct {
	Key    string
	Value  any // string or bool
	Secret bool
}

// Text is the value as text.
func (s Setting) Text() string { return fmt.Sprint(s.Value) }

// Payments says what payments of a kind look like.
type Payments struct {
	Currency string
	// Amount is what each is worth, in minor units.
	Amount int64
	// First is the format of the names of the payments to begin with, from 0 to 9.
	First string
	// ByTransaction: a payment is named by transactionId, else by orderId. Its
	// order is then called "order-" and the name.
	ByTransaction bool
	// Also is what else a command must say about its payment.
	Also map[string]string
	// Seed returns a payment in a state for Base.Seed.
	Seed func(name string, amount int64, s State) any
	// AmountOf reads the amount of a recorded refund call, in minor units; false:
	// it names none, which means all.
	AmountOf func(body string) (int64, bool)
}

// State is what a payment is in.
type State string

// The states.
const (
	Paid       State = "paid"
	Unpaid     State = "unpaid"
	Authorised State = "authorised"
)

// Habits say what the simulated provider does with calls.
type Habits struct {
	// Cancels lists the states in which a cancel works; none: there is no cancel.
	Cancels []State
	// CancelRepeat, FullRepeat and PartRepeat say what a second cancel, full refund
	// and partial refund do, as the account's settings say it.
	CancelRepeat, FullRepeat, PartRepeat Repeat
	// Waits: something that each operation needs and nobody documents is not there.
	// So no operation is carried out: each waits, and is given up.
	Waits bool
	// Parallel: partial refunds of one payment may run side by side.
	Parallel bool
	// OneRefund: a payment takes one refund only.
	OneRefund bool
	// Slow: it may take its time, so that the pace Later differs from AtOnce.
	Slow bool
	// Compares: asking compares the payment with an earlier reading. Nothing there
	// carries a reference of ours.
	Compares bool
	// Blind: its answers never show a partial refund.
	Blind bool
	// Asked is whether it can be asked about an operation.
	Asked Asked
	// SaysDone: the refusal of a second full refund says that the payment was
	// refunded, which ends the doubt about the first. A decline is not remembered.
	SaysDone bool
	// Dim: its answers never show a full refund either. Useless: they cannot be used.
	Dim, Useless bool
	// CancelNeedsSight: a cancel is not sent unless the payment can be read first,
	// also where an operator wants a repeat.
	CancelNeedsSight bool
	// Read and Query are what the simulator calls a reading of the payment and a
	// question about a refund.
	Read, Query string
	// Modes are the faults that only this simulator has and that end by
	// themselves.
	Modes []Mode
	// DeclineLater is the fault after which an accepted refund fails; empty: there
	// is none.
	DeclineLater Mode
}

// Asked is whether an account can be asked about an operation.
type Asked string

// The sorts.
const (
	Always Asked = ""        // by a documented call
	InVain Asked = "helpful" // by a call that nobody documents and that may know nothing
	Never  Asked = "none"    // not at all
)

// Repeat is what a second call for one operation does.
type Repeat string

// The answers to a second call.
const (
	Harmless Repeat = "harmless" // it moves no money
	Refused  Repeat = "refused"
	Unsafe   Repeat = "unsafe" // it is carried out again
)

// Operation is what is done to a payment.
type Operation string

// The operations. A void is a cancel of an authorised payment.
const (
	Cancel        Operation = "cancel"
	Void          Operation = "void"
	FullRefund    Operation = "full refund"
	PartialRefund Operation = "partial refund"
)

// Scene is one thing to do with a payment.
type Scene struct {
	// Share is how many of ten payments it happens to.
	Share int
	State State
	Asks  []Ask
}

// Ask is what a scene asks for.
type Ask struct {
	What AskFor
	// Parts is how many parts are asked for; 0 is one. UpTo draws their number,
	// from one to it.
	Parts, UpTo int
	// Never: the provider has no such operation.
	Never bool
}

// AskFor is a sort of request.
type AskFor string

// The sorts.
const (
	AskParts   AskFor = "parts"
	AskFull    AskFor = "full"
	AskCancel  AskFor = "cancel"
	AskTooMuch AskFor = "too much"
	AskExpired AskFor = "expired"
)

// As is the kind as an account that is different in one way: what it is called.
func (k Kind) As(variant string) Kind {
	k.Variant, k.Instance = variant, k.Name+"-"+strings.ReplaceAll(variant, " ", "-")
	return k
}

// Title names the kind with what is different about the account.
func (k Kind) Title() string {
	if k.Variant == "" {
		return k.Name
	}
	return k.Name + " (" + k.Variant + ")"
}

// Identifiers is how a command names a payment.
func (p Payments) Identifiers(name string) map[string]string {
	ids := map[string]string{"orderId": name}
	if p.ByTransaction {
		ids = map[string]string{"transactionId": name, "orderId": OrderOf(name)}
	}
	maps.Copy(ids, p.Also)
	return ids
}

// Names lists the payments to begin with.
func (p Payments) Names() []string {
	var all []string
	for n := range 10 {
		all = append(all, fmt.Sprintf(p.First, n))
	}
	return all
}

// OrderOf is the order of a payment that is named by its transaction.
func OrderOf(transaction string) string { return "order-" + transaction }

// Operations lists what can be done to payments of the kind.
func (h Habits) Operations() []Operation {
	var all []Operation
	for _, s := range h.Cancels {
		all = append(all, map[State]Operation{Unpaid: Cancel, Authorised: Void}[s])
	}
	return append(all, FullRefund, PartialRefund)
}

// StateFor is what a payment must be in for an operation.
func StateFor(o Operation) State {
	switch o {
	case Cancel:
		return Unpaid
	case Void:
		return Authorised
	default:
		return Paid
	}
}

// YAML writes the account's settings as members of a flow mapping. secret
// writes where a secret comes from.
func (k Kind) YAML(secret func(Setting) string) string {
	var all []string
	for _, s := range k.Account {
		text := fmt.Sprintf("%#v", s.Value)
		if s.Secret {
			text = secret(s)
		}
		all = append(all, s.Key+": "+text)
	}
	return strings.Join(all, ", ")
}

// Secrets lists the settings that are secrets.
func (k Kind) Secrets() []Setting {
	return slices.DeleteFunc(slices.Clone(k.Account), func(s Setting) bool { return !s.Secret })
}
