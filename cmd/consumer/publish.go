package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/schollz/progressbar/v3"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/publish"
)

// target says which server a command talks to.
type target struct {
	Config string `help:"Configuration file (YAML): server, credentials, stream names." type:"path" placeholder:"FILE"`
	NATS   string `name:"nats" help:"Server, where no configuration is given." default:"nats://127.0.0.1:4222" placeholder:"URL"`
}

// connectFor is how long a command that a person waits for tries to connect.
const connectFor = 5 * time.Second

// open connects. Unlike the service it does not wait for a server that is away.
func (t target) open(w *world) (*nats.Conn, jetstream.JetStream, *config.Config, error) {
	cfg := config.Defaults()
	cfg.NATS.URL = t.NATS
	if t.Config != "" {
		var err error
		if cfg, err = config.Load(t.Config, w.getenv); err != nil {
			return nil, nil, nil, usageError{err}
		}
	}
	log := slog.New(slog.DiscardHandler)
	nc, err := app.Connect(cfg.NATS, "countermand command", log, nats.RetryOnFailedConnect(false), nats.Timeout(connectFor))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w (is the server running at %s?)", err, cfg.NATS.URL)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, nil, fmt.Errorf("use jetstream: %w", err)
	}
	return nc, js, cfg, nil
}

// publishCommand is "consumer publish".
type publishCommand struct {
	target

	Files       []string `arg:"" name:"file" help:"Files of commands; - is standard input."`
	Mode        string   `help:"CloudEvents content mode." enum:"structured,binary" default:"structured"`
	ByProvider  bool     `help:"Publish to payment.<operation>.requested.<provider>, for permissions that name a provider."`
	SkipInvalid bool     `help:"Publish the valid commands although others are not."`
	JSON        bool     `help:"Faults and the summary as JSON, one object a line."`
}

// Help is the long help text.
func (publishCommand) Help() string {
	return `Reads CloudEvents commands, JSON values one a line or one array, checks each as the consumer will,
and publishes them. Faults name file, line and field, and nothing goes out unless all are valid.
Publishing a file again within two minutes adds nothing: the message id is the event's source and id.

Exit codes: 0 published, 1 not (all) published, 2 faults in the input and nothing published.

Example: consumer publish schemas/examples/commands.jsonl --mode binary`
}

// Run checks everything, then publishes.
func (c *publishCommand) Run(w *world) error {
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
		return usageError{fmt.Errorf("%d of %d commands are not valid; nothing was published", b.invalid, b.valid+b.invalid)}
	}
	return b.send()
}

// batch is the commands of one invocation. Files are read twice, standard
// input is put aside in a file, so that memory does not grow with their size.
type batch struct {
	command                *publishCommand
	world                  *world
	decoder                *events.Decoder
	files                  []*os.File
	valid, invalid, faults int
}

// maxFaults is how many faults people are shown; machines get all of them.
const maxFaults = 50

// check reads every command once and reports every fault.
func (b *batch) check() error {
	bar := b.progress("checking", -1)
	for _, name := range b.command.Files {
		f, err := b.open(name)
		if err != nil {
			return usageError{err}
		}
		b.files = append(b.files, f)
		err = publish.Scan(f, label(name), b.decoder, func(i publish.Item) error {
			bar(1)
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
	if b.faults > maxFaults && !b.command.JSON {
		fmt.Fprintf(b.world.stderr, "… and %d more faults\n", b.faults-maxFaults)
	}
	if b.valid+b.invalid == 0 {
		return usageError{errors.New("there is no command in the input")}
	}
	return nil
}

func (b *batch) report(faults []publish.Fault) error {
	for _, f := range faults {
		b.faults++
		switch {
		case b.command.JSON:
			if err := json.NewEncoder(b.world.stdout).Encode(map[string]publish.Fault{"fault": f}); err != nil {
				return err
			}
		case b.faults <= maxFaults:
			fmt.Fprintln(b.world.stderr, f)
		}
	}
	return nil
}

// send publishes what was valid.
func (b *batch) send() error {
	nc, js, _, err := b.command.open(b.world)
	if err != nil {
		return err
	}
	defer nc.Close()
	bar := b.progress("publishing", b.valid)
	began := time.Now()
	s := publish.NewSender(js, &publish.SendOptions{
		Binary: b.command.Mode == "binary", ByProvider: b.command.ByProvider, Progress: bar,
	})
	failed := b.sendAll(s)
	sent, err := s.Close()
	if failed == nil {
		failed = err
	}
	took := time.Since(began)
	if b.command.JSON {
		summary := map[string]any{"summary": map[string]any{
			"published": sent.Published, "duplicates": sent.Duplicates, "invalid": b.invalid, "seconds": took.Seconds(),
		}}
		return errors.Join(json.NewEncoder(b.world.stdout).Encode(summary), failed)
	}
	fmt.Fprintf(b.world.stdout, "%d published, %d were there already, %d skipped as invalid, in %s (%.0f a second)\n",
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
			return s.Send(b.world.ctx, i)
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
	if _, err := io.Copy(aside, contextReader{b.world.ctx, b.world.stdin}); err != nil {
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

// progress shows a bar on a terminal and nothing elsewhere.
func (b *batch) progress(what string, total int) func(int) {
	if b.command.JSON || !terminal(b.world.stderr) {
		return func(int) {}
	}
	bar := newBar(b.world, what, int64(total))
	return func(n int) { _ = bar.Add(n) } // a bar that cannot be drawn harms nothing
}

// newBar is how progress looks, on standard error.
func newBar(w *world, what string, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total, progressbar.OptionSetWriter(w.stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond))
}

func label(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// contextReader stops reading when ctx ends.
type contextReader struct {
	ctx context.Context //nolint:containedctx // a reader has no other way to be told
	r   io.Reader
}

// Read implements io.Reader.
func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// terminal reports whether out is a terminal.
func terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
