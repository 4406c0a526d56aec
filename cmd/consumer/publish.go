//go:build !production

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/publish"
	"github.com/countermand/countermand/payment"
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
are valid. What depends on a provider is checked with --config only, and as if each payment had no operation yet.

If you publish a file again within two minutes, nothing is added: the message id is made of the event's source and
id. What the stream has under it is read and compared. Other content is reported, and was not published.

Exit codes: 0 all published, or already there with the same content; 1 not published, or not all, or what is there
already could not be compared; 2 faults in the input, and nothing published. With --skip-invalid, 1 means that
commands were skipped, and 2 that all were.

With --json the last line is always the summary. It has the member error if the exit code is not 0.

Example: consumer publish examples/local/commands.jsonl --mode binary`
}

// Run checks everything, then publishes.
func (c *publishCommand) Run(w *cli.World) error {
	b := &batch{command: c, world: w, began: time.Now()}
	defer b.close()
	err := b.run()
	return errors.Join(b.summary(err), err)
}

// run is Run without the summary.
func (b *batch) run() (err error) {
	if b.decoder, err = events.NewDecoder(); err != nil {
		return fmt.Errorf("build decoder: %w", err)
	}
	if b.rules, err = b.command.rules(b.world, b.began); err != nil {
		return err
	}
	if b.twins, err = publish.NewTwins(); err != nil {
		return err
	}
	if err := b.check(); err != nil {
		return err
	}
	if b.faults > 0 && (!b.command.SkipInvalid || b.valid == 0) {
		return cli.Usage(fmt.Errorf("%d of %d commands are not valid; nothing was published", b.invalid, b.valid+b.invalid))
	}
	return b.send()
}

// rules are those of the configured providers; nil without a configuration.
func (c *publishCommand) rules(w *cli.World, now time.Time) (publish.Rules, error) {
	if c.Config == "" {
		return nil, nil //nolint:nilnil // no rules are no error
	}
	cfg, err := config.LoadNotCalling(c.Config, w.Getenv)
	if err != nil {
		return nil, cli.Usage(err)
	}
	set, err := app.Rules(cfg)
	if err != nil {
		return nil, cli.Usage(err)
	}
	return func(c payment.Command) []payment.Fault {
		in, configured := set.Get(c.Provider)
		if !configured {
			return []payment.Fault{{
				Pointer: "/provider", Rule: string(payment.CodeUnknownProvider), Detail: "configured are " + strings.Join(set.Names(), ", "),
			}}
		}
		return in.Foresee(c, payment.State{}, now)
	}, nil
}

// batch is the commands of one invocation. Files are read twice, standard
// input is put aside in a file, so that memory does not grow with their size.
type batch struct {
	command                *publishCommand
	world                  *cli.World
	decoder                *events.Decoder
	rules                  publish.Rules // nil: not known
	began                  time.Time
	files                  []*os.File
	twins                  *publish.Twins
	unclear                map[publish.Place]bool // they have a twin that says something else
	valid, invalid, faults int
	sent                   publish.Sent
	took                   time.Duration // to publish; 0: nothing was tried
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
		err = publish.Scan(f, label(name), b.decoder, b.rules, func(i publish.Item) error {
			bar.Add(1, -1)
			if len(i.Faults) == 0 {
				b.valid++
				return b.twins.Add(i)
			}
			b.invalid++
			return b.report(i.Faults...)
		})
		if err != nil {
			return err
		}
	}
	var err error
	if b.unclear, err = b.twins.Faults(func(f publish.Fault) error { return b.report(f) }); err != nil {
		return err
	}
	b.valid, b.invalid = b.valid-len(b.unclear), b.invalid+len(b.unclear)
	return b.checked()
}

// checked says what is left to say once everything was read.
func (b *batch) checked() error {
	if b.faults > cli.MaxFaults && !b.command.JSON {
		fmt.Fprintf(b.world.Stderr, "… and %d more faults\n", b.faults-cli.MaxFaults)
	}
	if b.valid+b.invalid == 0 {
		return cli.Usage(errors.New("there is no command in the input"))
	}
	if b.rules == nil && !b.command.JSON {
		fmt.Fprintln(b.world.Stderr, "What the providers ask of a command was not checked: with --config FILE it is.")
	}
	return nil
}

func (b *batch) report(faults ...publish.Fault) error {
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
	originals := broker.NewOriginals(c.JetStream, app.Topology(c.Config))
	var told []publish.Fault // the sender's goroutine tells them
	s := publish.NewSender(c.JetStream, &publish.SendOptions{
		Binary: b.command.Mode == "binary", ByProvider: b.command.ByProvider, Progress: func(n int) { bar.Add(n, int64(b.valid)) },
		Decoder: b.decoder, Fault: func(f publish.Fault) { told = append(told, f) },
		Stored: func(ctx context.Context, sequence uint64) (events.Message, bool, error) {
			p, found, err := originals.Original(ctx, sequence)
			return p.Message, found, err
		},
	})
	failed := b.sendAll(s)
	b.sent, err = s.Close()
	b.took = time.Since(began)
	bar.End()
	b.faults = 0 // those of the input were told
	return errors.Join(b.report(told...), cmp.Or(failed, err), dropped(b.sent, s.NotCompared()), b.skipped())
}

// skipped is the error of commands that were left out.
func (b *batch) skipped() error {
	if b.invalid == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d commands are not valid, and were skipped", b.invalid, b.valid+b.invalid)
}

// dropped is the error of commands that the stream has not taken, or may not have.
func dropped(sent publish.Sent, why error) error {
	var errs []error
	if sent.Different > 0 {
		errs = append(errs, fmt.Errorf("%d commands were not published: the stream has other content under their source and id; an event of its own needs an id of its own", sent.Different))
	}
	if sent.NotCompared > 0 {
		errs = append(errs, fmt.Errorf("the stream has %d of the commands, or others under their source and id: they could not be compared: %w", sent.NotCompared, why))
	}
	return errors.Join(errs...)
}

// summary says what became of the commands, and for machines why not more did; for people
// only once something was sent.
func (b *batch) summary(why error) error {
	switch {
	case b.command.JSON:
		line := publishSummary{Sent: b.sent, Invalid: b.invalid, ProviderRules: b.rules != nil, Seconds: b.took.Seconds()}
		if why != nil {
			line.Error = why.Error()
		}
		return b.world.JSON(map[string]publishSummary{"summary": line})
	case b.took == 0:
		return nil
	default:
		_, err := fmt.Fprintf(b.world.Stdout, "%d published, %d were there already with the same content, %d skipped as invalid, in %s (%.0f a second)\n",
			b.sent.Published, b.sent.Duplicates, b.invalid, b.took.Round(time.Millisecond), float64(b.valid)/b.took.Seconds())
		return err
	}
}

// publishSummary is the last line of --json.
type publishSummary struct {
	publish.Sent

	Invalid       int     `json:"invalid"`
	ProviderRules bool    `json:"providerRules"` // they were checked
	Seconds       float64 `json:"seconds"`
	Error         string  `json:"error,omitempty"`
}

func (b *batch) sendAll(s *publish.Sender) error {
	for n, f := range b.files {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("read again: %w", err)
		}
		err := publish.Scan(f, label(b.command.Files[n]), b.decoder, b.rules, func(i publish.Item) error {
			if len(i.Faults) > 0 || b.unclear[publish.Place{File: i.File, Line: i.Line}] {
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
	if b.twins != nil {
		_ = b.twins.Close() // nothing of it is kept
	}
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
