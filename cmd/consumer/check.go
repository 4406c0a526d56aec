package main

import (
	"fmt"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/config"
)

// checkCommand is "consumer check".
type checkCommand struct {
	Config   string `help:"Configuration file (YAML)." type:"path" placeholder:"FILE" required:""`
	Deep     bool   `help:"Also read every sequence of the journal, to find what is missing, and open operations that nothing brings back."`
	As       string `help:"Whose login the configuration has: ${enum}. Only that role's rights are looked at." enum:"service,operator,reader,provisioner,recovery" default:"service" placeholder:"ROLE"`
	Operator string `help:"With --as operator: your name. Only where the setting desk.selfAsserted allows it." placeholder:"NAME"`
	JSON     bool   `help:"Print one finding a line as JSON, then the summary."`
}

// Help is the long help text.
func (checkCommand) Help() string {
	return `Verifies the configuration, the connection and its credentials, the server's version and durability, the streams
and consumers. It also verifies every permission that the service needs, the providers' credentials and the clock.
It compares the journal with its marks, and names each running process that has found a loss.
It names rights that no shipped file grants to this login. With nats.monitor set it also looks at the whole account:
streams and consumers that publish into ours, other logins, readers without bounds or other than provision makes them,
exports beyond the shipped ones, imports and subject mappings. What other users may do, no server tells: only their
files show it.
To verify a provider's credentials it reads a payment that does not exist. It changes nothing and moves no money.

In a job it runs with another login than the service's: say whose with --as. It then looks at the rights of that role
alone, and advises no others. As an operator or a reader it also looks whether what the role asks is answered: an account
may lack an import, and the service the right to answer. What the role may not see is "not verifiable".

It prints one line for each finding: severity, check, what, is, want, what to do. "not verifiable" means that the
check could not find out. A "note" names what is used, such as a proxy. Both, and warnings, do not count as errors.

Exit codes: 0 no error found; 1 errors found; 2 flags or configuration are wrong.

Example: consumer check --deep --config /etc/countermand/config.yaml`
}

// Run checks and prints.
func (c *checkCommand) Run(w *cli.World) error {
	o := check.Options{Deep: c.Deep, As: check.Role(c.As)}
	cfg, err := c.load(w, &o)
	if err != nil {
		return cli.Usage(err)
	}
	bar := cli.NewGauge(w, c.JSON || !c.Deep, "reading the journal")
	count := map[check.Severity]int{}
	var failed error
	o.Progress = bar.Set
	err = check.Run(w.Context, cfg, &o, func(f check.Finding) {
		bar.End()
		count[f.Severity]++
		if err := c.print(w, f); err != nil && failed == nil {
			failed = err
		}
	})
	bar.End()
	switch {
	case err != nil:
		return fmt.Errorf("check: %w", err)
	case failed != nil:
		return failed
	}
	if err := c.summary(w, count); err != nil {
		return err
	}
	if n := count[check.Error]; n > 0 {
		return fmt.Errorf("check: %d errors", n)
	}
	return nil
}

// load reads the configuration as the role has it: with the providers' secrets, or with
// the name at the desk.
func (c *checkCommand) load(w *cli.World, o *check.Options) (cfg *config.Config, err error) {
	if o.As.Calls() {
		return config.Load(c.Config, w.Getenv)
	}
	if cfg, err = config.LoadNotCalling(c.Config, w.Getenv); err == nil && o.As == check.Operator {
		o.Operator, err = cli.Desk{Server: cli.Server{Config: c.Config}, Operator: c.Operator}.Name(w, cfg)
	}
	return cfg, err
}

func (c *checkCommand) print(w *cli.World, f check.Finding) error {
	if c.JSON {
		return w.JSON(f)
	}
	_, err := fmt.Fprintln(w.Stdout, f)
	return err
}

func (c *checkCommand) summary(w *cli.World, count map[check.Severity]int) error {
	if c.JSON {
		return w.JSON(map[string]any{"summary": map[string]int{
			"errors": count[check.Error], "warnings": count[check.Warning], "notVerifiable": count[check.NotVerifiable],
		}})
	}
	_, err := fmt.Fprintf(w.Stdout, "%d errors, %d warnings, %d not verifiable\n",
		count[check.Error], count[check.Warning], count[check.NotVerifiable])
	return err
}
