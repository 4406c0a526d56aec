package compare

import (
	"cmp"
	"maps"
	"slices"
)

// group is the operations of one payment that ask for the same amount: which
// of them a movement belongs to, the provider's ledger does not say.
type group struct {
	names []string
	done  int // say that it happened
	open  int // a person is to say whether it did
}

// twin reports whether the operation shares its claim with another one.
func (j *judge) twin(c Command) bool {
	return len(c.Claims) == 1 && j.owners[c.Claims[0]] > 1
}

// twins judges what can be told of one of them alone.
func (j *judge) twins(c Command, history []Event) {
	g := j.shared[c.Claims[0]]
	if g == nil {
		g = &group{}
		j.shared[c.Claims[0]] = g
	}
	g.names = append(g.names, c.Name)
	j.attempts(c, history)
	j.rulings(c, history)
	end, ended := j.end(c, history)
	switch {
	case ended && end.Type == "succeeded" && end.Effect != "none":
		g.done++
		if end.Effect == "refunded" && end.Moved != c.Claims[0].Amount {
			j.find(Untrue, c.Name, "it says %d moved, %d was asked", end.Moved, c.Claims[0].Amount)
		}
	case !ended && len(history) > 0:
		g.open++
	}
}

// groups judges them together: what they say happened must have, and no more
// than that and what a person is still to decide.
//
//	movements                                    verdict
//	fewer than say that it happened              result untrue
//	more than say so or are open                 result untrue
//	more than there are operations               money moved twice
func (j *judge) groups() {
	byPlace := func(a, b Claim) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Payment, b.Payment), cmp.Compare(a.Amount, b.Amount))
	}
	for _, claim := range slices.SortedFunc(maps.Keys(j.shared), byPlace) {
		g, moved := j.shared[claim], len(j.moved[claim])
		delete(j.moved, claim)
		switch {
		case moved > len(g.names):
			j.find(MovedTwice, g.names[0], "%d operations of one amount, %d movements", len(g.names), moved)
		case moved < g.done:
			j.find(Untrue, g.names[0], "%d operations of one amount succeeded, the provider has %d", g.done, moved)
		case moved > g.done+g.open:
			j.find(Untrue, g.names[0], "of %d operations of one amount %d succeeded and %d are open, the provider has %d", len(g.names), g.done, g.open, moved)
		}
	}
}
