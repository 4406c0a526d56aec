package acceptance

import (
	"slices"
	"strings"

	"github.com/countermand/countermand/integrity"
)

// Restart returns the processes whose journal is broken although nothing is missing any
// more, such as after the newest data was put back: a restart of all of them at once ends
// that, and no loss is to be accepted. Nothing may be forgotten by it. So all of this has
// to hold, or it returns none:
//
//	no place but the processes has a finding, and the witness can be read
//	no server holds more than a leader, and each that a person named has answered
//	each broken process is in the epoch of the stores
//	it says that all it remembers is there, and in the bucket
//	the stores know the journal as far as it does, and the journal reaches that
//	it has no known outcome in hand
//	no process is still about to find out whether something is lost
func Restart(v View) []string {
	if v.BucketMissing || v.WitnessError != nil || v.Reading.Journal.Missing || len(integrity.Own(v.Findings)) > 0 || len(v.fuller()) > 0 ||
		slices.ContainsFunc(v.Unasked, func(u Unasked) bool { return u.Typed }) {
		return nil
	}
	var ids []string
	for _, r := range v.Live() {
		switch {
		case r.Standing == integrity.Broken.String() && remembersNoMore(v, r):
			ids = append(ids, r.ID)
		case r.Standing == integrity.Broken.String(), r.Standing == integrity.Suspect.String() && len(r.Found)+r.MoreFound > 0:
			return nil
		}
	}
	return ids
}

// remembersNoMore reports whether nothing is lost if a broken process ends.
func remembersNoMore(v View, r integrity.Registered) bool {
	return r.Epoch.Number == v.Record.Epoch.Number && !r.Recovered.IsZero() && len(r.InHand)+r.MoreInHand == 0 &&
		r.Known <= v.Record.Mark.Journal.Sequence && r.Known <= v.Reading.Journal.Last
}

// restartText says what to do with processes that [Restart] names.
func restartText(ids []string) string {
	return "nothing is missing any more; only the processes that found the loss still say so: stop all of them (" + strings.Join(ids, ", ") +
		"), and start them again once none runs"
}
