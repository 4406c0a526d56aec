package events

import (
	"fmt"
	"slices"
	"strings"

	"github.com/countermand/countermand/payment"
)

// The functions here build the filters over many payments' subjects, and tell
// kinds of subjects apart. Filter, the one over a single payment, stands in
// subjects.go: the promise that no money moves twice hangs on it.

// Filters over whole kinds of subjects.
const (
	// EveryPayment covers the events of all payments in the journal, as one
	// filter. It is not for the stream's own subjects: see JournalSubjects.
	EveryPayment = "payment.*.*.*.*.*"
	// RejectedFilter covers every payment.command.rejected: the subjects of the stream of
	// refusals.
	RejectedFilter = rejectedType + ".*"
	// QuarantineFilter covers the kept bytes of rejected messages.
	QuarantineFilter = quarantinePrefix + "*"
	// ScheduleFilter covers the timers that wait for their time.
	ScheduleFilter = schedulePrefix + ">"
	// DueFilter covers the timers that were delivered.
	DueFilter = duePrefix + ">"
)

// ReaderSubject is where the server delivers events that another service has pushed
// to it. No stream takes it in.
func ReaderSubject(reader string) string { return "payments.results." + reader }

// RefusalsSubject is where the server delivers refusals that another service has pushed
// to it. No stream takes it in.
func RefusalsSubject(reader string) string { return "payments.refusals." + reader }

// CoversRejections reports whether a filter covers any payment.command.rejected.
func CoversRejections(filter string) bool {
	want := strings.Split(RejectedFilter, ".")
	got := strings.Split(filter, ".")
	for i, token := range got {
		switch {
		case token == ">":
			return i < len(want)
		case i >= len(want), token != "*" && want[i] != "*" && token != want[i]:
			return false
		}
	}
	return len(got) == len(want)
}

// OrderServiceFilters returns what an order service reads: the events of its provider's
// payments, and the answers to messages that were no commands.
func OrderServiceFilters(provider string) []string {
	return []string{"payment.*.*." + provider + ".*.*", RejectedFilter}
}

// LedgerFilters returns what a ledger reads: everything that moves money.
func LedgerFilters() []string {
	var all []string
	for _, t := range []payment.EventType{payment.EventSucceeded, payment.EventReturned, payment.EventExecutedLate} {
		all = append(all, "payment.*."+string(t)+".>")
	}
	return all
}

// CommandSubjects returns the subjects of the stream of commands: those of every
// operation, without and with a provider.
func CommandSubjects() []string {
	var all []string
	for _, op := range payment.Ops() {
		all = append(all, CommandSubject(op, ""), CommandSubject(op, "*"))
	}
	return all
}

// PaymentFilters returns the filters over all events of the payments at a
// provider, one for each operation. An empty provider is any.
func PaymentFilters(provider string) []string {
	if provider == "" {
		provider = "*"
	}
	var all []string
	for _, op := range payment.Ops() {
		all = append(all, "payment."+string(op)+".*."+provider+".*.*")
	}
	return all
}

// JournalSubjects returns the subjects of the journal's stream. The journals of older
// versions took in RejectedFilter too, and still hold those answers.
func JournalSubjects() []string {
	return append(PaymentFilters(""), operatorType+".*.*")
}

// LateFilters returns the filters over the results that are looked at again
// later: what gave money back may be returned, and what failed may go through.
// Their order is that of the manifests that consumers were made with.
func LateFilters() []string {
	var all []string
	for _, op := range slices.Backward(payment.Ops()) {
		if op.GivesBack() {
			all = append(all, TypeFilter(op, payment.EventSucceeded))
		}
		all = append(all, TypeFilter(op, payment.EventFailed))
	}
	return all
}

// TypeFilter returns the filter over all events of one type.
func TypeFilter(op payment.Op, t payment.EventType) string {
	return TypeOf(op, t) + ".>"
}

// OperatorFilter returns the subjects of all audit events of one action.
func OperatorFilter(action string) string { return operatorType + "." + Token(action) + ".*" }

// OperatorsFilter returns the filter over the audit events of all operators' actions.
func OperatorsFilter() string { return operatorType + ".*.*" }

// TimersAt returns the filter over the waiting timers of one provider.
func TimersAt(provider string) string {
	return schedulePrefix + "*." + Token(provider) + ".*.*"
}

// TimersOf returns the filter over the waiting timers of one payment. Errors are
// those of Filter.
func TimersOf(id payment.ID) (string, error) {
	if err := checkID(id); err != nil {
		return "", fmt.Errorf("build filter of timers: %w", err)
	}
	return schedulePrefix + "*." + id.Provider + "." + Token(id.Native) + ".*", nil
}

// IsSchedule reports whether a waiting timer can lie on the subject.
func IsSchedule(subject string) bool { return strings.HasPrefix(subject, schedulePrefix) }

// IsDue reports whether a timer can be delivered on the subject.
func IsDue(subject string) bool { return strings.HasPrefix(subject, duePrefix) }

// IsAudit reports whether the subject is that of an operator's action.
func IsAudit(subject string) bool { return strings.HasPrefix(subject, operatorType+".") }

// RejectedToken returns the token of the subject of a payment.command.rejected,
// the inverse of RejectedSubject.
func RejectedToken(subject string) (token string, ok bool) {
	return strings.CutPrefix(subject, rejectedType+".")
}

// CommandProvider returns the provider that the subject of a command names;
// "" where it names none.
func CommandProvider(subject string) string {
	_, provider, _ := readCommandSubject(subject)
	return provider
}

// SubjectOfType returns where a command of this type is published. A type that is
// no command's gets the subject of refunds: judged there, its type is at fault.
func SubjectOfType(typ string) string {
	if op, ok := opOfCommandType(typ); ok {
		return CommandSubject(op, "")
	}
	return CommandSubject(payment.Refund, "")
}

// Undelayed returns the subject on which a command came in the first place: that
// of a delivered timer is turned into the command's, others are returned as they are.
func Undelayed(subject string) string {
	if op, ok := strings.CutPrefix(subject, duePrefix); ok {
		return commandType(payment.Op(op))
	}
	return subject
}
