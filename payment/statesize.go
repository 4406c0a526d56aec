package payment

import "unicode/utf8"

// A payment's state travels in each of its events, and an event must fit into
// one message (1 MiB by default, 1,000,000 bytes here). A known outcome that
// does not fit would be lost, so room is kept before an operation is accepted,
// never looked for after it was called. The limits on operations do not keep
// it alone: 200 open ones with the longest fields take up to 1.3 MB.
const (
	// stateRoom leaves 150,000 bytes of a message to the event's own data and
	// to the reading that one operation at a time freezes.
	stateRoom = 850_000
	// endedRoom and openRoom are what an operation can grow to beside its
	// texts: amounts, codes, times, doubt, a review, the provider's reference.
	endedRoom = 450
	openRoom  = 1_400
)

// hasRoom reports whether the state stays writable with the operation in it,
// whatever becomes of it and of the others.
func (s State) hasRoom(op Operation) bool {
	size := op.room()
	for i := range s.Operations {
		size += s.Operations[i].room()
	}
	return size <= stateRoom
}

// room is the greatest number of bytes the operation takes until it has ended.
func (o *Operation) room() int {
	open := o.Open
	if open == nil {
		return endedRoom
	}
	size := endedRoom + openRoom
	for _, text := range [...]string{
		string(open.Key), open.Payment.OrderID, open.Payment.TransactionID, open.Reason, open.CommandID,
		open.CommandSource, open.CorrelationID, open.TraceParent, open.TraceState,
	} {
		size += writtenLength(text)
	}
	return size
}

// writtenLength is the text's length as JSON writes it, at the most.
func writtenLength(text string) int {
	n := 0
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			n += 2
		case r < ' ' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError:
			n += 6
		default:
			n += utf8.RuneLen(r)
		}
	}
	return n
}
