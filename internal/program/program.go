//go:build unix

// Package program runs the service, nats-server and others as programs of their
// own: for chaos runs and for the benchmark, which kill them and start them again.
// It knows ports, health and logs. What is done with programs is left to its callers;
// the service itself does not use it.
package program

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Program is one that may be killed and started again, with the same arguments, any
// number of times. Each run is a process group of its own, so that a signal from
// the terminal reaches it through us alone. Safe for concurrent use; its fields are
// not changed once it was started.
type Program struct {
	Name string
	Path string
	Args []string
	Dir  string              // where it runs, and where NAME.log is
	Env  []string            // beside our own
	User *syscall.Credential // nil: ours

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when the run has ended
}

// Start begins a run; what it prints is added to its log.
func (p *Program) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", p.Name, err)
	}
	defer log.Close()                      // the process has its own copy
	cmd := exec.Command(p.Path, p.Args...) //nolint:gosec,noctx // a binary we have built or were given; it ends by signals on purpose
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.Dir, append(os.Environ(), p.Env...), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.User}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed as a rule; Alive and Run find an end of its own
		close(ended)
	}()
	p.cmd, p.ended = cmd, ended
	return nil
}

// Run starts it and waits for a good end.
func (p *Program) Run() error {
	if err := p.Start(); err != nil {
		return err
	}
	<-p.ended
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("run %s: %s%s", p.Name, p.cmd.ProcessState, p.Tail())
	}
	return nil
}

func (p *Program) log() string { return filepath.Join(p.Dir, p.Name+".log") }

// Tail is the end of the log, for errors.
func (p *Program) Tail() string {
	b, _ := os.ReadFile(p.log()) // without a log there is nothing to tell
	return "\n" + string(b[max(0, len(b)-1500):])
}

// PID is the number of the process, 0 before the first run.
func (p *Program) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Signal sends a signal to the whole group; a run that has ended is no error.
func (p *Program) Signal(s syscall.Signal) {
	if p.Alive() {
		_ = syscall.Kill(-p.PID(), s) // gone meanwhile: nothing to signal
	}
}

// Kill ends the run at once, as an operating system out of memory would.
func (p *Program) Kill() {
	p.Signal(syscall.SIGKILL)
	if ended := p.run(); ended != nil {
		<-ended
	}
}

// Terminate asks the run to end, and kills it when that takes too long.
func (p *Program) Terminate(patience time.Duration) {
	p.Signal(syscall.SIGTERM)
	if ended := p.run(); ended != nil {
		select {
		case <-ended:
		case <-time.After(patience):
			p.Kill()
		}
	}
}

// run is closed when the present run has ended; nil before the first one.
func (p *Program) run() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// Alive reports whether the run has not ended; a stopped one is alive.
func (p *Program) Alive() bool {
	ended := p.run()
	if ended == nil {
		return false
	}
	select {
	case <-ended:
		return false
	default:
		return true
	}
}

// Answers reports whether an address answers 200.
func Answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	answer, err := new(http.Client).Do(r)
	if err != nil {
		return false
	}
	_ = answer.Body.Close() // its status is all that is asked for
	return answer.StatusCode == http.StatusOK
}

// Await asks again and again until it is so, or the context ends.
func Await(ctx context.Context, so func() bool) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
