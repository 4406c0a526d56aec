package acceptance_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
)

var errAway = errors.New("it is away")

// setBack is a view of streams whose leaders were set back.
func setBack() acceptance.View {
	v := acceptance.View{
		Journal: "J", Commands: "C", End: 7,
		Record: integrity.Record{Mark: integrity.Mark{
			Journal: integrity.Position{Sequence: 35, Token: "t"}, Streams: map[string]uint64{"C": 15, "D": 10, "Q": 2},
		}, Epoch: integrity.FirstEpoch()},
		Reading: integrity.Reading{Leader: "n1", Streams: map[string]integrity.StreamReading{
			"C": {First: 1, Last: 3, Messages: 3}, "D": {First: 1, Last: 2, Messages: 2}, "Q": {First: 1, Last: 2, Messages: 2},
		}},
	}
	v.Reading.Journal.StreamReading = integrity.StreamReading{First: 1, Last: 7, Messages: 7}
	v.Findings = integrity.Judge(v.Record.Mark, v.Reading, integrity.Names{Journal: "J"})
	return v
}

func TestCommandsThatAServerStillHoldsAreNotLostYet(t *testing.T) {
	t.Parallel()
	v := setBack()
	lost := strings.Join(acceptance.Check(v, acceptance.Typed{Messages: 28}), "\n")
	if !strings.Contains(lost, "12 commands are lost: C is known to reach 15, ends at 3: bring them back first, or type it out with --lose-commands 12") {
		t.Errorf("where nobody holds them: %s", lost)
	}
	v.Others = []acceptance.Copy{{Stream: "C", Server: "n1", Last: 3, Messages: 3, First: 1}, {Stream: "C", Server: "n3", First: 1, Last: 15, Messages: 15}}
	held := strings.Join(acceptance.Check(v, acceptance.Typed{Messages: 28}), "\n")
	const text = "12 commands are missing at the leader of C, which ends at 3 and was known to reach 15; server n3 holds more, so they are not lost yet"
	if held != text+": make it lead first, or type it out with --lose-commands 12" {
		t.Errorf("where n3 holds them: %s", held)
	}
	s := acceptance.StatusOf(v, nil, false)
	if s.Loss.Commands.Text() != text || len(s.Others) != 2 || !strings.Contains(strings.Join(s.Notes, "\n"), "server n3 holds more of C than its leader (15 messages to 15): nothing of that is lost yet: make it lead (nats stream cluster step-down C --preferred n3)") {
		t.Errorf("shown as %q, %v", s.Loss.Commands.Text(), s.Notes)
	}
	v.Others[1].Last, v.Others[1].Messages = 17, 17 // more than any mark knows
	if l := acceptance.LossOf(v).Commands; l.Known != 17 || l.Messages != 14 {
		t.Errorf("beyond the marks: %+v", l)
	}
}

func TestNoLossIsAcceptedWhileAServerHoldsMoreOfAnotherMarkedStream(t *testing.T) {
	t.Parallel()
	v := setBack()
	all := acceptance.Typed{Messages: 28, Commands: 12}
	if no := acceptance.Check(v, all); len(no) > 0 {
		t.Fatalf("where nobody holds more: %v", no)
	}
	v.Others = []acceptance.Copy{{Stream: "Q", Server: "n3", First: 1, Last: 9, Messages: 9}}
	if no := acceptance.Check(v, all); len(no) > 0 {
		t.Errorf("another account's stream of that name, of which nothing was found to be lost: %v", no)
	}
	v.Others = []acceptance.Copy{{Stream: "D", Server: "n3", First: 11, Last: 10}}
	if no := acceptance.Check(v, all); len(no) > 0 {
		t.Errorf("one that has been further and holds nothing: %v", no)
	}
	v.Others = append(v.Others, acceptance.Copy{Stream: "D", Server: "n3", First: 1, Last: 10, Messages: 4})
	no := acceptance.Check(v, all)
	if len(no) != 1 || !strings.Contains(no[0], "server n3 holds more of D than its leader") || !strings.Contains(no[0], "let it begin anew") {
		t.Errorf("refused with %v", no)
	}
	v.Copies = []acceptance.Copy{{Server: "n3", First: 1, Last: 35, Messages: 35}}
	if no := strings.Join(acceptance.Check(v, acceptance.Typed{}), "\n"); !strings.Contains(no, "server n3 holds more than the leader: make it lead first, or type it out with --lose 28") {
		t.Errorf("of the journal: %s", no)
	}
}

// What a leader shows after a copy was looked at only grows: so it is asked last.
func TestACopyIsLookedAtBeforeItsLeader(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.sources.Copies = func(context.Context) ([]acceptance.Copy, []acceptance.Unasked) {
		b.append(17, 18)
		return []acceptance.Copy{{Server: "n2", First: 1, Last: 17, Messages: 17}, {Stream: topology().Commands, Server: "n2"}}, nil
	}
	v := b.look()
	if v.Reading.Journal.Last != 18 || len(v.Copies) != 1 || len(v.Others) != 1 {
		t.Errorf("the leader ends at %d, %v, %v", v.Reading.Journal.Last, v.Copies, v.Others)
	}
}
