package recovering

import (
	"fmt"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/internal/recovery"
)

// lineage is what a view shows of the journal's ancestry: its own first message, the
// marks', and those that the accepted losses name.
func lineage(v acceptance.View) recovery.Lineage {
	var l recovery.Lineage
	add := func(first integrity.Identity) {
		if first != (integrity.Identity{}) {
			l.First = append(l.First, first)
		}
	}
	add(v.Reading.Journal.Head)
	add(v.Bucket.Mark.Identity)
	add(v.Witness.Mark.Identity)
	named := map[uint64]bool{} // by epoch
	l.Complete = v.Record.Mark.Identity != integrity.Identity{} || v.Record.Epoch.Number > 0
	for _, a := range v.Actions {
		if a.Action != acceptance.ActionAccepted {
			continue
		}
		l.Losses = append(l.Losses, recovery.AcceptedLoss{End: a.Found, At: a.Time, KnownAt: a.KnownAt.Time})
		if a.First == nil { // an earlier version, or nobody knew it
			l.Complete = false
			continue
		}
		add(integrity.Identity(*a.First))
		named[a.Epoch] = true
	}
	for epoch := uint64(1); epoch <= v.Record.Epoch.Number; epoch++ {
		l.Complete = l.Complete && named[epoch]
	}
	if len(v.Findings) > 0 || v.Record.Zero() { // a loss that nobody has accepted yet
		now := v.Now
		if now.IsZero() { // the bucket is gone
			now = time.Now()
		}
		l.Losses = append(l.Losses, recovery.AcceptedLoss{End: v.End, At: now, KnownAt: v.Record.Mark.At})
	}
	return l
}

// recognise refuses archives of another journal, and those of which nobody can tell
// unless a person says that they are this one's.
func (c *Command) recognise(w *cli.World, conn *cli.Connection, plan *recovery.Plan, view acceptance.View) error {
	claimed := false
	all, err := plan.Recognise(lineage(view))
	if err != nil {
		return err
	}
	for _, r := range all {
		switch {
		case r.Verdict == recovery.Foreign:
			return fmt.Errorf("nothing was brought back: this archive is of another journal: %s: %s", r.Path, r.Why)
		case r.Verdict == recovery.Ours:
		case c.OfThisJournal:
			fmt.Fprintf(w.Stderr, "note: %s is taken for an archive of this journal because you say so: %s\n", r.Path, r.Why)
			claimed = true
		default:
			return fmt.Errorf("nothing was brought back: %s cannot be recognised as an archive of this journal: %s. "+
				"Name its older segments too, or, if you know that it is, type it out with --of-this-journal", r.Path, r.Why)
		}
	}
	if !claimed {
		return nil
	}
	return sameAccounts(conn, plan)
}

// sameAccounts refuses archives that only a person takes for this journal's if an
// operation in them was called at another account. In an archive that is recognised it
// was so before the loss as well: a provider's account may be changed.
func sameAccounts(conn *cli.Connection, plan *recovery.Plan) error {
	set, err := providersOf(conn)
	if err != nil {
		return err
	}
	other, err := plan.OtherAccount(func(provider string) string {
		in, configured := set.Get(provider)
		if !configured {
			return ""
		}
		return in.Account
	})
	if err == nil && other != "" {
		err = fmt.Errorf("nothing was brought back: this archive is of another account: %s", other)
	}
	return err
}
