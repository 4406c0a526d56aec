//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is a program that the benchmark starts, looks at and ends; it may be
// started again. Each run is a process group of its own. Not safe for concurrent use.
type process struct {
	name string
	path string
	args []string
	dir  string // where NAME.log goes
	env  []string
	user *syscall.Credential // nil: ours

	cmd   *exec.Cmd
	ended chan struct{}
}

func (p *process) start() error {
	out, err := os.OpenFile(filepath.Join(p.dir, p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", p.name, err)
	}
	defer out.Close()
	cmd := exec.Command(p.path, p.args...) //nolint:noctx // it ends by signals, on purpose
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, append(os.Environ(), p.env...), out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.user}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}(p.ended)
	return nil
}

// run starts it and waits for a good end.
func (p *process) run() error {
	if err := p.start(); err != nil {
		return err
	}
	<-p.ended
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("run %s: %s%s", p.name, p.cmd.ProcessState, p.tail())
	}
	return nil
}

// tail is the end of the log, for errors.
func (p *process) tail() string {
	b, _ := os.ReadFile(filepath.Join(p.dir, p.name+".log"))
	return "\n" + string(b[max(0, len(b)-1500):])
}

func (p *process) alive() bool {
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

// kill ends the group at once.
func (p *process) kill() { p.end(syscall.SIGKILL, 0) }

// end signals the group and kills it when that takes too long.
func (p *process) end(s syscall.Signal, patience time.Duration) {
	if !p.alive() {
		return
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, s)
	if s != syscall.SIGKILL {
		select {
		case <-p.ended:
			return
		case <-time.After(patience):
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		}
	}
	<-p.ended
}

// Ports are taken from below those that systems give to outgoing connections: a
// program that is away for a moment must get its own back. (Temporal's database
// has no room for higher ones either.)
const (
	firstPort = 20_000
	lastPort  = 32_000
)

// ports hands out free ports, each once.
type ports struct{ given map[int]bool }

func (p *ports) free() (int, error) {
	for range lastPort - firstPort {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if p.given[port] {
			continue
		}
		l, err := net.Listen("tcp", local(port))
		if err != nil {
			continue // taken
		}
		l.Close()
		p.given[port] = true
		return port, nil
	}
	return 0, fmt.Errorf("find a free port: there is none from %d to %d", firstPort, lastPort)
}

// local is a port of this machine as an address.
func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// answers waits until an address answers 200, or the process has ended.
func answers(ctx context.Context, p *process, url string) error {
	return await(ctx, p, func() bool {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return false
		}
		answer, err := new(http.Client).Do(r)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// readyFor bounds every start.
const readyFor = 90 * time.Second

// await asks until it is so; a process that ends meanwhile is an error.
func await(ctx context.Context, p *process, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, readyFor)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-p.ended:
			return fmt.Errorf("wait for %s: it has ended%s", p.name, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w%s", p.name, ctx.Err(), p.tail())
		}
	}
	return nil
}
