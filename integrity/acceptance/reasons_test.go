package acceptance_test

import (
	"testing"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/integrity/keeper"
)

// What a process has found is known from its reason alone, which lists three
// findings. What may stand behind them counts as found.
func TestWhatAProcessListsDecidesWhatItMayHaveFound(t *testing.T) {
	t.Parallel()
	now := time.Now()
	commands := integrity.Finding{Kind: integrity.StreamShorter, Text: "stream C ends at 3; it was known to reach 7"}
	bucket := integrity.Finding{Kind: integrity.StreamMissing, Text: "stream KV_B does not exist; it was known to reach 7"}
	other := integrity.Finding{Kind: integrity.StreamShorter, Text: "stream D ends at 3; it was known to reach 7"}
	end := integrity.Finding{Kind: integrity.JournalShorter, Text: "the journal ends at 10; it was known to reach 12"}
	setBack := integrity.Finding{Kind: integrity.StreamShorter, Text: "stream KV_B no longer holds the mark that it held: the bucket was set back or made anew"}
	heard := integrity.Finding{Kind: integrity.ReplicaBroken, Text: "process b has found that the journal has lost something"}
	for _, row := range []struct {
		name               string
		found              []integrity.Finding
		messages, commands uint64
	}{
		{"the end", []integrity.Finding{end}, 1, 0},
		{"commands", []integrity.Finding{commands}, 0, 1},
		{"the bucket", []integrity.Finding{bucket}, 0, 0},
		{"the bucket, and others say so", []integrity.Finding{bucket, heard, heard}, 0, 0},
		{"what others say", []integrity.Finding{heard}, 0, 0},
		{"the end, and others say so", []integrity.Finding{end, heard, heard, heard}, 1, 0},
		{"the end and the bucket", []integrity.Finding{end, bucket, setBack, heard}, 1, 0},
		{"more than is listed", []integrity.Finding{bucket, other, other, commands}, 1, 1},
		{"nothing that is listed", nil, 1, 0},
	} {
		_, reason := keeper.Status{Watch: integrity.Watch{Standing: integrity.Broken, Findings: row.found}}.Ready()
		v := acceptance.View{Journal: "J", Commands: "C", Now: now, End: 10}
		v.Reading.Journal.StreamReading = integrity.StreamReading{First: 1, Last: 10, Messages: 10}
		v.Reading.Streams = map[string]integrity.StreamReading{"C": {First: 1, Last: 3, Messages: 3}}
		v.Replicas = []integrity.Registered{{Time: now, Replica: integrity.Replica{
			ID: "a", Standing: integrity.Broken.String(), Shut: true, Reason: reason, Known: 10,
			Found: row.found == nil || integrity.Own(row.found),
		}}}
		v.Findings = integrity.FoundByOthers(0, v.Live())
		if l := acceptance.LossOf(v); l.Messages != row.messages || l.Commands.Messages != row.commands {
			t.Errorf("%s (%s): %d messages and %d commands, want %d and %d", row.name, reason, l.Messages, l.Commands.Messages, row.messages, row.commands)
		}
	}
}
