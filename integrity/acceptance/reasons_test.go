package acceptance_test

import (
	"testing"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
)

// A process lists some of its findings. What may stand behind them counts as found.
func TestWhatAProcessListsDecidesWhatItMayHaveFound(t *testing.T) {
	t.Parallel()
	now := time.Now()
	commands := integrity.Finding{Kind: integrity.StreamShorter, Object: "C", Text: "stream C ends at 3; it was known to reach 7"}
	bucket := integrity.Finding{Kind: integrity.StreamMissing, Object: "KV_B", Text: "stream KV_B does not exist; it was known to reach 7"}
	other := integrity.Finding{Kind: integrity.StreamShorter, Object: "D", Text: "stream D ends at 3; it was known to reach 7"}
	end := integrity.Finding{Kind: integrity.JournalShorter, Object: "J", Text: "the journal ends at 10; it was known to reach 12"}
	setBack := integrity.Finding{Kind: integrity.StreamShorter, Object: "KV_B", Text: "stream KV_B no longer holds the mark that it held: the bucket was set back or made anew"}
	heard := integrity.Finding{Kind: integrity.ReplicaBroken, Object: "b", Text: "process b has found that the journal has lost something"}
	consumer := integrity.Finding{Kind: integrity.DurableAhead, Object: "C/payment-consumer", Text: "consumer payment-consumer was sent message 7 of C, which ends at 3"}
	for _, row := range []struct {
		name               string
		found              []integrity.Finding
		more               int
		messages, commands uint64
	}{
		{"the end", []integrity.Finding{end}, 0, 1, 0},
		{"commands", []integrity.Finding{commands}, 0, 0, 1},
		{"the bucket", []integrity.Finding{bucket}, 0, 0, 0},
		{"the bucket, and others say so", []integrity.Finding{bucket, heard, heard}, 0, 0, 0},
		{"what others say", []integrity.Finding{heard}, 0, 0, 0},
		{"the end, and others say so", []integrity.Finding{end, heard, heard, heard}, 0, 1, 0},
		{"the end and the bucket", []integrity.Finding{end, bucket, setBack, heard}, 0, 1, 0},
		{"more than is listed", []integrity.Finding{bucket, other, other}, 1, 1, 1},
		{"nothing that is listed", nil, 1, 1, 1},
		{"a consumer of the commands", []integrity.Finding{consumer}, 0, 1, 1},
	} {
		v := acceptance.View{Journal: "J", Commands: "C", Now: now, End: 10}
		v.Reading.Journal.StreamReading = integrity.StreamReading{First: 1, Last: 10, Messages: 10}
		v.Reading.Streams = map[string]integrity.StreamReading{"C": {First: 1, Last: 3, Messages: 3}}
		v.Replicas = []integrity.Registered{{Time: now, Replica: integrity.Replica{
			ID: "a", Standing: integrity.Broken.String(), Shut: true, Known: 10,
			Found: integrity.Own(row.found), MoreFound: row.more,
		}}}
		v.Findings = integrity.FoundByOthers(0, v.Live())
		if l := acceptance.LossOf(v); l.Messages != row.messages || l.Commands.Messages != row.commands {
			t.Errorf("%s: %d messages and %d commands, want %d and %d", row.name, l.Messages, l.Commands.Messages, row.messages, row.commands)
		}
	}
}
