// Command consumer carries out payment cancels and refunds, each at most once.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/countermand/countermand/cmd/consumer/archive"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/cmd/consumer/journal"
	"github.com/countermand/countermand/cmd/consumer/reconcile"
	"github.com/countermand/countermand/cmd/consumer/recovering"
	"github.com/countermand/countermand/cmd/consumer/rejected"
	"github.com/countermand/countermand/cmd/consumer/review"
	"github.com/countermand/countermand/payment"
)

func main() {
	cli.Libraries(os.Stderr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(os.Args[1:], &cli.World{
		Context: ctx, Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, StandardLog: cli.StandardLog,
	})
	stop()
	os.Exit(code)
}

// commands are those every build has. The embedded ones come from embedded.go; a
// production build has none.
type commands struct {
	embeddedCommands

	Run       runCommand         `cmd:"" help:"Run the service until it is told to stop." `
	Show      showCommand        `cmd:"" help:"Print the history of one payment." `
	Provision provisionCommand   `cmd:"" help:"Create or update the streams and consumers; deletes nothing." `
	Check     checkCommand       `cmd:"" help:"Verify configuration, server, permissions and credentials; changes nothing." `
	Pause     pauseCommand       `cmd:"" help:"Stop calling a provider, in every replica, until you resume it." `
	Resume    resumeCommand      `cmd:"" help:"End a provider's pause." `
	Rearm     rearmCommand       `cmd:"" help:"Restore the timers of open operations that have none." `
	Journal   journal.Command    `cmd:"" help:"When the journal has lost something: status, accept, go, trust." `
	Archive   archive.Command    `cmd:"" help:"Copy the journal into a file; finds what cannot be read." `
	Recover   recovering.Command `cmd:"" help:"Bring back from archives what the journal has lost." `
	Review    review.Command     `cmd:"" help:"Operations that wait for a person: list, show, resolve." `
	Rejected  rejected.Command   `cmd:"" help:"Messages that were no valid commands: list, show, replay." `
	Reconcile reconcile.Command  `cmd:"" help:"Compare the journal with a provider or with its statement; changes nothing without --apply." `
}

// exit carries kong's wish to end (help, version) up to run.
type exit int

// newParser knows all commands and their flags.
func newParser(w *cli.World) (*kong.Kong, error) {
	var all commands
	return kong.New(&all,
		kong.Name("consumer"),
		kong.Description("Countermand carries out payment cancels and refunds for order services, and never refunds twice.\n\nExample: consumer demo"),
		kong.Vars{"operations": payment.JoinOps(","), "orOperations": payment.JoinOps(" or ")},
		kong.Writers(w.Stdout, w.Stderr), kong.UsageOnError(), kong.Exit(func(n int) { panic(exit(n)) }),
	)
}

// run is the whole program but for the process around it.
func run(args []string, w *cli.World) (code int) {
	w = w.Safe()
	parser, err := newParser(w)
	if err != nil {
		fmt.Fprintln(w.Stderr, "consumer:", err)
		return cli.ExitFailed
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exit:
			code = int(r)
		default:
			panic(r)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(w.Stderr, "consumer:", err)
		fmt.Fprintln(w.Stderr, "Try: consumer --help")
		return cli.ExitUsage
	}
	if err = k.Run(w); err != nil {
		fmt.Fprintln(w.Stderr, "consumer:", err)
	}
	return cli.ExitCode(err)
}
