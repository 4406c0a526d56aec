package console

import (
	"fmt"
	"strings"

	"github.com/countermand/countermand/desk"
)

// fact is a line about an event.
type fact struct{ Name, Value string }

// factsOf lists what an event says beyond its status and key.
func factsOf(e desk.Event) []fact {
	d := e.Data
	var list []fact
	add := func(name, value string) {
		if value != "" {
			list = append(list, fact{name, value})
		}
	}
	if d.Attempt > 0 {
		add("Attempt", fmt.Sprint(d.Attempt))
	}
	if d.Full {
		add("Asked for", "the whole captured amount")
	}
	if d.Amount != nil {
		add("Asked for", d.Amount.Text())
	}
	if d.Moved != nil {
		add("Moved", d.Moved.Text())
	}
	if d.Fee != nil {
		add("Fee", d.Fee.Text())
	}
	add("Effect", words(d.Effect))
	add("Code", words(d.Code))
	add("Known by", words(d.Basis))
	add("Our reference", d.ClientReference)
	add("Provider's reference", d.ProviderReference)
	add("Provider said", strings.TrimSpace(d.ProviderCode+" "+d.ProviderMessage))
	add("Note", d.Message)
	add("Command", d.CommandID)
	if by := d.ResolvedBy; by != nil {
		add("Ruled by", by.Operator)
		add("Reason", by.Reason)
		add("Evidence", by.Evidence)
	}
	if !d.NextAttemptAt.IsZero() {
		add("Looked at again", clockTime(d.NextAttemptAt.Time))
	}
	return list
}
