package check_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/config"
)

func TestAWitnessThatIsMissingOrCannotBeReadIsFound(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	missing := filepath.Join(t.TempDir(), "no", "folder", "mark")
	lease := config.WitnessLease{Namespace: "payments", Name: "countermand-journal"} // the test runs in no cluster
	for severity, witnesses := range map[check.Severity][]config.Witness{
		check.Warning: {{}}, check.Error: {{File: missing}}, check.NotVerifiable: {{Lease: lease}},
	} {
		for _, w := range witnesses {
			b.cfg.Journal.Witness = w
			want := []line{{severity, check.JournalWitness, "journal.witness"}}
			if diff := cmp.Diff(want, lines(b.findings(nil))); diff != "" {
				t.Errorf("with %+v (-want +got):\n%s", w, diff)
			}
		}
	}
}

func TestAWitnessThatIsNotWrittenIsAnError(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	b.cfg.Journal.Witness.File = filepath.Join(t.TempDir(), strings.Repeat("m", 250)) // no room for a file beside it
	want(t, b.findings(nil), line{check.Error, check.JournalWitness, "journal.witness"})

	b.cfg.Journal.Witness.File = filepath.Join(t.TempDir(), "mark")
	want(t, b.findings(nil))
	b.registered(integrity.Replica{ID: "pod-a", Instance: "a", Standing: "whole", WitnessFault: "no space left", WitnessSince: time.Now()})
	all := b.findings(nil)
	want(t, all, line{check.Error, check.JournalWitness, "journal.witness"})
	if !strings.Contains(all[0].Is, "the witness is not written: process pod-a says since ") || !strings.HasSuffix(all[0].Is, ": no space left") {
		t.Errorf("it says %q", all[0].Is)
	}
	b.registered(integrity.Replica{ID: "pod-a", Instance: "a", Standing: "whole", WitnessSetBack: time.Now()})
	want(t, b.findings(nil), line{check.Warning, check.JournalWitness, "process pod-a"})
}
