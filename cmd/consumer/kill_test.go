package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

const (
	killRounds = 4
	// Every other round ends after some more lines of output, where calls are
	// under way; the others after a while, where most of it waits.
	maxMoreLines = 8
	minAlive     = 500 * time.Millisecond
	maxAlive     = 4 * time.Second
)

func TestADemoKilledAgainAndAgainEndsRight(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	dir := t.TempDir()
	printed := 0
	for round := range killRounds {
		more := 1 + random.IntN(maxMoreLines)
		if round%2 == 1 {
			more = 1000 // by time
		}
		alive := minAlive + time.Duration(random.Int64N(int64(maxAlive-minAlive)))
		p := start(t, dir, "demo", "--json", "--data", dir)
		began := time.Now()
		ended := p.afterLines(printed+more, alive)
		p.kill()
		now := len(lines(p.stdout.String()))
		t.Logf("round %d: killed after %s, %d lines told now, %d before", round+1, time.Since(began).Round(time.Millisecond), now, printed)
		if ended {
			break // it came to its end before its time
		}
		printed = max(printed, now)
	}
	code, p := runProgram(t, dir, "demo", "--json", "--data", dir)
	if code != cli.ExitOK {
		t.Fatalf("exit code %d\n%s\n%s", code, p.stdout, p.stderr)
	}
	results, sum := readDemo(t, p.stdout.String())
	sum.check(t)
	checkLedgers(t, dir, results)
}

// seeded returns randomness whose seed is logged and can be given.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("COUNTERMAND_TEST_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("COUNTERMAND_TEST_SEED: %v", err)
		}
	}
	t.Logf("COUNTERMAND_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// afterLines returns when the process has printed n lines, or has lived long
// enough; true: it has ended by itself.
func (p *program) afterLines(n int, alive time.Duration) bool {
	p.t.Helper()
	enough := time.After(alive)
	for {
		text, news := p.stdout.look()
		if len(lines(text)) >= n {
			return false
		}
		select {
		case <-news:
		case <-enough:
			return false
		case <-p.ended:
			if code := p.cmd.ProcessState.ExitCode(); code != cli.ExitOK {
				p.t.Fatalf("exit code %d\n%s\n%s", code, p.stdout, p.stderr)
			}
			return true
		}
	}
}

// checkLedgers holds the simulators' own ledgers, as they lie on disk, against
// the events, one by one.
func checkLedgers(t *testing.T, dir string, results []result) {
	t.Helper()
	moved := ledgers(t, dir)
	terminal := map[string]int{}
	last := map[string]result{}
	for _, r := range results {
		if r.Type == "payment.command.rejected" {
			continue
		}
		d := r.Data
		id := fmt.Sprintf("%s/%s/%s", d.Provider, paymentOf(d.Result), d.Operation)
		last[id] = r // the demo has one operation of a kind for each payment
		if r.IdempotencyKey != "" {
			terminal[id]++
		}
	}
	for id, r := range last {
		d := r.Data
		review := d.Status == events.StatusReviewRequired
		if terminal[id] != 1 && !review || terminal[id] > 1 {
			t.Errorf("%s: %d terminal results, last %s", id, terminal[id], r.Type)
		}
		if d.Effect == payment.EffectRefunded { // also by a cancel that raced a capture
			id = fmt.Sprintf("%s/%s/%s", d.Provider, paymentOf(d.Result), payment.Refund)
		}
		found := moved[id]
		delete(moved, id)
		switch {
		case len(found) > 1:
			t.Errorf("%s: executed %d times", id, len(found))
		case d.Status == "succeeded" && len(found) != 1:
			t.Errorf("%s succeeded, and the provider executed it %d times", id, len(found))
		case d.Status == "succeeded" && d.Operation == payment.Refund && found[0].Amount != d.Moved.Value:
			t.Errorf("%s: %d moved at the provider, the result says %d", id, found[0].Amount, d.Moved.Value)
		case d.Status == "rejected" && len(found) != 0:
			t.Errorf("%s was rejected, and the provider executed it", id)
		}
	}
	for id := range moved {
		t.Errorf("%s: the provider executed what no event tells of", id)
	}
}

func paymentOf(d events.Result) string {
	switch d.Provider {
	case "openpay-eu", "openpay-uk", "bento-uk":
		return d.Payment.TransactionID
	default:
		return d.Payment.OrderID
	}
}

// ledgers reads the simulators' memory: executions by provider, payment and operation.
func ledgers(t *testing.T, dir string) map[string][]simulator.Movement {
	t.Helper()
	all := map[string][]simulator.Movement{}
	for _, provider := range []string{"opay-eg", "opay-ng", "openpay-eu", "openpay-uk", "tranzzo-ua", "bento-uk"} {
		file := provider + ".json"
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Base simulator.Memory `json:"base"`
		}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatalf("read %s: %v", file, err)
		}
		for _, movement := range m.Base.Movements {
			id := fmt.Sprintf("%s/%s/%s", provider, movement.Payment, movement.Operation)
			all[id] = append(all[id], movement)
		}
	}
	return all
}
