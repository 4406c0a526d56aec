package acceptance

import (
	"context"
	"fmt"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/sleep"
)

// Lag is how far the witness stays behind the bucket. What lies between is lost
// unnoticed if all of this NATS is set back.
type Lag struct {
	// Witness and Bucket are the sequences of the journal that each of them knows.
	Witness, Bucket uint64
	// Since is when the first event of a payment that the witness does not know was
	// stored, or when the epoch began that it does not know.
	Since time.Time
}

// Text says it in words.
func (l Lag) Text() string {
	return fmt.Sprintf("the witness reaches %d of the journal and the bucket %d; it was not written since %s", l.Witness, l.Bucket, l.Since.UTC().Format(time.RFC3339))
}

const (
	// lagAfter is how old what the witness does not know has to be. Processes write it
	// each second, and read what others have appended every five.
	lagAfter = 15 * time.Second
	// lookAgain is after how long a witness that is being written has moved.
	lookAgain = 3 * time.Second
)

// Lagging compares the witness with the bucket's mark. A witness that seems to stay
// behind is read once more: a process may have begun only now. What cannot be asked is
// no lag; that the witness cannot be read says the view. While something is lost, nobody
// writes the witness.
func Lagging(ctx context.Context, s Sources, v View) *Lag {
	if s.Witness == nil || v.WitnessError != nil || len(v.Findings) > 0 || v.Witness.Covers(v.Bucket) {
		return nil
	}
	first, err := unwitnessed(ctx, s, v)
	if err != nil || first.IsZero() || v.Now.Sub(first) < lagAfter || !sleep.For(ctx, lookAgain) {
		return nil
	}
	again, err := s.Witness.Load(ctx)
	if err != nil || !v.Witness.Covers(again) || again.Covers(v.Bucket) {
		return nil
	}
	return &Lag{Witness: v.Witness.Mark.Journal.Sequence, Bucket: v.Bucket.Mark.Journal.Sequence, Since: first}
}

// unwitnessed is when the first thing came to be that the bucket knows and the witness
// does not; zero: there is none that counts.
func unwitnessed(ctx context.Context, s Sources, v View) (time.Time, error) {
	bucket, witness := v.Bucket, v.Witness
	switch {
	case bucket.Epoch.Later(witness.Epoch) != witness.Epoch:
		return bucket.Epoch.AcceptedAt, nil
	case bucket.Mark.Journal.Sequence <= witness.Mark.Journal.Sequence:
		return time.Time{}, nil
	}
	m, err := s.Journal.Next(ctx, witness.Mark.Journal.Sequence+1, events.EveryPayment)
	if err != nil || m.Sequence == 0 || m.Sequence > bucket.Mark.Journal.Sequence {
		return time.Time{}, err
	}
	return m.Time, nil
}

// Unwritten says why the witness protects nothing at the moment: a running process
// cannot write it, or none that runs does; "": it is written.
func (v View) Unwritten() string {
	for _, r := range v.Live() {
		if r.WitnessFault != "" {
			return fmt.Sprintf("the witness is not written: process %s says since %s: %s", r.ID, r.WitnessSince.UTC().Format(time.RFC3339), r.WitnessFault)
		}
	}
	if v.Lag != nil && len(v.Live()) > 0 {
		return "the witness is not written: " + v.Lag.Text()
	}
	return ""
}
