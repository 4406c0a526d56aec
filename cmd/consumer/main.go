// Command consumer carries out payment cancels and refunds, each at most once.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/countermand/countermand/payment"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried and did not work
	exitUsage  = 2 // it was not tried: flags, arguments or configuration are wrong
	exitNone   = 3 // it was looked for and is not there
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], process{getenv: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr})
	stop()
	os.Exit(code)
}

// process is what surrounds the program.
type process struct {
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// world is what a command gets of it.
type world struct {
	process

	ctx context.Context //nolint:containedctx // lives as long as the one command that is run
}

// commands are those every build has; embedded ones come from demo.go and are
// left out of production builds.
type commands struct {
	embeddedCommands

	Run       runCommand       `cmd:"" help:"Carry commands out until told to stop." `
	Publish   publishCommand   `cmd:"" help:"Check commands in files and publish them." `
	Show      showCommand      `cmd:"" help:"Tell the story of one payment." `
	Provision provisionCommand `cmd:"" help:"Create the streams and consumers, or bring them in line; deletes nothing." `
	Check     checkCommand     `cmd:"" help:"Verify configuration, server, permissions and credentials; changes nothing." `
	Pause     pauseCommand     `cmd:"" help:"Stop calling a provider, in every replica, until it is resumed." `
	Resume    resumeCommand    `cmd:"" help:"End a provider's pause." `
	Rearm     rearmCommand     `cmd:"" help:"Restore the timers of open operations that have none." `
	Review    reviewCommand    `cmd:"" help:"Settle what no machine can: list, show, resolve." `
	Rejected  rejectedCommand  `cmd:"" help:"Messages that were no commands: list, show, replay." `
	Reconcile reconcileCommand `cmd:"" help:"Compare the journal with a provider, or with its statement; changes nothing." `
}

// usageError marks an error made before anything was tried.
type usageError struct{ error }

// exit carries kong's wish to end (help, version) up to run.
type exit int

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, p process) (code int) {
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("consumer"),
		kong.Description("Countermand carries out payment cancels and refunds for order services, and never refunds twice.\n\nExample: consumer demo"),
		kong.Vars{"operations": payment.JoinOps(","), "orOperations": payment.JoinOps(" or ")},
		kong.Writers(p.stdout, p.stderr), kong.UsageOnError(), kong.Exit(func(n int) { panic(exit(n)) }),
	)
	if err != nil {
		fmt.Fprintln(p.stderr, "consumer:", err)
		return exitFailed
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
		fmt.Fprintln(p.stderr, "consumer:", err)
		fmt.Fprintln(p.stderr, "Try: consumer --help")
		return exitUsage
	}
	err = k.Run(&world{process: p, ctx: ctx})
	var usage usageError
	var missing notFoundError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintln(p.stderr, "consumer:", err)
		return exitUsage
	case errors.As(err, &missing):
		fmt.Fprintln(p.stderr, "consumer:", err)
		return exitNone
	default:
		fmt.Fprintln(p.stderr, "consumer:", err)
		return exitFailed
	}
}
