package check

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/monitor"
	"github.com/countermand/countermand/payment"
)

const (
	eraser    = "who has it erases the journal (max_age) or has messages published again as commands (republish): take it out of the login's file once the upgrade is done"
	republish = "whoever may create a stream of any name has its messages published again as commands: take it out of the login's file"
)

// excess looks for rights of this login that no shipped file grants. What it sends is no
// request, and is stored nowhere: where it is permitted, nothing happens.
func (c *checker) excess() {
	const anything = "countermand." + nobody
	if c.permitted(anything) {
		c.report(Warning, Login, c.login(), Finding{
			Is: "permitted to publish to any subject", Want: "permissions listed one by one",
			Do: "whoever has this login refunds any payment and erases the journal: use the files in deploy/k8s/components/nats/permissions",
		})
		return
	}
	t := app.Topology(c.cfg)
	for _, stream := range []string{t.Commands, t.Events, t.Due, t.Refusals, t.Rejected, t.ControlStream()} {
		c.tooMuch("$JS.API.STREAM.UPDATE."+stream, eraser)
	}
	c.tooMuch("$JS.API.STREAM.CREATE."+nobody, republish)
}

func (c *checker) tooMuch(subject, do string) {
	if !c.silent && c.permitted(subject) {
		c.report(Error, Login, "publish to "+subject, Finding{Is: "permitted", Want: "refused by the server", Do: do})
	}
}

// permitted reports whether this login may publish to a subject.
func (c *checker) permitted(subject string) bool {
	err := c.nc.PublishMsg(&nats.Msg{Subject: subject, Data: []byte("probe")})
	if err == nil {
		err = c.nc.FlushTimeout(c.opts.Patience)
	}
	if err != nil {
		c.mute(err)
	}
	return err == nil && !c.violated(subject)
}

// account looks at all that is in the account of the streams, as the server's monitoring
// address shows it: a login sees only what it may ask for. What other users may do, no
// server tells.
func (c *checker) account(ctx context.Context) {
	if c.opts.As != Service {
		c.hidden(Account, "streams, consumers and logins of the account") // it cannot tell the service from strangers
		return
	}
	if c.cfg.NATS.Monitor == "" {
		c.report(NotVerifiable, Account, "streams, consumers and logins of the account", Finding{
			Is: "unknown", Want: "the service's own, and readers within their bounds",
			Do: "only the monitoring address shows all of them: set nats.monitor (http://HOST:8222)",
		})
		return
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	s, err := c.js.Stream(ctx, c.cfg.Streams.Events)
	if err != nil {
		return // topology says so
	}
	all, err := monitor.Accounts(ctx, c.cfg.NATS.Monitor)
	if err != nil {
		return // durability has said what is wrong with the address
	}
	own := slices.IndexFunc(all, func(a monitor.Account) bool {
		return slices.ContainsFunc(a.Streams, func(is monitor.Stream) bool {
			return is.Name == c.cfg.Streams.Events && is.Created.Equal(s.CachedInfo().Created)
		})
	})
	if own < 0 {
		c.report(NotVerifiable, Account, "streams, consumers and logins of the account", Finding{
			Is: "unknown: the monitored server holds no copy of " + c.cfg.Streams.Events, Want: "known", Do: "set nats.monitor to a server that does",
		})
		return
	}
	c.streams(all[own])
	c.others(ctx, all[own].Name)
	c.border(ctx, all[own].Name)
}

// ours are the service's streams, and the subjects that nothing but the service and
// what is permitted by name may reach.
func (c *checker) ours() (streams, subjects []string) {
	t := app.Topology(c.cfg)
	for _, s := range t.Streams() {
		streams, subjects = append(streams, s.Name), append(subjects, s.Subjects...)
	}
	return streams, append(subjects, "payments.>", "$JS.>", "$KV."+t.Control+".>")
}

// streams reports what others publish into our streams or take from the service. What our
// own streams copy and publish, topology says.
func (c *checker) streams(a monitor.Account) {
	names, subjects := c.ours()
	for _, s := range a.Streams {
		if slices.Contains(names, s.Name) {
			c.foreign(s, a)
			c.readers(s)
			continue
		}
		what := "stream " + s.Name
		if r := s.Config.Republish; r != nil && reaches(r.Destination, subjects) {
			c.report(Error, Account, what+", republish", Finding{
				Is: "to " + r.Destination, Want: "none",
				Do: "the server publishes each message again without asking for rights, as a command or an event: remove the setting or the stream",
			})
		}
		if overlapsAny(s.Config.Subjects, subjects) {
			c.report(Error, Account, what+", subjects", Finding{
				Is: strings.Join(s.Config.Subjects, " "), Want: "none of the service's subjects",
				Do: "it takes in requests to the service and answers in its place: delete the stream",
			})
		}
		for _, is := range s.Consumers {
			if to := is.Config.DeliverSubject; to != "" && reaches(to, subjects) {
				c.report(Error, Account, fmt.Sprintf("consumer %s on %s, deliver subject", is.Name, s.Name), Finding{
					Is: to, Want: "none of the service's subjects",
					Do: "the server publishes each message of that stream there without asking for rights, as a command, an event or a ruling: delete the consumer, and take the right to create consumers from whoever made it",
				})
			}
		}
	}
}

// reaches reports whether what is published to a destination can arrive at one of the
// subjects.
func reaches(destination string, subjects []string) bool {
	return overlapsAny([]string{pattern(destination)}, subjects)
}

// pattern is all that a destination can become. {{…}} and $n stand for parts of the first
// subject, and some of the former for several levels.
func pattern(destination string) string {
	levels := strings.Split(destination, ".")
	for i, level := range levels {
		function := strings.Contains(level, "{{")
		switch lower := strings.ToLower(level); {
		case function && (strings.Contains(lower, "split") || strings.Contains(lower, "slice")):
			return strings.Join(append(levels[:i], ">"), ".")
		case function, len(level) > 1 && level[0] == '$' && strings.Trim(level[1:], "0123456789") == "":
			levels[i] = "*"
		}
	}
	return strings.Join(levels, ".")
}

func overlapsAny(some, others []string) bool {
	return slices.ContainsFunc(some, func(a string) bool {
		return slices.ContainsFunc(others, func(b string) bool { return overlap(a, b) })
	})
}

// overlap reports whether one subject can match both patterns.
func overlap(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		switch {
		case x[i] == ">" || y[i] == ">":
			return true
		case x[i] != y[i] && x[i] != "*" && y[i] != "*":
			return false
		}
	}
	return len(x) == len(y)
}

// foreign reports the consumers of others on one of our streams that do more than a
// reader may or less than it needs, or that wait where nothing comes any more.
func (c *checker) foreign(s monitor.Stream, a monitor.Account) {
	t := app.Topology(c.cfg)
	for _, is := range s.Consumers {
		if is.Name == c.cfg.Consumer && slices.Contains([]string{t.Commands, t.Due, t.Events}, s.Name) {
			continue // the service's own: topology looks at it
		}
		what := fmt.Sprintf("consumer %s on %s", is.Name, s.Name)
		if s.Name == t.Due {
			c.report(Error, Account, what, Finding{
				Is: "there", Want: "none but " + c.cfg.Consumer, Do: "what it acknowledges is deleted: timers are lost, and nothing brings their operations back; delete the consumer",
			})
			continue
		}
		var findings []broker.Finding
		if is.Config.Durable != "" || is.Config.DeliverSubject != "" { // others are a person's command that reads: gone with its connection
			is.Config.Name = is.Name
			findings = t.VerifyReader(s.Name, is.Config)
			c.reader(Account, what, findings, is.Paused, is.PauseRemaining)
		}
		if slices.ContainsFunc(findings, func(f broker.Finding) bool { return f.Setting == "filter" }) {
			continue
		}
		filters := slices.DeleteFunc(append([]string{is.Config.FilterSubject}, is.Config.FilterSubjects...), func(f string) bool { return f == "" })
		for _, filter := range filters {
			if !overlapsAny([]string{filter}, s.Config.Subjects) && !c.readApart(filter, s, is, a) {
				c.report(Error, Account, what+", filter", Finding{
					Is: filter, Want: "a subject of the stream", Do: "its reader gets nothing new there: name the new place in the setting readers and run provision",
				})
			}
		}
	}
}

// reader reports what is wrong with one reader's consumer.
func (c *checker) reader(check, what string, findings []broker.Finding, paused bool, remaining time.Duration) {
	for _, f := range findings {
		c.report(Error, check, what+", "+f.Setting, Finding{Is: f.Is, Want: f.Want, Do: f.Do})
	}
	if paused {
		c.report(Error, check, what+", pause", Finding{
			Is: "paused for " + remaining.Round(time.Second).String(), Want: "not paused", Do: "its reader gets no results: resume the consumer",
		})
	}
}

// readApart reports whether a reader that waits on the journal for refusals gets them from
// their own stream: on the journal it still reads those that an older version has put there.
func (c *checker) readApart(filter string, s monitor.Stream, is monitor.Consumer, a monitor.Account) bool {
	return s.Name == c.cfg.Streams.Events && events.CoversRejections(filter) && slices.ContainsFunc(a.Streams, func(other monitor.Stream) bool {
		return other.Name == c.cfg.Streams.Refusals && slices.ContainsFunc(other.Consumers, func(there monitor.Consumer) bool { return there.Name == is.Name })
	})
}

// readers reports the configured readers that have no consumer on a stream.
func (c *checker) readers(s monitor.Stream) {
	for _, r := range c.cfg.Readers {
		if s.Name != c.cfg.Streams.Events && (s.Name != c.cfg.Streams.Refusals || !slices.ContainsFunc(r.Filters, events.CoversRejections)) {
			continue
		}
		if !slices.ContainsFunc(s.Consumers, func(is monitor.Consumer) bool { return is.Name == r.Name }) {
			c.report(Error, Account, fmt.Sprintf("consumer %s on %s", r.Name, s.Name), Finding{
				Is: "missing", Want: "there", Do: "its reader gets no results: run provision",
			})
		}
	}
}

// asked looks at the consumers of the configured readers one by one, as the role may
// that makes them: it needs no monitoring address.
func (c *checker) asked(ctx context.Context) {
	if c.opts.As != Provisioner {
		return // account sees them
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	t := app.Topology(c.cfg)
	for _, r := range t.Readers {
		streams := []string{t.Events}
		if _, ok := t.RefusalsReaderConfig(r); ok {
			streams = append(streams, t.Refusals)
		}
		for _, stream := range streams {
			if !c.askedOne(ctx, t, stream, r.Name) {
				return
			}
		}
	}
}

// askedOne looks at one consumer, and reports whether the server answers at all.
func (c *checker) askedOne(ctx context.Context, t broker.Topology, stream, name string) bool {
	what := fmt.Sprintf("consumer %s on %s", name, stream)
	subject := consumerInfo(stream, name)
	if c.lacks(Topology, what, subject) {
		return true
	}
	m, err := c.nc.RequestWithContext(ctx, subject, nil)
	var info struct {
		jetstream.ConsumerInfo

		Error *jetstream.APIError `json:"error"`
	}
	if err == nil {
		err = json.Unmarshal(m.Data, &info)
	}
	switch {
	case err != nil:
		c.notAnswered(Topology, what, err)
		return false
	case info.Error != nil:
		c.report(Error, Topology, what, Finding{Is: info.Error.Description, Want: "there", Do: "its reader gets no results: run provision"})
		return true
	}
	info.Config.Name = name
	c.reader(Topology, what, t.VerifyReader(stream, info.Config), info.Paused, info.PauseRemaining)
	return true
}

// others reports the logins that are connected in the account beside this one.
func (c *checker) others(ctx context.Context, account string) {
	server, all, err := monitor.Connections(ctx, c.cfg.NATS.Monitor)
	if err != nil {
		return // durability has said what is wrong with the address
	}
	own := c.identity(server, all)
	told := map[string]bool{}
	for _, is := range all {
		if is.Account != account || is.User == own || is.User == "" || told[is.User] {
			continue
		}
		told[is.User] = true
		c.report(Warning, Login, fmt.Sprintf("%s (client %q from %s)", is.User, is.Name, is.IP), Finding{
			Is: "connected in the account " + account, Want: "the service alone, and a provisioner while it runs",
			Do: "in this account the server's answers can be sent into the streams, and no server tells what a user may do: look at its file, and give it an account of its own",
		})
	}
}

// identity is the name under which a server knows this login; empty: not known.
func (c *checker) identity(server string, all []monitor.Connection) string {
	if id, err := c.nc.GetClientID(); err == nil && server == c.nc.ConnectedServerId() {
		for _, is := range all {
			if is.ID == id {
				return is.User
			}
		}
	}
	pair, err := nkeys.FromSeed([]byte(c.cfg.NATS.NKey.Reveal()))
	if err != nil {
		pair, err = nkeys.ParseDecoratedNKey([]byte(c.cfg.NATS.Credentials.Reveal()))
	}
	if err != nil {
		return ""
	}
	defer pair.Wipe()
	public, _ := pair.PublicKey()
	return public
}

// takes reports whether an export names the service's own consumer: whoever imports it
// takes messages from the service, or acknowledges them in its place.
func (c *checker) takes(subject string) bool {
	return strings.HasPrefix(subject, "$JS.") && !strings.HasPrefix(subject, "$JS.API.CONSUMER.INFO.") &&
		slices.Contains(strings.Split(subject, "."), c.cfg.Consumer)
}

// offer is a kind of export, "service" or "stream", and its subject.
type offer struct{ kind, subject string }

func services(subjects ...string) []offer {
	var all []offer
	for _, s := range subjects {
		all = append(all, offer{"service", s})
	}
	return all
}

// offeredToAll is what permissions/exports.conf offers to whoever imports it; a test holds
// it against the file.
func offeredToAll(t broker.Topology) []offer {
	all := services("payments.status.*", streamInfo(t.Commands))
	for _, op := range payment.Ops() {
		all = append(all, services(events.CommandSubject(op, "")+".*")...)
	}
	for _, stream := range []string{t.Events, t.Refusals} {
		all = append(all, services(
			consumerInfo(stream, "*"), "$JS.API.CONSUMER.MSG.NEXT."+stream+".*", "$JS.ACK."+stream+".*.>", "$JS.FC."+stream+".*.>",
		)...)
	}
	return append(all, offer{"stream", events.ReaderSubject("*")}, offer{"stream", events.RefusalsSubject("*")})
}

// offeredToSome is what it offers to accounts that it names.
func offeredToSome(t broker.Topology) []offer {
	return services(
		"payments.desk.*.*", "payments.control.*.*", "payments.status",
		streamInfo(t.Events), "$JS.API.STREAM.MSG.GET."+t.Events, "$JS.API.STREAM.MSG.GET."+t.ControlStream(), "$JS.API.INFO",
	)
}

// concerns reports whether a subject can match one of ours or of the server's: what the
// service hears and writes, its streams, or the answers to anybody in its account.
func concerns(subject string) bool {
	first, _, _ := strings.Cut(pattern(subject), ".")
	switch first {
	case "payment", "payments", "*", ">":
		return true
	default:
		return strings.HasPrefix(first, "$") || strings.HasPrefix(first, "_")
	}
}

// covers reports whether a pattern matches all that another one does.
func covers(wide, narrow string) bool {
	x, y := strings.Split(wide, "."), strings.Split(narrow, ".")
	for i := range x {
		switch {
		case i >= len(y):
			return false
		case x[i] == ">":
			return true
		case x[i] != y[i] && (x[i] != "*" || y[i] == ">"):
			return false
		}
	}
	return len(x) == len(y)
}
