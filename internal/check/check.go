package check

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/providers"
)

// answerFor is the default of Options.Patience.
const answerFor = 5 * time.Second

// Options are the choices of a check; nil and zero values mean the defaults.
type Options struct {
	// As is the role whose login the configuration has. Only that role's rights are
	// looked at, and what it may not see is NotVerifiable. Default: Service.
	As Role
	// Operator is the name at the desk, for the role Operator.
	Operator string
	// Deep reads every sequence of the journal, to find what is missing in it and open
	// operations that nothing will bring back.
	Deep bool
	// Progress is told how far reading the journal is. Default: nobody.
	Progress func(done, total uint64)
	// Now is the local clock that is compared with the server's. Default: time.Now.
	Now func() time.Time
	// Patience bounds each question to the server, and the connecting. Default: 5 s.
	Patience time.Duration
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.As == "" {
		out.As = Service
	}
	if out.Progress == nil {
		out.Progress = func(uint64, uint64) {}
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	if out.Patience <= 0 {
		out.Patience = answerFor
	}
	return out
}

// Run checks everything the configuration names and tells found each finding,
// from the calling goroutine, in an order that makes the first error the one to
// mend first. It returns early when ctx ends, with its error; without one, what
// has no finding is as it should be.
func Run(ctx context.Context, cfg *config.Config, o *Options, found func(Finding)) error {
	c := &checker{cfg: cfg, opts: o.withDefaults(), found: found}
	c.secretFiles()
	c.quotedSecrets()
	c.instances()
	c.witness(ctx)
	c.people()
	usable := c.connect()
	if usable {
		defer c.nc.Close()
		usable = c.server(ctx)
	}
	c.logins(ctx)
	if usable && c.opts.Deep {
		c.sequences(ctx)
		c.deep(ctx)
	}
	return ctx.Err()
}

// server looks at all that is on the server, and reports whether it could. The
// first question that is not answered ends it: each more would wait as long.
func (c *checker) server(ctx context.Context) bool {
	c.version()
	if !c.probe() {
		return false
	}
	c.excess()
	if c.silent {
		return false
	}
	for _, step := range []func(context.Context){c.durability, c.copyOfJournal, c.topology, c.asked, c.account, c.journal, c.clock, c.removed, c.paused} {
		step(ctx)
		if c.silent || ctx.Err() != nil {
			return false
		}
	}
	return true
}

// checker is one run.
type checker struct {
	cfg   *config.Config
	opts  Options
	found func(Finding)

	nc *nats.Conn
	js jetstream.JetStream
	// built are the configured instances; nil where one could not be built.
	built []providers.Instance
	// via are the proxies' hosts by the name of the instance that is called through them.
	via map[string]string
	// refused are the subjects that may not be published to; beyond are those that are
	// none of the role's.
	refused, beyond map[string]bool
	// timers are those there are; nil: not known.
	timers *openwork.TimerSet
	// silent: a question was not answered; further ones would not be either.
	silent bool
	// servers is how many the cluster has, as far as is known; at least 1.
	servers int
}

func (c *checker) report(s Severity, check, what string, f Finding) {
	f.Severity, f.Check, f.What = s, check, what
	f.Is = strings.ReplaceAll(f.Is, "\n", "; ") // joined errors: a finding is one line
	c.found(f)
}

// within bounds one question.
func (c *checker) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.opts.Patience)
}

// connect opens a connection that, unlike the service's, does not wait for a
// server that is away or that refuses it.
func (c *checker) connect() bool {
	quiet := slog.New(slog.DiscardHandler)
	nc, err := app.Connect(
		c.cfg.NATS, "countermand check", quiet, nats.RetryOnFailedConnect(false), nats.CustomInboxPrefix(c.inbox()),
		nats.Timeout(c.opts.Patience/time.Duration(addresses(c.cfg.NATS.URL))), nats.MaxReconnects(0),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	)
	if err != nil {
		c.notConnected(err)
		return false
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(c.opts.Patience))
	if err != nil {
		nc.Close()
		c.report(Error, JetStream, "client", Finding{Is: err.Error(), Want: "usable", Do: "report this"})
		return false
	}
	c.nc, c.js, c.servers = nc, js, max(len(nc.Servers()), 1)
	return true
}
