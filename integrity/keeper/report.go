package keeper

import (
	"fmt"
	"time"

	"github.com/countermand/countermand/integrity"
)

// Pulled takes in that a stream beside the journal holds a message at a sequence, and
// the stream's time of it.
func (k *Keeper) Pulled(stream string, sequence uint64, at time.Time) {
	if unmarked {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	m := &k.status.Record.Mark
	if known, kept := m.Streams[stream]; !kept || sequence <= known {
		return // no reading has seen the stream yet, or it is an old message
	}
	*m = m.Reaching(stream, sequence, at)
}

// Decided takes in the newest decisions about pauses that the bucket shows.
func (k *Keeper) Decided(shown integrity.Decisions) {
	if unmarked {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	r := &k.status.Record
	if !r.Pauses.Covers(shown) {
		r.Pauses = r.Pauses.Merge(shown)
		signal(k.raiseSoon)
	}
}

// Decisions are the newest decisions about pauses that are known to have been made. The
// error says why that is not known yet: neither the bucket's mark nor the witness were
// read.
func (k *Keeper) Decisions() (integrity.Decisions, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.loaded || unmarked:
		return k.status.Record.Pauses, nil
	case k.status.Reading != nil:
		return nil, unreadBecause(k.status.Reading)
	default:
		return nil, errUnread
	}
}

// Unreadable takes in that a subject of the journal is taken and that the leader
// shows no message there.
func (k *Keeper) Unreadable(subject string) {
	k.Report(integrity.Finding{
		Kind: integrity.RecordUnreadable, Object: subject,
		Text: "the journal holds an event under " + subject + " that cannot be read",
	})
}

// Timer takes in that a timer knew more than the journal's leader showed in an epoch.
// After that epoch it says nothing: the loss was accepted. operation
// names what it is about. Ahead: known and found are versions of the payment;
// otherwise of the operation's newest event, where 0 means that there is none.
func (k *Keeper) Timer(epoch uint64, operation string, ahead bool, known, found uint64) {
	f := integrity.Finding{
		Kind: integrity.TimerUnknown, Object: operation, Known: known, Found: found,
		Text: fmt.Sprintf("a timer knew event %d of operation %s, and the journal does not", known, operation),
	}
	if ahead {
		f.Kind = integrity.TimerAhead
		f.Text = fmt.Sprintf("a timer of operation %s knew version %d of its payment; the journal shows %d", operation, known, found)
	}
	k.reportIn(f, func(now uint64) bool { return now == epoch })
}

// Report takes in a finding that was made outside of a reading.
func (k *Keeper) Report(f integrity.Finding) {
	k.reportIn(f, func(uint64) bool { return true })
}

// reportIn takes a finding in if it counts in the epoch that is known now.
func (k *Keeper) reportIn(f integrity.Finding, counts func(epoch uint64) bool) {
	k.mu.Lock()
	if counts(k.status.Record.Epoch.Number) {
		k.set(k.status.Watch.Report(k.now(), f))
	}
	k.mu.Unlock()
	k.Refresh()
}
