package recovery

import (
	"errors"
	"strings"

	"github.com/countermand/countermand/events"
)

// journalAction is how the actions about the journal itself begin: an acceptance, its
// proposal, its release, and the end of the doubt. They tell of the journal they lay
// in. In a later one they would speak of epochs that it has not gone through.
const journalAction = "journal_"

// belongs says why a line of an archive is none of the journal's; "" where it is
// one. A file is what anybody could have written, and what the journal says is what
// the service acts on: the subject has to be one that we write, and the body has to
// name itself by it. It looks at no server.
func belongs(m events.Message) (why string) {
	if !literal(m.Subject) {
		return "its subject is none of the journal's"
	}
	if _, rejection := events.RejectedToken(m.Subject); rejection {
		r, _, err := events.DecodeRejection(m)
		if err != nil || events.RejectedSubject(r.Token) != m.Subject {
			return "its body is not that of its subject"
		}
		return ""
	}
	if events.IsAudit(m.Subject) {
		a, err := events.DecodeOperator(m)
		if err != nil || events.OperatorSubject(a.Action, a.ULID) != m.Subject {
			return "its body is not that of its subject"
		}
		return ""
	}
	return paymentsEvent(m)
}

// paymentsEvent is belongs for the event of a payment: type, provider, payment and
// version of the body are those of the subject.
func paymentsEvent(m events.Message) (why string) {
	id, err := events.PaymentOf(m.Subject)
	if err != nil {
		return "its subject is none of the journal's"
	}
	e, err := events.DecodeEvent(m)
	if errors.Is(err, events.ErrNewerFormat) {
		return "a newer version of the program wrote it: run recover of that version"
	}
	if err != nil {
		return "its body cannot be read"
	}
	subject, err := events.EventSubject(e.Op, e.Type, id, e.State.Version)
	if err != nil || subject != m.Subject || e.ID != m.Subject || e.Data.Provider != id.Provider || e.Data.Operation != e.Op {
		return "its body is not that of its subject"
	}
	return ""
}

// aboutJournal reports whether a subject is that of an action about the journal itself.
func aboutJournal(subject string) bool {
	return strings.HasPrefix(subject, strings.TrimSuffix(events.OperatorFilter(journalAction), ".*"))
}

// literal reports whether a text is one subject of the journal's, and no filter.
func literal(subject string) bool {
	tokens := strings.Split(subject, ".")
	for _, token := range tokens {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n") {
			return false
		}
	}
	// A journal of an older version holds rejections too.
	for _, filter := range append(events.JournalSubjects(), events.RejectedFilter) {
		if fits(strings.Split(filter, "."), tokens) {
			return true
		}
	}
	return false
}

// fits reports whether a literal subject fits a filter whose wildcards are all "*".
func fits(filter, subject []string) bool {
	if len(filter) != len(subject) {
		return false
	}
	for i, token := range filter {
		if token != "*" && token != subject[i] {
			return false
		}
	}
	return true
}
