//go:build !production

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/publish"
)

// publishCommand is "consumer publish".
type publishCommand struct {
	cli.Server

	Files       []string `arg:"" name:"file" help:"Files of commands; - is standard input."`
	Mode        string   `help:"CloudEvents content mode." enum:"structured,binary" default:"structured"`
	ByProvider  bool     `help:"Publish to payment.<operation>.requested.<provider>, for permissions that name a provider."`
	SkipInvalid bool     `help:"Publish the valid commands even if others are invalid."`
	JSON        bool     `help:"Print faults and the summary as JSON, one object a line."`
}

// Help is the long help text.
func (publishCommand) Help() string {
	return `Reads commands as CloudEvents, either one JSON value a line or one array. It checks each command as the consumer
will, and publishes them. It reports faults with file, line and field, and publishes nothing unless all commands
are valid.

If you publish a file again within two minutes, nothing is added: the message id is made of the event's source and
id.

Exit codes: 0 published; 1 not published, or not all; 2 faults in the input, and nothing published.

Example: consumer publish schemas/examples/commands.jsonl --mode binary`
}

// Run checks everything, then publishes.
func (c *publishCommand) Run(w *cli.World) error {
	d, err := events.NewDecoder()
	if err != nil {
		return fmt.Errorf("build decoder: %w", err)
	}
	b := &batch{command: c, world: w, decoder: d}
	defer b.close()
	if err := b.check(); err != nil {
		return err
	}
	if b.faults > 0 && !c.SkipInvalid {
		return cli.Usage(fmt.Errorf("%d of %d commands are not valid; nothing was published", b.invalid, b.valid+b.invalid))
	}
	return b.send()
}

// batch is the commands of one invocation. Files are read twice, standard
// input is put aside in a file, so that memory does not grow with their size.
type batch struct {
	command                *publishCommand
	world                  *cli.World
	decoder                *events.Decoder
	files                  []*os.File
	valid, invalid, faults int
}

// check reads every command once and reports every fault.
func (b *batch) check() error {
	bar := cli.NewGauge(b.world, b.command.JSON, "checking")
	defer bar.End()
	for _, name := range b.command.Files {
		f, err := b.open(name)
		if err != nil {
			return cli.Usage(err)
		}
		b.files = append(b.files, f)
		err = publish.Scan(f, label(name), b.decoder, func(i publish.Item) error {
			bar.Add(1, -1)
			if len(i.Faults) == 0 {
				b.valid++
				return nil
			}
			b.invalid++
			return b.report(i.Faults)
		})
		if err != nil {
			return err
		}
	}
	if b.faults > cli.MaxFaults && !b.command.JSON {
		fmt.Fprintf(b.world.Stderr, "… and %d more faults\n", b.faults-cli.MaxFaults)
	}
	if b.valid+b.invalid == 0 {
		return cli.Usage(errors.New("there is no command in the input"))
	}
	return nil
}

func (b *batch) report(faults []publish.Fault) error {
	for _, f := range faults {
		b.faults++
		switch {
		case b.command.JSON:
			if err := b.world.JSON(map[string]publish.Fault{"fault": f}); err != nil {
				return err
			}
		case b.faults <= cli.MaxFaults:
			fmt.Fprintln(b.world.Stderr, f)
		}
	}
	return nil
}

// send publishes what was valid.
func (b *batch) send() error {
	c, err := b.command.Open(b.world)
	if err != nil {
		return err
	}
	defer c.Close()
	bar := cli.NewGauge(b.world, b.command.JSON, "publishing")
	began := time.Now()
	s := publish.NewSender(c.JetStream, &publish.SendOptions{
		Binary: b.command.Mode == "binary", ByProvider: b.command.ByProvider, Progress: func(n int) { bar.Add(n, int64(b.valid)) },
	})
	failed := b.sendAll(s)
	sent, err := s.Close()
	bar.End()
	if failed == nil {
		failed = err
	}
	took := time.Since(began)
	if b.command.JSON {
		summary := map[string]any{"summary": map[string]any{
			"published": sent.Published, "duplicates": sent.Duplicates, "invalid": b.invalid, "seconds": took.Seconds(),
		}}
		return errors.Join(b.world.JSON(summary), failed)
	}
	fmt.Fprintf(b.world.Stdout, "%d published, %d were there already, %d skipped as invalid, in %s (%.0f a second)\n",
		sent.Published, sent.Duplicates, b.invalid, took.Round(time.Millisecond), float64(b.valid)/took.Seconds())
	return failed
}

func (b *batch) sendAll(s *publish.Sender) error {
	for _, f := range b.files {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("read again: %w", err)
		}
		err := publish.Scan(f, f.Name(), b.decoder, func(i publish.Item) error {
			if len(i.Faults) > 0 {
				return nil
			}
			return s.Send(b.world.Context, i)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// open opens a file, or puts standard input aside.
func (b *batch) open(name string) (*os.File, error) {
	if name != "-" {
		return os.Open(name)
	}
	aside, err := os.CreateTemp("", "countermand-publish-")
	if err != nil {
		return nil, fmt.Errorf("put standard input aside: %w", err)
	}
	_ = os.Remove(aside.Name()) // it lives as long as it is open
	if _, err := io.Copy(aside, b.world.Reader(b.world.Stdin)); err != nil {
		return nil, errors.Join(fmt.Errorf("put standard input aside: %w", err), aside.Close())
	}
	if _, err := aside.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, aside.Close())
	}
	return aside, nil
}

func (b *batch) close() {
	for _, f := range b.files {
		_ = f.Close() // only read from
	}
}

func label(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}
