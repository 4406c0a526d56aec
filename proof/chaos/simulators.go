//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/proof/chaos/compare"
	"github.com/countermand/countermand/providers/simulator"
)

// simulators is the process that stands for all providers. It is never
// restarted: what it remembers is the ledger everything is judged by.
type simulators struct {
	program.Program

	port int
	http *http.Client
}

func newSimulators(dir, binary string, free *program.Ports) (*simulators, error) {
	ports, err := free.Free(1)
	if err != nil {
		return nil, err
	}
	s := &simulators{port: ports[0], http: &http.Client{}}
	s.Name, s.Path, s.Args, s.Dir = "simulators", binary, []string{"simulate", "--listen", program.Local(s.port)}, dir
	return s, nil
}

// do sends one administration request and decodes what comes back.
func (s *simulators) do(ctx context.Context, method, path string, body, into any) error {
	var sent io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode request to simulators: %w", err)
		}
		sent = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+program.Local(s.port)+path, sent)
	if err != nil {
		return fmt.Errorf("ask simulators: %w", err)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return fmt.Errorf("ask simulators: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return fmt.Errorf("ask simulators: %w", err)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("ask simulators: %s %s: %s", method, path, text)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read answer of simulators: %w", err)
	}
	return nil
}

func (s *simulators) ready(ctx context.Context) error {
	return program.Await(ctx, func() bool {
		return program.Answers(ctx, "http://"+program.Local(s.port)+"/"+kinds()[0].Name+"/ledger")
	})
}

// seed adds the payments of a plan.
func (s *simulators) seed(ctx context.Context, payments []seeded) error {
	for _, p := range payments {
		if err := s.do(ctx, http.MethodPost, "/"+p.kind+"/payments", p.body, nil); err != nil {
			return err
		}
	}
	return nil
}

func (s *simulators) fault(ctx context.Context, kind string, f simulator.Fault) error {
	return s.do(ctx, http.MethodPost, "/"+kind+"/faults", []simulator.Fault{f}, nil)
}

// calm ends all misbehaviour: faults are forgotten, and what they hold back is
// carried out now.
func (s *simulators) calm(ctx context.Context) error {
	for _, k := range kinds() {
		if err := s.do(ctx, http.MethodDelete, "/"+k.Name+"/faults", nil, nil); err != nil {
			return err
		}
		if err := s.do(ctx, http.MethodPost, "/"+k.Name+"/release", nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// record is what the simulated providers noted down.
type record struct {
	movements []compare.Movement
	calls     []compare.Call // those that could have moved money
	questions int            // all others
	struck    map[string]int // faults that struck, by mode
}

// movements reads one provider's ledger: what it says of each claim.
func (s *simulators) movements(ctx context.Context, k simulator.Kind) (map[compare.Claim][]simulator.Movement, error) {
	var ledger struct {
		Movements []simulator.Movement `json:"movements"`
	}
	if err := s.do(ctx, http.MethodGet, "/"+k.Name+"/ledger", nil, &ledger); err != nil {
		return nil, err
	}
	all := map[compare.Claim][]simulator.Movement{}
	for _, m := range ledger.Movements {
		c := compare.Claim{Provider: k.Instance, Payment: m.Payment, Operation: m.Operation, Amount: m.Amount}
		all[c] = append(all[c], m)
	}
	return all, nil
}

// calls reads all calls to one provider.
func (s *simulators) calls(ctx context.Context, k simulator.Kind) (all []simulator.Call, err error) {
	err = s.do(ctx, http.MethodGet, "/"+k.Name+"/calls", nil, &all)
	return all, err
}

// awaitStruck waits until so many sorts of faults have struck calls, all operations have
// their end, or the patience is over.
func (s *simulators) awaitStruck(ctx context.Context, sorts int, settled func() bool, patience time.Duration) error {
	for end := time.Now().Add(patience); time.Now().Before(end) && !settled(); {
		struck := map[string]int{}
		for _, k := range kinds() {
			calls, err := s.calls(ctx, k)
			if err != nil {
				return err
			}
			count(struck, calls)
		}
		if len(struck) >= sorts || !sleep.For(ctx, faultEvery) {
			return nil
		}
	}
	return nil
}

// count adds the faults that have struck calls, by mode.
func count(struck map[string]int, calls []simulator.Call) {
	for _, c := range calls {
		if c.Fault != "" {
			struck[string(c.Fault)]++
		}
	}
}

// read reads the ledgers and the calls of every kind.
func (s *simulators) read(ctx context.Context, p *plan) (*record, error) {
	r := &record{struck: map[string]int{}}
	for _, k := range kinds() {
		ledger, err := s.movements(ctx, k)
		if err != nil {
			return nil, err
		}
		calls, err := s.calls(ctx, k)
		if err != nil {
			return nil, err
		}
		for claim, moved := range ledger {
			for _, m := range moved {
				r.movements = append(r.movements, compare.Movement{Claim: claim, Currency: m.Currency})
			}
		}
		count(r.struck, calls)
		for _, c := range calls {
			if !payment.Op(c.Operation).Known() {
				r.questions++
				continue
			}
			r.calls = append(r.calls, compare.Call{Claim: claim(k, c, p.captured), Refusal: refusal(c)})
		}
	}
	return r, nil
}

// refusal reports whether a call was certainly not carried out and its caller
// was told so: what was executed never is, and a 5xx or a cut says nothing.
func refusal(c simulator.Call) bool {
	return !c.Executed && c.Fault != simulator.Late && c.Status >= 400 && c.Status < 500
}

// claim names the operation that a call was for, by its amount.
func claim(k simulator.Kind, c simulator.Call, captured map[string]int64) compare.Claim {
	out := compare.Claim{Provider: k.Instance, Payment: c.Payment, Operation: c.Operation}
	if !payment.Op(c.Operation).TakesAmount() {
		return out
	}
	amount, named := k.AmountOf(c.Body)
	if !named {
		amount = captured[k.Instance+"/"+c.Payment]
	}
	out.Amount = amount
	return out
}
