//go:build linux

package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/bench/judge"
)

func TestWhatCannotBeMeasuredIsRefusedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"-peers floor,nobody", "-n 5", "-rounds 0", "-sync never", "-replicas 2", "-inflight 1,x", "-inflight 0", "-provider soon", "-stored -1",
	} {
		if _, err := parse(strings.Fields(line)); err == nil {
			t.Errorf("%s is taken", line)
		}
	}
	o, err := parse(strings.Fields("-peers countermand,floor -inflight 1,256 -provider 40ms"))
	if err != nil {
		t.Fatal(err)
	}
	if c := o.chosen(); len(c) != 2 || c[0].name != "countermand" || c[1].name != "floor" || o.delay != 40*time.Millisecond {
		t.Errorf("the options are %+v", o)
	}
}

func TestAProcessIsFoundWithItsTimesAndMemory(t *testing.T) {
	t.Parallel()
	for ownCPU() < 3*tick { // there must be something to see
	}
	var u usage
	u.add(os.Getpid())
	if u.cpu < 2*tick || u.cpu > ownCPU()+2*tick || u.now < 1<<20 || u.peak < u.now {
		t.Errorf("this process has used %+v, by its own count %s", u, ownCPU())
	}
	var gone usage
	gone.add(1 << 30)
	if gone != (usage{}) {
		t.Errorf("a process that is not there has used %+v", gone)
	}
}

func TestAnEntryIsRightOnlyIfNothingOfItIsWrong(t *testing.T) {
	t.Parallel()
	good := measured{run: run{Verdict: judge.Verdict{Commands: 3}}}
	bad := measured{run: run{Verdict: judge.Verdict{Commands: 3, Missing: 1}}}
	for name, c := range map[string]struct {
		e    entry
		want bool
	}{
		"all right":           {entry{Runs: []measured{good, good}}, true},
		"one run wrong":       {entry{Runs: []measured{good, bad}}, false},
		"calls repeated":      {entry{Runs: []measured{good}, Repeated: 1}, false},
		"could not be judged": {entry{Runs: []measured{good}, Fault: "x"}, false},
	} {
		if got := c.e.right(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
