package check

import (
	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity/acceptance"
)

// Role is whose login is looked at. Each but the service's own has a file of rights in
// deploy/k8s/components/nats/permissions, and a test holds what is asked for here against it.
type Role string

// The roles.
const (
	Service     Role = "service"
	Operator    Role = "operator"
	Reader      Role = "reader"
	Provisioner Role = "provisioner"
	Recovery    Role = "recovery"
)

// Calls reports whether the role builds providers, and so has their secrets.
func (r Role) Calls() bool {
	switch r {
	case Service, Reader, Recovery:
		return true
	case Operator, Provisioner:
		return false
	}
	return false
}

// inbox is how the inboxes of the role's login begin.
func (c *checker) inbox() string {
	switch c.opts.As {
	case Operator:
		return "_INBOX_" + events.Token(c.opts.Operator)
	case Provisioner:
		return broker.ProvisionInbox
	case Service, Reader, Recovery:
	}
	return "_INBOX"
}

// grant says how the login gets a right that it lacks. It never asks for more than the
// role's own file: a right of the service in another's hands ends the separation.
func (c *checker) grant() string {
	if c.opts.As == Service {
		return "allow it to the service's account"
	}
	return "give this login the rights of permissions/" + string(c.opts.As) + ".conf, and no others"
}

// notTheService is the advice to a login that may acknowledge nothing. Somebody else's login must not be given the service's rights.
const notTheService = "if this login is not the service's, say whose it is, such as --as operator; if it is, give it the rights of permissions/consumer.conf"

// hidden reports what the role may not see, and must not be granted for it.
func (c *checker) hidden(check, what string) {
	c.report(NotVerifiable, check, what, Finding{
		Is: "hidden from the role " + string(c.opts.As), Want: "known", Do: "nothing here: consumer check in a pod of the service sees it",
	})
}

// own are the probes of what the role needs.
func (c *checker) own(t broker.Topology) []probe {
	switch c.opts.As {
	case Operator:
		return c.operatorProbes()
	case Reader:
		return readerProbes(t)
	case Provisioner:
		return provisionerProbes(t)
	case Recovery:
		return c.recoveryProbes(t)
	case Service:
	}
	return c.probes(t)
}

// notOwn are the subjects that the service publishes to and the role does not.
func (c *checker) notOwn(own []probe, t broker.Topology) map[string]bool {
	beyond := map[string]bool{}
	for _, p := range c.probes(t) {
		beyond[p.subject] = true
	}
	for _, p := range own {
		delete(beyond, p.subject)
	}
	return beyond
}

// operatorProbes have bodies that are no request: the service answers so, and does nothing.
func (c *checker) operatorProbes() []probe {
	desk, control := remote.Questions(c.opts.Operator)
	all := []probe{
		{subject: desk, data: "probe", gap: "review, rejected and show get no answer", asks: "payments.desk.*.*"},
		{subject: control, data: "probe", gap: "pause, resume, rearm and journal get no answer", asks: "payments.control.*.*"},
		{subject: "payments.status", data: "probe", gap: "it cannot be asked where a payment stands", asks: "payments.status"},
	}
	if c.cfg.Status.Rate <= 0 {
		all[2].asks = "" // nobody answers there
	}
	return all
}

func get(stream string) string { return "$JS.API.STREAM.MSG.GET." + stream }

func readerProbes(t broker.Topology) []probe {
	return []probe{
		{subject: streamInfo(t.Events), data: "{}", gap: "archive and reconcile cannot find the journal", asks: streamInfo(t.Events)},
		{subject: get(t.Events), data: "{}", gap: "archive and reconcile cannot read the journal", asks: get(t.Events)},
		{subject: get(t.ControlStream()), data: "{}", gap: "it cannot be known which losses were accepted", asks: get(t.ControlStream())},
	}
}

// provisionerProbes have bodies that are no request: nothing is created.
func provisionerProbes(t broker.Topology) []probe {
	var all []probe
	for _, subject := range broker.ProvisionSubjects(t) {
		all = append(all, probe{subject: subject, data: "probe", gap: "provision cannot do it"})
	}
	return all
}

func (c *checker) recoveryProbes(t broker.Topology) []probe {
	const gap = "recover, check --deep or journal status cannot do it"
	var all []probe
	ask := func(subjects ...string) {
		for _, s := range subjects {
			all = append(all, probe{subject: s, data: "probe", gap: gap})
		}
	}
	for _, stream := range []string{t.Commands, t.Events, t.Due, t.Refusals, t.Rejected, t.ControlStream()} {
		ask(streamInfo(stream), "$JS.API.STREAM.MSG.GET."+stream)
	}
	ask(consumerInfo(t.Due, t.Consumer))
	for _, stream := range []string{t.Commands, t.Events} {
		ask(consumerInfo(stream, t.Consumer), scanCreate(stream), scanNext(stream), "$JS.API.CONSUMER.DELETE."+stream+"."+nobody)
	}
	ask("$JS.FC." + t.Events + "." + nobody)
	store := func(subjects ...string) {
		for _, s := range subjects {
			all = append(all, probe{subject: s, header: impossible(), gap: gap})
		}
	}
	store(c.journalAppends(desk.ActionResolve)...)
	store(events.OperatorSubject(acceptance.ActionRecover, nobody))
	store("$KV."+t.Control+"._mark", "$KV."+t.Control+"._walk")
	return all
}
