package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/sidebyside"
)

// asProgram in the environment makes the test binary the program itself: real
// processes without a second build, with the race detector where tests have it.
const asProgram = "COUNTERMAND_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main() // exits
	}
	os.Exit(sidebyside.Run(m))
}

// patience is how long a test waits for anything; many packages' tests share
// few cores.
const patience = 3 * time.Minute

// output collects what a process writes and tells waiters of it.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	news chan struct{} // closed and replaced with each write
}

func newOutput() *output { return &output{news: make(chan struct{})} }

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.news)
	o.news = make(chan struct{})
	return o.buf.Write(b)
}

// String is everything so far.
func (o *output) String() string {
	text, _ := o.look()
	return text
}

func (o *output) look() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String(), o.news
}

// lines are the whole lines in text.
func lines(text string) []string {
	i := strings.LastIndexByte(text, '\n')
	if i < 0 {
		return nil
	}
	return strings.Split(text[:i], "\n")
}

// program is the consumer as a process of its own.
type program struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr *output
	ended          chan struct{} // closed after the process has ended
}

// start runs the program in dir; the test's end kills what is left of it.
func start(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	return startAmid(t, dir, nil, args...)
}

// startAmid adds variables to the program's environment.
func startAmid(t *testing.T, dir string, env []string, args ...string) *program {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, stdout: newOutput(), stderr: newOutput(), ended: make(chan struct{})}
	p.cmd = exec.Command(own, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p.stdout, p.stderr
	p.cmd.Env = append(os.Environ(), asProgram+"=1", "OPENPAY_KEY=0123456789abcdef0123456789abcdef")
	p.cmd.Env = append(p.cmd.Env, env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code is in ProcessState
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

// run runs the program to its end and returns its exit code.
func runProgram(t *testing.T, dir string, args ...string) (int, *program) {
	t.Helper()
	p := start(t, dir, args...)
	code := p.exit()
	return code, p
}

// kill ends the process at once, as an operating system out of memory would.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// terminate asks the process to end.
func (p *program) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("send SIGTERM: %v\n%s", err, p.stderr)
	}
}

// exit waits for the process's end and returns its exit code.
func (p *program) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%v did not end\nstdout: %s\nstderr: %s", p.cmd.Args, p.stdout, p.stderr)
		return -1
	}
}

// await returns the output once it holds text.
func (p *program) await(o *output, text string) string {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		all, news := o.look()
		if strings.Contains(all, text) {
			return all
		}
		select {
		case <-news:
		case <-p.ended:
			if all := o.String(); strings.Contains(all, text) {
				return all
			}
			p.t.Fatalf("%v ended without saying %q\nstdout: %s\nstderr: %s", p.cmd.Args, text, p.stdout, p.stderr)
		case <-deadline:
			p.t.Fatalf("%v did not say %q\nstdout: %s\nstderr: %s", p.cmd.Args, text, p.stdout, p.stderr)
		}
	}
}

// get returns status and body; 0 where nobody answers.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// awaitStatus asks until the answer has the status, and returns its body.
func awaitStatus(t *testing.T, url string, status int) string {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(patience)
	for {
		got, body := get(t, url)
		if got == status {
			return body
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("GET %s: %d %s, want %d", url, got, body, status)
		}
	}
}
