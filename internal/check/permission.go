package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/payment"
)

// nobody is the payment that probes name. No version 0 exists.
const nobody = "countermand-check"

// probe is one publish that changes nothing, whether it is permitted or not.
type probe struct {
	subject string
	header  nats.Header
	data    string
	// onlyHere is true where the service works without it and only this check does not.
	onlyHere bool
	// gap is what does not work without it.
	gap string
	// asks is what the role's account imports to ask this: somebody answers then, also that
	// it is no request. Empty: whether there is an answer is not looked at.
	asks string
}

// impossible are the headers of an append that every stream refuses after the
// permission check and before it stores anything: it expects another stream,
// and a last sequence no stream has.
func impossible() nats.Header {
	return nats.Header{
		jetstream.ExpectedStreamHeader:      {"COUNTERMAND_CHECK_NO_STREAM"},
		jetstream.ExpectedLastSubjSeqHeader: {"4611686018427387904"},
	}
}

// probes lists every subject the service publishes to.
func (c *checker) probes(t broker.Topology) []probe {
	var all []probe
	question := func(subject, gap string, onlyHere bool) {
		all = append(all, probe{subject: subject, data: "{}", gap: gap, onlyHere: onlyHere})
	}
	for _, stream := range []string{t.Commands, t.Due, t.Events} {
		question(consumerInfo(stream, t.Consumer), "the consumer cannot be found", false)
		// A body that is no request is answered "bad request": nothing is delivered.
		all = append(all, probe{
			subject: "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + t.Consumer, data: "probe", gap: "nothing can be pulled",
		})
		// "In progress" for sequence 0, which no message has: it is not acknowledged.
		all = append(all, probe{
			subject: "$JS.ACK." + stream + "." + t.Consumer + ".1.0.0.0.0", data: "+WPI", gap: "nothing can be acknowledged",
		})
	}
	question("$JS.API.STREAM.MSG.GET."+t.Events, "the journal cannot be read", false)
	question("$JS.API.STREAM.MSG.GET."+t.Commands, "a command that is rejected late is quarantined as a copy", false)
	// An answer that the bucket's stream is there, or not, is one either way.
	question(streamInfo(t.ControlStream()), "it cannot be known which providers are paused, so nothing is carried out", false)
	question("$JS.API.STREAM.MSG.GET."+t.ControlStream(), "it cannot be known which providers are paused, so nothing is carried out", false)
	for _, stream := range []string{t.Events, t.Commands, t.Due, t.Refusals, t.Rejected} {
		question(streamInfo(stream), "it cannot be seen whether the journal has lost something, so nothing is carried out", false)
	}
	question("$JS.API.STREAM.MSG.GET."+t.Refusals, "operators cannot be shown which messages were rejected, and a rejection whose answer was lost is told again and again", false)
	question("$JS.API.STREAM.MSG.GET."+t.Rejected, "operators cannot be shown what is in quarantine", false)
	// A body that is no request is answered "invalid": nothing is deleted.
	all = append(all, probe{
		subject: "$JS.API.STREAM.MSG.DELETE." + t.Rejected, data: "probe", gap: "operators cannot have deleted what is in quarantine",
	})
	question("$JS.API.STREAM.MSG.GET."+t.Due, "delivered timers cannot be read", true)
	if c.opts.Deep {
		// The body lacks what must be in it; the consumer is nobody's.
		question(scanCreate(t.Events), "the journal cannot be scanned", true)
		all = append(all, probe{subject: scanNext(t.Events), data: "probe", onlyHere: true})
	}
	for _, subject := range c.appends() {
		all = append(all, probe{subject: subject, header: impossible(), gap: "it cannot be published"})
	}
	for _, key := range []string{"_mark", "_epoch", "_replica." + nobody} {
		all = append(all, probe{
			subject: "$KV." + t.Control + "." + key, header: impossible(),
			gap: "how far the journal has come cannot be remembered, and calls that nothing makes repeatable wait for that",
		})
	}
	return append(all, probe{
		subject: "$KV." + t.Control + "." + c.cfg.Providers[0].Name, header: impossible(), gap: "operators cannot pause and resume providers",
	})
}

// appends are subjects the service publishes to, one of each kind, for a
// payment that is nobody's.
func (c *checker) appends() []string {
	subjects := append(c.journalAppends("check"), events.QuarantineSubject("0-"+nobody))
	for _, op := range payment.Ops() {
		subjects = append(subjects, events.CommandSubject(op, ""))
	}
	return subjects
}

// journalAppends are those that end in the journal or beside it, or become timers.
// action is that of operators.
func (c *checker) journalAppends(action string) []string {
	subjects := []string{events.RejectedSubject("0-" + nobody), events.OperatorSubject(action, nobody)}
	provider := c.cfg.Providers[0].Name
	for _, op := range payment.Ops() {
		for _, t := range []payment.EventType{
			payment.EventStarted, payment.EventDeferred, payment.EventPending, payment.EventIndeterminate, payment.EventSucceeded,
			payment.EventFailed, payment.EventRejected, payment.EventReturned, payment.EventExecutedLate,
		} {
			if t == payment.EventReturned && !op.GivesBack() {
				continue
			}
			subjects = append(subjects, events.ProbeSubject(op, t, provider, nobody))
		}
		command := payment.Command{Op: op, Provider: provider}
		subjects = append(subjects, events.ScheduleSubject(command, payment.ID{Provider: provider, Native: nobody}))
	}
	return subjects
}

func streamInfo(stream string) string { return "$JS.API.STREAM.INFO." + stream }

func consumerInfo(stream, name string) string { return "$JS.API.CONSUMER.INFO." + stream + "." + name }

func scanCreate(stream string) string { return "$JS.API.CONSUMER.CREATE." + stream + "." + nobody }

func scanNext(stream string) string { return "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + nobody }

// probe tries every permission that the role needs. The server handles what one
// connection sends in its order, so whatever it refuses of a probe it has said
// by the time it answers the ping of Flush. It reports whether the rest of the
// check can be made at all.
func (c *checker) probe() bool {
	c.refused = map[string]bool{}
	t := app.Topology(c.cfg)
	advice := c.grant()
	if c.opts.As == Service {
		advice = notTheService
	}
	if !c.hears(c.nc.NewInbox(), c.inbox()+".>", "no answer can be heard: "+advice) {
		return false
	}
	own := c.own(t)
	c.beyond = c.notOwn(own, t)
	var gaps []probe
	answers := c.listen()
	for i, p := range own {
		err := c.nc.PublishMsg(&nats.Msg{Subject: p.subject, Reply: answers.to(i, p), Header: p.header, Data: []byte(p.data)})
		if err == nil {
			err = c.nc.FlushTimeout(c.opts.Patience)
		}
		if err != nil {
			c.mute(err)
			return false
		}
		if !c.violated(p.subject) {
			continue
		}
		c.refused[p.subject] = true
		if !p.onlyHere { // that is reported by the check that needs it
			gaps = append(gaps, p)
		}
	}
	if c.opts.As == Service && c.acknowledgesNothing(own) {
		c.report(Error, Permission, fmt.Sprintf("publish to %d subjects of the service", len(own)), Finding{
			Is: fmt.Sprintf("%d are refused by the server", len(c.refused)), Want: "permitted", Do: advice,
		})
		return false
	}
	if c.opts.As == Service {
		c.serves()
	}
	for _, p := range gaps {
		c.report(Error, Permission, "publish to "+p.subject, Finding{
			Is: "refused by the server", Want: "permitted", Do: p.gap + ": " + c.grant(),
		})
	}
	c.unanswered(own, answers)
	return true
}

// acknowledgesNothing reports whether the login may acknowledge no message of any stream,
// which the service alone may of all roles.
func (c *checker) acknowledgesNothing(own []probe) bool {
	return !slices.ContainsFunc(own, func(p probe) bool { return strings.HasPrefix(p.subject, "$JS.ACK.") && !c.refused[p.subject] })
}

// serves looks whether the service hears those it answers.
func (c *checker) serves() {
	for _, s := range []struct{ subject, permission, gap string }{
		{"payments.desk.check." + nobody, "payments.desk.*.*", "operators cannot be answered"},
		{"payments.control.check." + nobody, "payments.control.*.*", "operators cannot pause and resume providers"},
		{"$SRV.PING." + nobody, "$SRV.>", "the desk is not served"},
		{"payments.status", "payments.status", "nobody can ask where a payment stands"},
		{"payments.status." + nobody, "payments.status.*", "nobody can ask where a payment of one provider stands"},
	} {
		if !c.silent && (c.cfg.Status.Rate > 0 || !strings.HasPrefix(s.subject, "payments.status")) {
			c.hears(s.subject, s.permission, s.gap+": "+c.grant())
		}
	}
}

// hears looks whether a subject can be listened to, and says what to do if not.
func (c *checker) hears(subject, permission, do string) bool {
	sub, err := c.nc.SubscribeSync(subject)
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }() // ends with the connection at the latest
		err = c.nc.FlushTimeout(c.opts.Patience)
	}
	switch {
	case err != nil:
		c.mute(err)
		return false
	case !c.violated(subject):
		return true
	}
	c.report(Error, Permission, "subscribe to "+permission, Finding{
		Is: "refused by the server", Want: "permitted", Do: do,
	})
	return false
}

// mute reports a server that was reached and does not answer any more. It has refused
// nothing, and whatever else is asked would wait as long.
func (c *checker) mute(err error) {
	if c.silent {
		return
	}
	c.silent = true
	f := Finding{Is: "lost (" + err.Error() + ")", Want: "kept", Do: "check again when it is stable"}
	if errors.Is(err, nats.ErrTimeout) && c.nc.IsConnected() {
		f = Finding{
			Is: "connected and silent: no answer within " + c.opts.Patience.String(), Want: "answering",
			Do: "it has refused nothing, it says nothing at all: look at its log and load, and at what lies between, such as a proxy",
		}
	}
	c.report(Error, Connection, "server "+c.cfg.NATS.URL, f)
}

// violated reports whether the server's last error is its refusal of a subject.
func (c *checker) violated(subject string) bool {
	err := c.nc.LastError()
	return err != nil && strings.Contains(strings.ToLower(err.Error()), "permissions violation") &&
		strings.Contains(err.Error(), `"`+subject+`"`)
}

// lacks names the first of the subjects that may not be published to, and
// reports a check that cannot be made without it.
func (c *checker) lacks(check, what string, subjects ...string) bool {
	for _, s := range subjects {
		if c.beyond[s] {
			c.hidden(check, what)
			return true
		}
		if c.refused[s] {
			c.report(NotVerifiable, check, what, Finding{
				Is: "hidden: publishing to " + s + " is not permitted", Want: "readable",
				Do: "run check with an account that may read it",
			})
			return true
		}
	}
	return false
}
