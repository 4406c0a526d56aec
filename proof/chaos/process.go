//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// process is one program that may be killed and started again, with the same
// arguments, any number of times. Each run is a process group of its own, so a
// signal from the terminal reaches it through us alone. Safe for concurrent use.
type process struct {
	name string
	path string
	args []string
	dir  string
	env  []string

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when the run has ended
}

// start begins a run; what it prints is added to NAME.log in its directory.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(p.dir, p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", p.name, err)
	}
	defer log.Close()                      // the process has its own copy
	cmd := exec.Command(p.path, p.args...) //nolint:gosec,noctx // a binary we have built; it ends by signals on purpose
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, append(os.Environ(), p.env...), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed as a rule; an end of its own is found by alive
		close(ended)
	}()
	p.cmd, p.ended = cmd, ended
	return nil
}

// signal sends a signal to the whole group; a run that has ended is no error.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = syscall.Kill(-p.cmd.Process.Pid, s) // gone: nothing to signal
	}
}

// kill ends the run at once, as an operating system out of memory would.
func (p *process) kill() { p.end(syscall.SIGKILL, 0) }

// terminate asks the run to end, and kills it when it takes too long.
func (p *process) terminate(patience time.Duration) { p.end(syscall.SIGTERM, patience) }

func (p *process) end(s syscall.Signal, patience time.Duration) {
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	if ended == nil {
		return
	}
	p.signal(s)
	if s != syscall.SIGKILL {
		select {
		case <-ended:
		case <-time.After(patience):
			p.signal(syscall.SIGKILL)
		}
	}
	<-ended
}

// alive reports whether the run has not ended; a stopped one is alive.
func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}
