// Package reconcile is the command "consumer reconcile": it reads flags and files,
// and prints what the packages reconcile and reconcile/books find.
package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/reconcile"
	"github.com/countermand/countermand/reconcile/books"
)

// Command is "consumer reconcile".
type Command struct {
	cli.Desk

	Provider  string        `help:"Name of the configured provider instance." required:"" placeholder:"NAME"`
	From      string        `help:"Start of the period: a date (its midnight, UTC) or a time (RFC 3339)." required:"" placeholder:"TIME"`
	To        string        `help:"End of the period; the end itself is not included." required:"" placeholder:"TIME"`
	File      string        `help:"The provider's statement (CSV, also with semicolons or tabs). Without it, the command asks the provider about each operation." type:"path" placeholder:"FILE"`
	JSON      bool          `help:"Print one difference a line as JSON, then the summary." xor:"form"`
	CSV       bool          `help:"Print the differences as CSV; the summary goes to standard error." name:"csv" xor:"form"`
	Resume    string        `help:"Keep answers in this file, and continue with the answers it contains." type:"path" placeholder:"FILE"`
	Rate      float64       `help:"Queries a second. Default: half of the instance's rateLimit, because the service uses it too." placeholder:"N"`
	OlderThan time.Duration `help:"Report open operations that are older than this." default:"24h"`
	Slack     time.Duration `help:"How far the provider's times may differ from ours at the borders of the period." default:"1h"`
	Apply     bool          `help:"Make the running service ask the provider again and publish new facts to the ledgers; needs --reason."`
	Reason    string        `help:"Why you do this; recorded with --apply." placeholder:"TEXT"`
	AskAs     string        `help:"With --apply: configuration with the login that asks the service. Default: that of --config, which reads the journal." type:"path" placeholder:"FILE"`
	TempDir   string        `help:"Directory for sorted temporary files; default: the system's." type:"path" placeholder:"DIR"`
}

// Help is the long help text.
func (Command) Help() string {
	return `Reads the journal and compares every operation of the period with the provider. It asks the provider about each
operation, or reads the provider's statement (--file). Without --apply it changes nothing. The differences:

  moved_twice      the provider carried out one operation more than once
  unknown_money    the provider moved money that no operation of ours explains
  not_executed     for us it succeeded, for the provider it did not
  executed_anyway  for us it failed or was rejected, and the provider carried it out
  returned         for us it succeeded, and the provider says that the money came back
  amount_differs   for both it succeeded, with different amounts
  open_too_old     it has not ended for longer than --older-than
  row_repeated     the statement has a row again, equal in every column: its parts overlap, and it counts once

A statement is CSV with the columns reference, provider_reference, operation, amount_minor, currency,
executed_at, status. Semicolons and tabs are read as well, and UTF-16 that begins with a byte order mark.
Of the rows of one provider_reference the newest counts, where each refund has its own (OPay, Tranzzo). Where it is the
payment's (Bento, Openpay), each success counts. A workbook, another program's export, and references
and amounts that a spreadsheet has damaged are refused, and the fault says what to do.
Only a statement shows money that moved for payments without an operation of ours.

With --apply the running service asks the provider again about each operation that is not_executed,
executed_anyway, returned or open_too_old. It publishes the provider's answer as an event: returned,
executed_late, or the result of an open operation. It never publishes a second result, and it publishes nothing
twice. It records each query as payment.operator.look, with who and why. Reading the journal and asking the service are
rights of two logins: --config names the reader's configuration, and --ask-as that of an operator.

Exit codes: 0 no difference; 1 differences, or something could not be compared; 2 flags, configuration or
statement are wrong, and nothing was compared.

Example: consumer reconcile --config config.yaml --provider opay-eg --from 2026-11-01 --to 2026-11-08 --file opay.csv`
}

// Run compares and prints.
func (c *Command) Run(w *cli.World) (err error) {
	period, err := c.period(time.Now().UTC())
	if err != nil {
		return cli.Usage(err)
	}
	if _, err := events.Filter(paymentAt(c.Provider)); err != nil {
		return cli.Usage(errors.New("--provider is no provider's name"))
	}
	if c.Apply != (c.Reason != "") {
		return cli.Usage(errors.New("--apply and --reason belong together"))
	}
	if c.AskAs != "" && !c.Apply {
		return cli.Usage(errors.New("--ask-as is for --apply: nobody is asked without it"))
	}
	source := books.Source{Provider: c.Provider, Dir: c.TempDir}
	statement, err := c.statement(w, source)
	if err != nil {
		return err
	}
	if statement != nil {
		defer func() { err = errors.Join(err, statement.Close()) }()
	}
	server, err := c.OpenCalling(w)
	if err != nil {
		return err
	}
	defer server.Close()
	cfg := server.Config
	source.Stream = cfg.Streams.Events
	if err := server.MayRead(w.Context, source.Stream); err != nil {
		return err
	}
	var configured bool
	if source.References, configured = app.References(cfg, c.Provider); !configured && statement != nil {
		fmt.Fprintf(w.Stderr, "provider %q is not in the configuration: of rows that share a provider_reference none takes another back\n", c.Provider)
	}
	r := &reconciling{command: c, world: w, cfg: cfg, source: source, out: newDifferences(w, c.JSON, c.CSV), began: time.Now()}
	emit := r.out.emit
	if c.Apply {
		client, done, err := c.service(w, server)
		if err != nil {
			return err
		}
		defer done()
		r.again = &requeries{desk: client, world: w, out: r.out, reason: c.Reason}
		emit = r.again.emit
	}
	r.sink = &reconcile.Sink{Period: period, Provider: c.Provider, Report: &reconcile.Report{}, Emit: emit}
	if statement == nil {
		if r.instance, err = c.instance(cfg); err != nil {
			return cli.Usage(err)
		}
	}
	return r.run(server.Conn, statement)
}

// service returns the desk, asked under the login of --ask-as or of the connection that
// reads the journal, and what ends that.
func (c *Command) service(w *cli.World, server *cli.Connection) (*remote.Client, func(), error) {
	if c.AskAs == "" {
		client, err := c.Client(w, server)
		return client, func() {}, err
	}
	operator := c.Desk
	operator.Config = c.AskAs
	return operator.OpenDesk(w)
}

// period reads the flags.
func (c *Command) period(now time.Time) (reconcile.Period, error) {
	from, fromErr := cli.Moment("--from", c.From)
	to, toErr := cli.Moment("--to", c.To)
	err := errors.Join(fromErr, toErr)
	if err == nil && !from.Before(to) {
		err = errors.New("--from is not before --to")
	}
	if c.OlderThan <= 0 || c.Slack < 0 || c.Rate < 0 {
		err = errors.Join(err, errors.New("--older-than must be positive, --slack and --rate not negative"))
	}
	if c.File != "" && (c.Resume != "" || c.Rate != 0) {
		err = errors.Join(err, errors.New("--resume and --rate are for asking the provider; with --file nobody is asked"))
	}
	return reconcile.Period{From: from, To: to, Slack: c.Slack, Now: now, OldAfter: c.OlderThan}, err
}

// statement reads the file; nil: there is none.
func (c *Command) statement(w *cli.World, source books.Source) (*books.Statement, error) {
	if c.File == "" {
		return nil, nil //nolint:nilnil // no statement is a good answer
	}
	return cli.ReadStatement(w, c.File, source, c.JSON)
}

// instance builds the one provider that is asked, as the service does.
func (c *Command) instance(cfg *config.Config) (*providers.Instance, error) {
	one := *cfg
	one.Providers = nil
	for _, p := range cfg.Providers {
		if p.Name == c.Provider {
			one.Providers = append(one.Providers, p)
		}
	}
	if len(one.Providers) == 0 {
		return nil, fmt.Errorf("provider %q is not in the configuration, so it cannot be asked: give its statement with --file", c.Provider)
	}
	built, err := app.Instances(&one, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return &built[0], nil
}

// reconciling is one run.
type reconciling struct {
	command  *Command
	world    *cli.World
	cfg      *config.Config
	source   books.Source
	instance *providers.Instance // nil: there is a statement
	sink     *reconcile.Sink
	out      *differences
	again    *requeries // nil: nothing is applied
	began    time.Time
	recalled int
}

// maxAsking bounds the payments asked about at a time: the service needs the
// provider as well.
const maxAsking = 16

func (r *reconciling) run(nc *nats.Conn, statement *books.Statement) (err error) {
	quiet := r.command.JSON || r.command.CSV
	bar := cli.NewGauge(r.world, quiet, "reading the journal")
	journal, err := books.ReadJournal(r.world.Context, nc, r.source, bar.Set)
	bar.End()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()
	if statement != nil {
		err = statement.Compare(journal, r.sink, r.source)
	} else {
		err = r.ask(r.world.Context, journal, cli.NewGauge(r.world, quiet, "asking the provider"))
	}
	if err != nil {
		return errors.Join(err, r.out.flush())
	}
	return r.end(journal)
}

func (r *reconciling) ask(ctx context.Context, journal *books.Journal, bar *cli.Gauge) (err error) {
	perSecond := cmp.Or(r.command.Rate, r.instance.RateLimit/2)
	asking := &books.Asking{
		Asker: books.NewAsker(*r.instance, perSecond), AtOnce: min(max(r.instance.MaxConcurrent/2, 1), maxAsking), Progress: bar.Set,
	}
	if r.command.Resume != "" {
		p := r.sink.Period
		run := books.Run{
			Provider: r.command.Provider, Account: r.instance.Account,
			From: p.From.Format(time.RFC3339Nano), To: p.To.Format(time.RFC3339Nano),
		}
		asking.Checkpoint, err = books.OpenCheckpoint(r.command.Resume, run, r.source)
		if errors.Is(err, books.ErrOtherRun) {
			return cli.Usage(err)
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, asking.Checkpoint.Close()) }()
	}
	defer bar.End()
	err = asking.Compare(ctx, journal, r.sink)
	r.recalled = asking.Recalled
	return err
}

// end prints the summary and tells the exit code.
func (r *reconciling) end(journal *books.Journal) error {
	report := r.sink.Report
	for _, subject := range journal.Damaged {
		fmt.Fprintf(r.world.Stderr, "cannot be read: %s\n", subject)
	}
	if err := errors.Join(r.out.flush(), r.out.summary(r, journal)); err != nil {
		return err
	}
	var found []error
	if n := report.Differences(); n > 0 {
		found = append(found, fmt.Errorf("%d differences", n))
	}
	if n := report.Unanswered; n > 0 {
		found = append(found, fmt.Errorf("%d operations could not be asked about: run it again when the provider answers", n))
	}
	if r.again != nil {
		found = append(found, r.again.end()...)
	}
	if n := journal.DamagedCount; n > 0 {
		found = append(found, fmt.Errorf("%d events of the journal cannot be read", n))
	}
	return errors.Join(found...)
}
