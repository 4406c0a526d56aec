//go:build unix

package program_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/program"
)

func TestAStoppedProcessIsAliveAndAKilledOneIsNot(t *testing.T) {
	t.Parallel()
	p := &program.Program{Name: "sleeper", Path: "/bin/sleep", Args: []string{"600"}, Dir: t.TempDir()}
	if p.Alive() {
		t.Error("alive before its start")
	}
	p.Kill() // nothing to kill is no error
	for range 2 {
		if err := p.Start(); err != nil {
			t.Skipf("no sleep here: %v", err)
		}
		p.Signal(syscall.SIGSTOP)
		if !p.Alive() {
			t.Error("a stopped process is called dead")
		}
		p.Kill()
		if p.Alive() {
			t.Error("a killed process is called alive")
		}
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.Terminate(time.Minute)
	if p.Alive() {
		t.Error("a terminated process is called alive")
	}
}
