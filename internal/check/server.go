package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/app"
)

// oldest is the oldest server that every promise was tested on.
const oldest = "2.15.2"

// maxSkew is the difference of clocks above which the service is not ready.
const maxSkew = 2 * time.Second

// addresses counts the servers a URL names.
func addresses(url string) int { return strings.Count(url, ",") + 1 }

// notConnected tells wrong credentials from a server that cannot be reached.
func (c *checker) notConnected(err error) {
	what := "server " + c.cfg.NATS.URL
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired):
		c.report(Error, Credentials, what, Finding{
			Is: "refusing " + c.login(), Want: "accepting it",
			Do: "nothing works before: check " + c.loginKey() + " and the server's users",
		})
	case errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted):
		c.report(Error, Connection, what, Finding{
			Is: err.Error(), Want: "TLS on both sides or on none", Do: "nothing works before: check nats.url (tls://) and nats.tls",
		})
	default:
		reason := err.Error()
		if away, ok := errors.AsType[*app.UnreachableError](err); ok {
			reason = away.Reason()
		}
		c.report(Error, Connection, what, Finding{
			Is: "not reachable (" + reason + ")", Want: "reachable within " + c.opts.Patience.String(),
			Do: "nothing works before: check nats.url, nats.tls and that the server runs",
		})
	}
}

// login names what the server was shown, never its value.
func (c *checker) login() string {
	switch {
	case c.cfg.NATS.Credentials.Reveal() != "":
		return "the credentials"
	case c.cfg.NATS.NKey.Reveal() != "":
		return "the nkey"
	case c.cfg.NATS.TLS.Cert != "":
		return "the client certificate"
	default:
		return "a client without credentials"
	}
}

func (c *checker) loginKey() string {
	switch {
	case c.cfg.NATS.Credentials.Reveal() != "":
		return "nats.credentials"
	case c.cfg.NATS.NKey.Reveal() != "":
		return "nats.nkey"
	case c.cfg.NATS.TLS.Cert != "":
		return "nats.tls.cert"
	default:
		return "nats.credentials or nats.nkey, which are not set,"
	}
}

func (c *checker) version() {
	if is := c.nc.ConnectedServerVersion(); older(is, oldest) {
		c.report(Warning, ServerVersion, "server "+c.nc.ConnectedServerName(), Finding{
			Is: is, Want: oldest + " or newer", Do: "older servers have faults that lose or reorder messages: upgrade, one server at a time",
		})
	}
}

// older compares the numbers of two versions; what is no version is older.
func older(is, want string) bool {
	numbers := func(s string) (out [3]int) {
		s, _, _ = strings.Cut(strings.TrimPrefix(s, "v"), "-")
		for i, part := range strings.SplitN(s, ".", 3) {
			out[i], _ = strconv.Atoi(part) // no number counts as 0, the oldest
		}
		return out
	}
	a, b := numbers(is), numbers(want)
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

// topology compares streams and consumers with what is needed.
func (c *checker) topology(ctx context.Context) {
	t := app.Topology(c.cfg)
	if c.lacks(Topology, "streams and consumers", streamInfo(t.Commands), streamInfo(t.Events), streamInfo(t.Due), streamInfo(t.Refusals), streamInfo(t.Rejected), streamInfo(t.ControlStream()),
		consumerInfo(t.Commands, t.Consumer), consumerInfo(t.Due, t.Consumer)) {
		return
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	findings, err := broker.Verify(ctx, c.js, t)
	for _, f := range findings {
		c.report(Error, Topology, f.Object+", "+f.Setting, Finding{Is: f.Is, Want: f.Want, Do: f.Do})
	}
	if err != nil {
		c.notAnswered(Topology, "streams and consumers", err)
		return
	}
	if c.servers >= 3 && t.Replicas < 3 {
		c.report(Warning, Replicas, "nats.replicas", Finding{
			Is: fmt.Sprintf("%d in a cluster of %d servers", t.Replicas, c.servers), Want: "3",
			Do: "one server's disk would be the only copy of the journal: set nats.replicas to 3 and run provision",
		})
	}
	c.replicas(ctx, t)
}

// replicas looks whether every copy of a stream is there and up to date.
func (c *checker) replicas(ctx context.Context, t broker.Topology) {
	for _, name := range []string{t.Commands, t.Events, t.Due, t.Refusals, t.Rejected, t.ControlStream()} {
		s, err := c.js.Stream(ctx, name)
		if err != nil || s.CachedInfo().Cluster == nil {
			continue // reported above, or not replicated
		}
		for _, r := range s.CachedInfo().Cluster.Replicas {
			if r.Offline || !r.Current {
				c.report(Warning, Replicas, "stream "+name+" on "+r.Name, Finding{
					Is: map[bool]string{true: "offline", false: "behind"}[r.Offline], Want: "current",
					Do: "another server lost now may stop the service: bring this one back",
				})
			}
		}
	}
}

// notAnswered reports what could not be found out.
func (c *checker) notAnswered(check, what string, err error) {
	c.silent = true
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		c.report(Error, JetStream, "account", Finding{
			Is: "without JetStream", Want: "with JetStream", Do: "enable JetStream on the server and for this account",
		})
		return
	}
	reason := err.Error()
	switch {
	case !c.nc.IsConnected():
		reason = "the connection to " + c.cfg.NATS.URL + " is lost"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		reason = "no answer within " + c.opts.Patience.String()
	}
	c.report(NotVerifiable, check, what, Finding{Is: "unknown (" + reason + ")", Want: "known", Do: "mend what is above, then check again"})
}

// missing reports whether an error says that a stream is not there, which the
// topology reports.
func missing(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) }

// clock compares the local clock with those of the servers that lead the streams which
// the role may ask about.
func (c *checker) clock(ctx context.Context) {
	const what = "clock of this machine"
	if c.lacks(ClockSkew, what, streamInfo(c.cfg.Streams.Events)) {
		return
	}
	streams := slices.DeleteFunc(app.Topology(c.cfg).Measured(), func(name string) bool {
		return c.refused[streamInfo(name)] || c.beyond[streamInfo(name)]
	})
	ctx, cancel := c.within(ctx)
	defer cancel()
	all, err := broker.Skews(ctx, c.js, c.opts.Now, streams...)
	if err != nil && len(all) == 0 {
		c.notAnswered(ClockSkew, what, err)
		return
	}
	if worst, ok := broker.Worst(all); ok && worst.Ahead.Abs() > maxSkew+worst.Doubt {
		c.report(Error, ClockSkew, what, Finding{
			Is: "off " + worst.String(), Want: "within " + maxSkew.String(),
			Do: "deadlines of calls mean nothing with it, and the service is not ready: synchronise the clocks",
		})
	}
}
