package simulation_test

import (
	"encoding/hex"
	"strings"
	"testing"
)

// Schedules that once broke a rule, shrunk; each fails again when its mend is
// taken out (checked on 2026-11-21).
func TestWhatBrokeARuleOnceDoesNotBreakItAgain(t *testing.T) {
	t.Parallel()
	schedules := map[string]string{
		"an operator ruled on a view from before the call (seed 2314)": "8c0000004200000000000000000000000000000000000000" +
			"00000057736d00bc550000002e000000000000e7cdcc",
		"a refused repeat does not end what an earlier call may still do (a deliberate bug, seed 137022)": "e20000000000000000b2" +
			"0000000000000000000000000000000000000000000000000000000000000000000000001700000000000000000000000000003ed1",
		"a lagging reading was frozen as the snapshot (seed 3392)": "f701a10900032500002100" +
			"00007d00006701000000000000000000000000000000a80023",
		"a rival's question put off by half an hour what another had heard (seed 399833)": "00000000000000000000000000630000" +
			"0000002b0023f5001b00000000730000003b006b9f70008b002c00000000000000000b00079e4900000026000000000000da000002000000f1" +
			"0000001f00001fce",
	}
	for name, text := range schedules {
		schedule, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		engine := newEngine(t)
		if r := engine.Play(schedule, true); r.Violation != "" {
			t.Errorf("%s: %s\n%s", name, r.Violation, strings.Join(r.Trace, "\n"))
		}
	}
}

// Schedules with losses that break a rule once the deliberate bug of that name is
// put in, shrunk.
func TestWhatALossBrokeOnceDoesNotBreakItAgain(t *testing.T) {
	t.Parallel()
	schedules := map[string]string{
		"a new operation after a loss is neither guarded nor prepared": "9e001909000000008900000000000800b40000003b0000000000000b0000000000d5000000790000000000e41a000000" +
			"000000000017c500000000000000000000cf01d400440000e731",
		"an operation whose record vanished is taken for new": "0000313900004db500000000000000000000000000000000000000000000000000000000000000000000000000000000" +
			"0000000000000000000000000017",
		"the mark's token is not compared": "000043002b00000000000000000000000000000000000000000000000025000000000000000000000000000000000000" +
			"00000000000000000000000000000000000017",
	}
	for name, text := range schedules {
		schedule, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if r := newEngine(t).PlayLosses(schedule, true); r.Violation != "" {
			t.Errorf("%s: %s\n%s", name, r.Violation, strings.Join(r.Trace, "\n"))
		}
	}
}
