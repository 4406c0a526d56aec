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
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried and did not work
	exitUsage  = 2 // it was not tried: flags, arguments or configuration are wrong
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// world is what commands get of the process.
type world struct {
	ctx    context.Context //nolint:containedctx // lives as long as the one command that is run
	getenv func(string) string
	stdout io.Writer
	stderr io.Writer
}

// commands are those every build has; embedded ones come from demo.go and are
// left out of production builds.
type commands struct {
	embeddedCommands

	Run       runCommand       `cmd:"" help:"Carry commands out until told to stop." `
	Provision provisionCommand `cmd:"" help:"Create the streams and consumers, or bring them in line; deletes nothing." `
}

// usageError marks an error made before anything was tried.
type usageError struct{ error }

// exit carries kong's wish to end (help, version) up to run.
type exit int

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) (code int) {
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("consumer"),
		kong.Description("Countermand carries out payment cancels and refunds for order services, and never refunds twice.\n\nExample: consumer demo"),
		kong.Writers(stdout, stderr), kong.UsageOnError(), kong.Exit(func(n int) { panic(exit(n)) }),
	)
	if err != nil {
		fmt.Fprintln(stderr, "consumer:", err)
		return exitFailed
	}
	defer func() {
		if n, ok := recover().(exit); ok {
			code = int(n)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(stderr, "consumer:", err)
		fmt.Fprintln(stderr, "Try: consumer --help")
		return exitUsage
	}
	err = k.Run(&world{ctx: ctx, getenv: getenv, stdout: stdout, stderr: stderr})
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "consumer:", err)
		return exitUsage
	default:
		fmt.Fprintln(stderr, "consumer:", err)
		return exitFailed
	}
}
