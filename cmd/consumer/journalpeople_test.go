package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/internal/natstest"
)

// journal runs a "journal" command with somebody's login.
func (p *peopled) journal(who string, args ...string) (code int, said string) {
	p.t.Helper()
	code, run := runProgram(p.t, p.dir, append(append([]string{"journal"}, args...), "--config", who+".yaml")...)
	return code, run.stdout.String() + run.stderr.String()
}

// says runs a "journal" command and fails the test unless it ends as wanted.
func (p *peopled) says(code int, text, who string, args ...string) {
	p.t.Helper()
	if got, said := p.journal(who, args...); got != code || !strings.Contains(said, text) {
		p.t.Errorf("%s: journal %s: code %d, want %d and %q\n%s", who, strings.Join(args, " "), got, code, text, said)
	}
}

// loseAll has the journal lose everything, and waits until the service is sure of it.
func (p *peopled) loseAll() (lost string) {
	p.t.Helper()
	client := remote.NewClient(p.connect("anna"), "anna")
	if _, err := client.Rearm(p.t.Context(), control.Rearm{RequestID: desk.NewULID(), Reason: "so that there is an event"}); err != nil {
		p.t.Fatal(err)
	}
	for { // until the mark knows of it
		s, err := client.Journal(p.t.Context(), control.Servers{})
		if err == nil && s.Bucket.Mark.Journal.Sequence == 1 {
			break
		}
	}
	natstest.DeleteStream(p.t, p.server, p.js, "PAYMENT_EVENTS")
	topology := broker.DefaultTopology()
	topology.Replicas = 1
	if _, err := broker.Provision(p.t.Context(), p.js, topology); err != nil {
		p.t.Fatal(err)
	}
	for {
		s, err := client.Journal(p.t.Context(), control.Servers{})
		if err == nil && len(s.Replicas) == 1 && s.Replicas[0].Standing == integrity.Broken.String() {
			return fmt.Sprint(s.Loss.Messages)
		}
	}
}

func TestTwoPersonsAcceptALossAndOneWithTwoNamesCannot(t *testing.T) {
	t.Parallel()
	p := setupPeople(t, people, 399, 0)
	accept := []string{"accept", "--reason", "made anew", "--lose", p.loseAll(), "--apply"}
	p.says(cli.ExitFailed, "the journal is not whole", "anna", "status")
	p.says(cli.ExitOK, "recorded: another person has to say the same within 24 hours", "anna", accept...)
	p.says(cli.ExitFailed, "you have said this already: another person has to say the same", "anna", accept...)
	for _, who := range []string{"anna", "carl", "loose"} { // a login of hers, one that is nobody's, one in the service's account
		p.write(who+"-as-ben.yaml", strings.Replace(readFile(t, p.dir+"/"+who+".yaml"), "operator: "+who, "operator: ben", 1))
	}
	p.says(cli.ExitFailed, "the server does not let this user act as operator", "anna-as-ben", accept...)
	p.says(cli.ExitFailed, "nor could the streams be read with these credentials", "anna-as-ben", "status")
	p.says(cli.ExitFailed, "is nobody's in the setting people", "carl-as-ben", accept...)
	p.says(cli.ExitFailed, "nothing says which login this is", "loose-as-ben", accept...)
	if n := p.count("payment.operator.journal_accepted.*"); n != 0 {
		t.Fatal("one person has accepted the loss")
	}
	p.says(cli.ExitOK, "epoch 1 is held, recorded as ", "ben", accept...)
	p.says(cli.ExitOK, "already accepted by anna and ben: epoch 1 is held", "anna", accept...)
	var recorded struct {
		Data struct{ Operator, Identity, Login string }
	}
	if err := json.Unmarshal(awaitEvent(t, p.js, "payment.operator.journal_accepted.*").Data(), &recorded); err != nil {
		t.Fatal(err)
	}
	if d := recorded.Data; d.Operator != "anna and ben" || d.Identity != "nats" || !strings.HasPrefix(d.Login, "nats:PEOPLE/U") {
		t.Errorf("recorded as %+v", d)
	}
	// One person is enough to go on, and not to trust it.
	p.says(cli.ExitFailed, "epoch 1 is held, not doubting", "anna", "trust", "--reason", "x", "--apply")
	p.says(cli.ExitOK, "epoch 1 is doubting", "anna", "go", "--apply")
	p.says(cli.ExitFailed, "epoch 1 is doubting, not held (journal_released by anna at ", "ben", "go", "--apply")
	p.says(cli.ExitFailed, "or type it out with --without-commands", "anna", "trust", "--reason", "x", "--apply")
	trust := []string{"trust", "--reason", "x", "--without-commands", "--apply"}
	p.says(cli.ExitOK, "would be recorded, and wait for another person to say the same; then epoch 1 would be trusted", "anna", trust[:4]...)
	p.says(cli.ExitOK, "recorded: another person has to say the same within 24 hours", "anna", trust...)
	p.says(cli.ExitFailed, "you have said this already: another person has to say the same", "anna", trust...)
	p.says(cli.ExitFailed, "the server does not let this user act as operator", "anna-as-ben", trust...)
	if n := p.count("payment.operator.journal_trusted.*"); n != 0 {
		t.Fatal("one person has trusted the journal")
	}
	p.says(cli.ExitOK, "epoch 1 is trusted, recorded as ", "ben", trust...)
}

// A proposal that somebody writes past the service names a login that is nobody's.
func TestAForgedProposalIsNoFirstPerson(t *testing.T) {
	t.Parallel()
	p := setupPeople(t, people, 399, 0)
	accept := []string{"accept", "--reason", "made anew", "--lose", p.loseAll(), "--apply"}
	p.says(cli.ExitOK, "recorded: another person", "anna", accept...)
	m := awaitEvent(t, p.js, "payment.operator.journal_propose.*")
	id := desk.NewULID()
	forged := strings.ReplaceAll(string(m.Data()), m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:], id)
	forged = strings.Replace(forged, `"operator":"anna"`, `"operator":"ben"`, 1) // under anna's login
	if _, err := p.js.Publish(t.Context(), "payment.operator.journal_propose."+id, []byte(forged), jetstream.WithRetryAttempts(0)); err != nil {
		t.Fatal(err)
	}
	p.says(cli.ExitFailed, "you have said this already", "anna", accept...)
	p.says(cli.ExitOK, "epoch 1 is held", "ben", accept...)
}

func TestADecisionIsMadeOnceForARequest(t *testing.T) {
	t.Parallel()
	p := setupPeople(t, people, 399, 0)
	id := desk.NewULID()
	accept := []string{"accept", "--reason", "made anew", "--lose", p.loseAll(), "--apply", "--request-id", id}
	for _, other := range []string{"1", strings.ToLower(id)} {
		p.says(cli.ExitUsage, "--request-id is a ULID in capitals", "anna", "go", "--request-id", other)
	}
	p.says(cli.ExitOK, "recorded: another person", "anna", accept...)
	p.says(cli.ExitFailed, "this request was made before: journal_propose by anna was recorded at "+time.Now().UTC().Format("2006-"), "anna", accept...)
	p.says(cli.ExitFailed, "this request was made before", "ben", accept...)
	if n := p.count("payment.operator.journal_*.*"); n > 1 {
		t.Errorf("%d are recorded", n)
	}
}
