package compare

import (
	"fmt"
	"maps"
	"slices"
)

// Compare judges. Of each operation, in the order asked:
//
//	what the ledgers hold                                     verdict
//	the provider moved it more than once                      money moved twice
//	no terminal result, and not with a person either, nor     result missing
//	waiting behind one of its payment that is
//	more than one terminal result                             result doubled
//	succeeded with an effect, and the provider has none       result untrue
//	succeeded, and another amount moved than it says          result untrue
//	succeeded with effect none, and money moved               result untrue
//	failed or rejected, and the provider did it               result untrue
//	to be refused, and it ended otherwise                     not refused
//	called at a provider that cannot tell a repeat, after     called again on a guess
//	a call of unknown fate
//	begun a second time there, the first not known undone     called again on a guess
//	an operator's word, and no audit event before it          ruling without its audit event
//
// A call that an operator confirmed is no guess; what it moved counts like the rest.
//
// Operations of equal amounts on one payment are judged together (twins.go).
//
// And of all the rest: a movement, event, answer or timer that does not belong
// to what was asked, or that is missing.
func Compare(l Ledgers) *Verdict {
	j := &judge{
		Ledgers: l,
		verdict: &Verdict{Ends: map[string]int{}, Repeated: map[string]int{}, AfterRefusal: map[string]int{}},
		told:    map[string][]Event{}, audits: map[string][]Audit{}, moved: map[Claim][]Movement{}, called: map[Claim][]Call{}, review: map[string]bool{},
		owners: map[Claim]int{}, shared: map[Claim]*group{},
	}
	j.index()
	for _, c := range l.Commands {
		j.operation(c)
	}
	j.groups()
	j.leftovers()
	j.payments()
	j.messages()
	j.verdict.Movements, j.verdict.Calls = len(l.Movements), len(l.Calls)
	return j.verdict
}

// judge is a comparison under way.
type judge struct {
	Ledgers

	verdict *Verdict
	told    map[string][]Event
	audits  map[string][]Audit
	moved   map[Claim][]Movement
	called  map[Claim][]Call
	owners  map[Claim]int
	shared  map[Claim]*group
	review  map[string]bool // payments with an operation that a person must decide about
}

func (j *judge) index() {
	for _, a := range j.Audits {
		j.audits[a.Operation] = append(j.audits[a.Operation], a)
	}
	for _, e := range j.Events {
		j.told[e.Operation] = append(j.told[e.Operation], e)
	}
	for _, m := range j.Movements {
		j.moved[m.Claim] = append(j.moved[m.Claim], m)
	}
	for _, c := range j.Calls {
		j.called[c.Claim] = append(j.called[c.Claim], c)
	}
	for _, c := range j.Commands {
		for _, claim := range c.Claims {
			j.owners[claim]++
		}
		if history := j.told[c.Name]; len(history) > 0 && history[len(history)-1].InReview() {
			j.review[c.Payment] = true
		}
	}
}

func (j *judge) find(kind, what, format string, args ...any) {
	j.verdict.Violations = append(j.verdict.Violations, Violation{Kind: kind, What: what, Says: fmt.Sprintf(format, args...)})
}

// operation judges one and takes what belongs to it out of the indexes.
func (j *judge) operation(c Command) {
	history := j.told[c.Name]
	delete(j.told, c.Name)
	if j.twin(c) {
		j.twins(c, history)
		return
	}
	var moved []Movement
	var calls []Call
	for _, claim := range c.Claims {
		moved = append(moved, j.moved[claim]...)
		calls = append(calls, j.called[claim]...)
		delete(j.moved, claim)
		delete(j.called, claim)
	}
	if len(moved) > 1 {
		j.find(MovedTwice, c.Name, "the provider's ledger has it %d times", len(moved))
	}
	j.repeats(c, calls, confirmed(history))
	j.attempts(c, history)
	j.rulings(c, history)
	end, ended := j.end(c, history)
	if !ended {
		return
	}
	if says := contradiction(end, moved); says != "" {
		j.find(Untrue, c.Name, "%s: %s", end.Subject, says)
	}
}

// end judges how often and how an operation ended; false: it has not.
func (j *judge) end(c Command, history []Event) (Event, bool) {
	ends := terminals(history)
	j.verdict.Terminal += len(ends)
	if len(ends) > 1 {
		j.find(Doubled, c.Name, "%d terminal results: %s and %s", len(ends), ends[0].Subject, ends[1].Subject)
	}
	if len(ends) == 0 {
		j.open(c, history)
		return Event{}, false
	}
	j.verdict.Ends[ends[0].Type]++
	if ends[0].Ruled {
		j.verdict.Ruled++
	}
	if c.Refused && ends[0].Type != "rejected" {
		j.find(WronglyTaken, c.Name, "it ended %s", ends[0].Type)
	}
	return ends[0], true
}

// open judges an operation that has not ended: a person must have it.
func (j *judge) open(c Command, history []Event) {
	if len(history) == 0 {
		j.verdict.Ends["nothing"]++
		j.find(Missing, c.Name, "no event at all")
		return
	}
	last := history[len(history)-1]
	j.verdict.Ends[last.Status]++
	switch {
	case last.InReview():
		j.verdict.Review++
		return
	case last.BehindReview() && j.review[c.Payment]:
		j.verdict.Behind++
		return
	}
	j.find(Missing, c.Name, "the last event is %s (%s)", last.Subject, last.Code)
}

func terminals(history []Event) []Event {
	var ends []Event
	for _, e := range history {
		if e.Terminal() {
			ends = append(ends, e)
		}
	}
	return ends
}

// Terminal reports whether the event ends its operation.
func (e Event) Terminal() bool {
	return e.Type == "succeeded" || e.Type == "failed" || e.Type == "rejected"
}

// InReview reports whether a person must say what happened.
func (e Event) InReview() bool { return e.Status == "reviewRequired" }

// BehindReview reports whether the operation waits for another one of its
// payment that is in review.
func (e Event) BehindReview() bool { return e.Type == "deferred" && e.Code == "waiting_for_review" }

// contradiction says how a terminal result and the provider's ledger differ.
func contradiction(end Event, moved []Movement) string {
	switch {
	case end.Type != "succeeded":
		if len(moved) > 0 {
			return "the provider did it"
		}
	case end.Effect == "none":
		if len(moved) > 0 && moved[0].Amount != 0 {
			return fmt.Sprintf("the provider moved %d", moved[0].Amount)
		}
	case len(moved) == 0:
		return fmt.Sprintf("the provider has no trace of it (effect %s)", end.Effect)
	case end.Effect == "refunded" && end.Moved != moved[0].Amount:
		return fmt.Sprintf("it says %d moved, the provider moved %d", end.Moved, moved[0].Amount)
	case end.Effect != "refunded" && moved[0].Amount != 0:
		return fmt.Sprintf("it says %s, the provider moved %d", end.Effect, moved[0].Amount)
	}
	return ""
}

// confirmed counts the calls that an operator asked for.
func confirmed(history []Event) (n int) {
	for _, e := range history {
		if e.Type == "started" && e.Ruled {
			n++
		}
	}
	return n
}

// rulings finds what was done by an operator's word without the record of it.
func (j *judge) rulings(c Command, history []Event) {
	for _, e := range history {
		as := e.Type
		if as == "started" {
			as = "retry"
		}
		if e.Ruled && !slices.ContainsFunc(j.audits[c.Name], func(a Audit) bool {
			return a.Ruling == as && a.Version+1 == e.Version && a.Sequence < e.Sequence
		}) {
			j.find(Unaudited, c.Name, "%s", e.Subject)
		}
	}
}

// repeats counts calls beyond the first, and finds those made on a guess: more
// of unknown fate before them than an operator has confirmed. A confirmed call
// that was surely refused is made again on the same word.
func (j *judge) repeats(c Command, calls []Call, confirmed int) {
	uncertain := false
	for i, call := range calls {
		if i > 0 {
			j.verdict.Repeated[c.Repeat]++
			if !uncertain {
				j.verdict.AfterRefusal[c.Repeat]++
			}
		}
		if i > 0 && uncertain && c.Repeat == "unsafe" {
			if confirmed <= 0 {
				j.find(BlindCall, c.Name, "call %d of %d came after one of unknown fate", i+1, len(calls))
				return
			}
			if !call.Refusal {
				confirmed--
			}
		}
		uncertain = uncertain || !call.Refusal
	}
}

// attempts finds attempts that began although an earlier one was not known to
// be undone: calls that never reached the provider count too.
func (j *judge) attempts(c Command, history []Event) {
	if c.Repeat != "unsafe" {
		return
	}
	open := 0
	for _, e := range history {
		switch {
		case e.Type == "deferred":
			open = 0
		case e.Type == "started" && open > 0 && !e.Ruled:
			j.find(BlindCall, c.Name, "attempt %d began while attempt %d was of unknown fate", e.Attempt, open)
			return
		case e.Type == "started":
			open = e.Attempt
		}
	}
}

// leftovers are what nobody asked for.
func (j *judge) leftovers() {
	for _, name := range slices.Sorted(maps.Keys(j.told)) {
		j.find(Unasked, name, "%d events, the first %s", len(j.told[name]), j.told[name][0].Subject)
	}
	for claim, moved := range j.moved {
		j.find(Unclaimed, claim.Provider+"/"+claim.Payment, "%s of %d, %d times", claim.Operation, claim.Amount, len(moved))
	}
	for _, name := range j.Untimed {
		j.find(NoTimer, name, "nothing will bring it back")
	}
	for _, subject := range j.Vanished {
		j.find(Vanished, subject, "it was read during the run and is gone")
	}
}

// payments adds up what each gave back.
func (j *judge) payments() {
	sums := map[string]int64{}
	for _, m := range j.Movements {
		if m.Operation == "refund" {
			sums[m.Provider+"/"+m.Payment] += m.Amount
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if captured, known := j.Captured[name]; known && sums[name] > captured {
			j.find(OverCaptured, name, "%d of %d", sums[name], captured)
		}
	}
}

// messages judges those that are no commands, and their answers.
func (j *judge) messages() {
	expected := map[string]bool{}
	for _, m := range j.Malformed {
		expected[m.Token] = true
		if !j.Answers[m.Token] {
			j.find(Unanswered, m.Token, "%s", m.What)
		}
		if !j.Quarantine[m.Token] {
			j.find(Unkept, m.Token, "%s", m.What)
		}
	}
	for _, token := range slices.Sorted(maps.Keys(j.Answers)) {
		if !expected[token] {
			j.find(WronglyRefused, token, "a valid command got payment.command.rejected")
		}
	}
}
