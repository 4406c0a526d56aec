package check_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

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
