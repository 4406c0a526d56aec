package acceptance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// second finds the other person who has lately said the same; out.AwaitsSecond is true
// while there is none, and out.Differs tells of those who have said something else.
// Where one person is enough it finds nobody, and waits for nobody.
func (d *Desk) second(t turn, said events.JournalLoss, out *Done) error {
	if d.another == nil {
		return nil
	}
	var matter []payment.OperatorAction
	same := map[string]bool{}
	var others []string
	for _, p := range t.Actions {
		next := p.Epoch > t.reached() || p.Epoch == said.Epoch
		switch {
		case p.Action != ActionPropose || !next || payment.ProposalLapsed(p.Time, d.now()) || trusts(p.JournalLoss) != trusts(said):
			continue
		case p.Fingerprint == said.Fingerprint && p.CommandsLost == said.CommandsLost:
			same[p.ULID] = true
		default:
			others = append(others, differs(p, said))
		}
		matter = append(matter, p.OperatorAction)
	}
	first, waits, err := d.another(t.Asked, matter, func(a payment.OperatorAction) bool { return same[a.ULID] })
	out.First, out.AwaitsSecond = first.Operator, waits
	if waits {
		out.Differs = others
	}
	return err
}

// differs says that a proposal is not of what somebody else says.
func differs(p Action, said events.JournalLoss) string {
	text := fmt.Sprintf("%s has proposed it with other figures at %s, and this is not the same", p.Operator, p.Time.UTC().Format(time.RFC3339))
	if p.CommandsLost != said.CommandsLost {
		text += fmt.Sprintf(": %d commands count as lost there, here %d", p.CommandsLost, said.CommandsLost)
	}
	return text
}

// trustPrefix begins the fingerprint of a proposal to trust the journal. A loss has none,
// so that neither is ever taken for the other.
const trustPrefix = "trust-"

// trusts reports whether something proposes to trust the journal.
func trusts(said events.JournalLoss) bool { return strings.HasPrefix(said.Fingerprint, trustPrefix) }

// trusting is what a proposal to trust the journal says. Its fingerprint names what was
// seen and typed.
func trusting(v View, left Left, open uint64, withoutWalk bool) events.JournalLoss {
	said := events.JournalLoss{Epoch: v.Record.Epoch.Number, CommandsLost: unsettled(v)}
	left.Unwalked = "" // words, which may name where the journal ends
	raw, err := json.Marshal([]any{said.Epoch, said.CommandsLost, left, open, withoutWalk})
	if err != nil {
		return said // numbers and strings always encode
	}
	sum := sha256.Sum256(raw)
	said.Fingerprint = trustPrefix + hex.EncodeToString(sum[:8])
	return said
}
