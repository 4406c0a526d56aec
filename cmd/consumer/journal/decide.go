package journal

import (
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk/control"
)

// acceptCommand is "consumer journal accept".
type acceptCommand struct {
	decision

	Reason string `help:"Why, for whoever reads the journal later; no personal data." placeholder:"TEXT"`
	Lose   uint64 `help:"How many messages are given up, typed out as journal status prints it." placeholder:"N"`

	LoseCommands uint64 `help:"How many commands are given up, typed out as journal status prints it." placeholder:"N"`
}

// Help is the long help text.
func (acceptCommand) Help() string {
	return `Asks the running service to take the journal as its leader shows it now for all there is. First bring back what can be brought back:
make a replica lead that holds more, or recover from an archive later. What is given up is typed out with
--lose, and commands that are lost with --lose-commands. All running processes have to report their gate shut.
Where desk.secondPersonAbove is set, two persons have to say the same within 24 hours, with the same
numbers. Then the next epoch begins, held: nothing is carried out until "consumer journal go".
Exit codes: 0 done (without --apply: it could be done); 1 refused, or the server could not be asked; 2 arguments are
wrong.
Example: consumer journal accept --reason "restored from the copy of 09:00" --lose 395 --apply --config /etc/countermand/config.yaml`
}

// Run accepts.
func (c *acceptCommand) Run(w *cli.World) error {
	return c.decide(w, control.Accept, control.Decision{Reason: c.Reason, Lose: c.Lose, LoseCommands: c.LoseCommands})
}

// goCommand is "consumer journal go".
type goCommand struct {
	decision

	Reason string `help:"Why; default: work begins again." default:"work begins again" placeholder:"TEXT"`
}

// Help is the long help text.
func (goCommand) Help() string {
	return `Asks the running service to end the held phase: commands are pulled again, and what the journal cannot know is asked before it is
called. Run "consumer recover" before, so that as little as possible has to be asked. One person is enough.
Exit codes: 0 done (without --apply: it could be done); 1 refused, or the server could not be asked; 2 arguments are
wrong.
Example: consumer journal go --apply --config /etc/countermand/config.yaml`
}

// Run lets work begin.
func (c *goCommand) Run(w *cli.World) error {
	return c.decide(w, control.Go, control.Decision{Reason: c.Reason})
}

// trustCommand is "consumer journal trust".
type trustCommand struct {
	decision

	Reason          string `help:"Why, for whoever reads the journal later; no personal data." placeholder:"TEXT"`
	Open            uint64 `help:"How many operations stay in doubt, typed out." placeholder:"N"`
	WithoutCommands bool   `help:"Although the commands were not all walked over, or some were lost."`
}

// Help is the long help text.
func (trustCommand) Help() string {
	return `Asks the running service to end the doubt: from then on the journal is taken for complete, and what it does not
know has not happened. The service reads the whole journal for open operations that are presumed, or of which nothing was recorded since the
loss was accepted, and refuses while there are some, or while "consumer recover --commands" was not finished in
this epoch. It refuses as well where commands count as lost: no walk goes over them, and their repeats would be new
operations. An operation that only a waiting timer knows counts as open. Commands count as lost too if nothing was found when the loss was accepted. Reconcile with the providers' statements first.
Where desk.secondPersonAbove is set, two persons have to say the same within 24 hours, with the same
--open and --without-commands.
Exit codes: 0 done (without --apply: it could be done); 1 refused, or the server could not be asked; 2 arguments are
wrong.
Example: consumer journal trust --reason "all settled with the statements of November" --apply --config /etc/countermand/config.yaml`
}

// Run trusts.
func (c *trustCommand) Run(w *cli.World) error {
	return c.decide(w, control.Trust, control.Decision{Reason: c.Reason, Open: c.Open, WithoutCommands: c.WithoutCommands})
}
