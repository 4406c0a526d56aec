package check

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// answers are those to the probes that ask. A role whose account imports what it asks may
// be permitted to ask and yet be heard by nobody: the server refuses nothing then.
type answers struct {
	inbox string
	sub   *nats.Subscription // nil: none can be heard
	heard chan *nats.Msg
}

// atMost bounds the answers that wait to be looked at; more are not asked for.
const atMost = 64

// listen begins to hear answers.
func (c *checker) listen() answers {
	inbox := c.nc.NewInbox()
	heard := make(chan *nats.Msg, atMost)
	sub, err := c.nc.ChanSubscribe(inbox+".*", heard)
	if err != nil {
		return answers{}
	}
	return answers{inbox, sub, heard}
}

// to is where the answer to the probe of that place is to go; empty: none is asked for.
func (a answers) to(i int, p probe) string {
	if p.asks == "" || a.sub == nil {
		return ""
	}
	return a.inbox + "." + strconv.Itoa(i)
}

// unanswered waits for the answers and reports what nobody has heard, what was heard and
// not answered, and what the service has refused.
func (c *checker) unanswered(own []probe, a answers) {
	if a.sub == nil {
		return
	}
	defer func() { _ = a.sub.Unsubscribe() }() // ends with the connection at the latest
	open := map[string]probe{}
	for i, p := range own {
		if to := a.to(i, p); to != "" && !c.refused[p.subject] {
			open[to] = p
		}
	}
	came := map[string]*nats.Msg{}
	for late := time.After(c.opts.Patience); late != nil && len(came) < len(open); {
		select {
		case m := <-a.heard:
			came[m.Subject] = m
		case <-late:
			late = nil
		}
	}
	answered := false // by the service, somewhere
	for _, m := range came {
		answered = answered || !byNobody(m)
	}
	for i, p := range own {
		if _, asked := open[a.to(i, p)]; asked {
			c.answer(p, came[a.to(i, p)], answered)
		}
	}
}

// byNobody reports whether an answer is the server's word that nobody listens.
func byNobody(m *nats.Msg) bool { return len(m.Data) == 0 && m.Header.Get("Status") == "503" }

// answer reports what is wrong with one answer; nil: none has come. others: another
// question was answered.
func (c *checker) answer(p probe, m *nats.Msg, others bool) {
	what := "request on " + p.subject
	file := "permissions/people.conf"
	if c.opts.As == Reader {
		file = "permissions/reader.conf"
	}
	imports := "the account of this login lacks the import of " + p.asks + " (" + file + "), or the account of the streams its export"
	switch {
	case m != nil && byNobody(m):
		do := p.gap + ": " + imports
		if c.opts.As == Operator && !others {
			do = p.gap + ": either no service runs, or " + imports + "; the service's /readyz tells whether it runs"
		}
		c.report(Error, Answer, what, Finding{Is: "heard by nobody", Want: "answered", Do: do})
	case m == nil && c.opts.As == Operator:
		c.report(Error, Answer, what, Finding{
			Is: "heard, and not answered within " + c.opts.Patience.String(), Want: "answered",
			Do: p.gap + ": the service hangs, or the server does not let it answer: allow_responses is missing in its rights or expires too early, permissions/consumer.conf has it",
		})
	case m == nil:
		c.report(Error, Answer, what, Finding{
			Is: "not answered within " + c.opts.Patience.String(), Want: "answered", Do: p.gap + ": look whether a server leads the stream",
		})
	case m.Header.Get(micro.ErrorCodeHeader) == "403":
		c.report(Error, Answer, what, Finding{
			Is: "refused by the service (" + m.Header.Get(micro.ErrorHeader) + ")", Want: "answered",
			Do: p.gap + ": the import of " + p.asks + " must be shared (" + file + "), and the login one of a person in the setting people, if there is one",
		})
	}
}
