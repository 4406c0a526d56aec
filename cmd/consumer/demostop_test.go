package main

import (
	"os"
	"strings"
	"testing"

	"github.com/countermand/countermand/cmd/consumer/cli"
)

func TestADemoThatIsStoppedSaysSoAndNothingOfFailures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, begun := range map[string]string{
		"before a story": "stories; the providers", "between two": "the provider's own ledger: ",
	} {
		p := start(t, dir, "demo")
		p.await(p.stdout, begun)
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := p.exit(); code != cli.ExitStopped {
			t.Errorf("%s: exit code %d\n%s", name, code, p.stderr)
		}
		if errs := p.stderr.String(); errs != "consumer: stopped\n" {
			t.Errorf("%s: it says\n%s", name, errs)
		}
		if out := p.stdout.String(); strings.Contains(out, "The count") {
			t.Errorf("%s: it told an end\n%s", name, out)
		}
	}
}
