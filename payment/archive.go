package payment

// ArchivedEnd is what an archive tells of an operation's end, or of a fact after it
// (returned, executed_late), where the payment has gone another way in the journal.
type ArchivedEnd struct {
	// Event is the archived event, with the state that it carried.
	Event Event
	// Since: the journal shows a call or an answer of the operation that the archive
	// does not know of. A no in the archive says nothing about that.
	Since bool
}

// Folding is what an archived end means for the newest state of its payment. The
// zero value is the careful one: nothing is appended, and a person looks.
type Folding int

// The foldings.
const (
	FoldLeft      Folding = iota // it cannot be told what it means now
	FoldDisagrees                // the journal says something else of the operation
	FoldKnown                    // the journal says the same already
	FoldAppended                 // the event is to be appended
)

// FoldArchived folds an archived end on to the newest state of its payment, as an
// outcome that is known. It needs State, ID, Limits and Now alone. The event ends
// the operation, or tells of one that has ended, so nothing is called because of it.
//
//	operation in the journal  and the archive says                  then
//	any                       other content under this key          FoldDisagrees
//	none                      an end                                appended with the end
//	none                      an end, and the state has no room     FoldLeft
//	open                      succeeded                             succeeded
//	open                      failed, rejected, nothing since       failed, rejected
//	open                      failed, rejected, something since     FoldLeft: it may have been executed since
//	ended                     the same end                          FoldKnown
//	ended                     another end, amount or reference      FoldDisagrees
//	ended                     a fact that was not told              the fact
//	ended                     a fact, and one was told              FoldKnown
//	open, none                a fact                                FoldLeft
//
// Basis is archive in every event that is appended.
func FoldArchived(in Input, a ArchivedEnd) (*Event, Folding) {
	e := a.Event
	archived := e.State.Find(e.Op, e.Key)
	fact := e.Type == EventReturned || e.Type == EventExecutedLate
	if archived < 0 || !e.Type.Terminal() && !fact {
		return nil, FoldLeft
	}
	told := e.State.Operations[archived]
	i := in.State.Find(e.Op, e.Key)
	switch {
	case i >= 0 && in.State.Operations[i].Fingerprint != told.Fingerprint:
		return nil, FoldDisagrees
	case fact && (i < 0 || !in.State.Operations[i].Status.Terminal()):
		return nil, FoldLeft
	case fact:
		return in.archivedFact(in.State.Operations[i], e)
	case i < 0:
		return in.archivedWhole(told, e)
	case in.State.Operations[i].Status.Terminal():
		return nil, in.State.Operations[i].sameEnd(e)
	case in.State.Operations[i].Open == nil, a.Since && e.Type != EventSucceeded:
		return nil, FoldLeft
	default:
		op := in.State.Operations[i]
		op.Attempt = e.Attempt
		return marked(in.end(op, Status(e.Type), archivedOutcome(e)).Event, e), FoldAppended
	}
}

// sameEnd compares how the operation has ended with an archived end.
func (o Operation) sameEnd(e Event) Folding {
	reference := o.ProviderReference == "" || e.ProviderReference == "" || o.ProviderReference == e.ProviderReference
	moved := o.Contradicted || o.Moved == nil || e.Moved == nil || *o.Moved == *e.Moved
	if o.Status == Status(e.Type) && reference && moved {
		return FoldKnown
	}
	return FoldDisagrees
}

// archivedOutcome is what the archived event says of the operation. How it was
// known then is not how it is known now.
func archivedOutcome(e Event) Outcome {
	out := e.Outcome
	out.Basis, out.Status = BasisArchive, ""
	return out
}

// archivedWhole adds an operation that the journal does not know, with its end.
func (in Input) archivedWhole(op Operation, e Event) (*Event, Folding) {
	if op.Status != Status(e.Type) { // no state that this program has written
		return nil, FoldLeft
	}
	op.Status, op.Open, op.Basis, op.Contradicted = Status(e.Type), nil, BasisArchive, false
	accepted, rejected := in.State.count()
	refused := e.Type == EventRejected
	if refused && rejected >= in.Limits.rejected() || !refused && accepted >= in.Limits.operations() || in.full(op) {
		return nil, FoldLeft
	}
	s := in.State
	s.Version++
	op.First, op.Last = s.Version, s.Version
	if s.Captured == nil && !refused {
		s.Captured = e.Payment.CapturedAmount
	}
	s.put(op)
	s.Format = s.WrittenFormat()
	out := e
	out.Outcome, out.ID, out.OccurredAt, out.State = archivedOutcome(e), in.ID, in.Now, s
	return &out, FoldAppended
}

// archivedFact tells a fact about an operation that has ended.
func (in Input) archivedFact(op Operation, e Event) (*Event, Folding) {
	switch {
	case op.Contradicted:
		return nil, FoldKnown
	case e.Type == EventReturned && op.Status != StatusSucceeded:
		return nil, FoldDisagrees
	}
	in.Command = Command{Op: e.Op, Key: e.Key, Payment: e.Payment, Origin: e.Origin, Trace: e.Trace, RequestedAt: e.RequestedAt}
	return marked(in.fact(op, e.Type, e.Attempt, archivedOutcome(e)), e), FoldAppended
}

// marked keeps who had decided it.
func marked(out *Event, e Event) *Event {
	out.ResolvedBy = e.ResolvedBy
	return out
}
