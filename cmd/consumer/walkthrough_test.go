package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/natstest"
)

// walk carries the README's walk-through out line by line, on ports and in
// directories of its own.
type walk struct {
	t      *testing.T
	dir    string
	port   int // of the server; simulators and health have the next two
	config string
	server *exec.Cmd
	ran    []string
}

func TestTheReadmesWalkThroughWorksAsWritten(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds a server")
	}
	w := &walk{t: t, dir: t.TempDir(), port: natstest.FreePorts(t, 3)}
	w.writeConfig()
	for _, block := range blocks(t, "sh") {
		for line := range strings.Lines(block) {
			w.line(strings.TrimSpace(line))
		}
	}
	want := "nats-server simulate provision run publish publish show"
	if got := strings.Join(w.ran, " "); got != want {
		t.Errorf("the walk-through ran %q, want %q", got, want)
	}
}

// writeConfig is examples/local/config.yaml on the test's ports.
func (w *walk) writeConfig() {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "examples", "local", "config.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	text := strings.NewReplacer("4222", fmt.Sprint(w.port), "4280", fmt.Sprint(w.port+1)).Replace(string(b))
	text += fmt.Sprintf("admin: {listen: 127.0.0.1:%d}\n", w.port+2)
	w.config = filepath.Join(w.dir, "config.yaml")
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// line carries one line out, if it is one of the walk-through's.
func (w *walk) line(line string) {
	w.t.Helper()
	if args, ok := strings.CutPrefix(line, "go run github.com/nats-io/nats-server/v2 "); ok {
		w.startServer(strings.Fields(strings.ReplaceAll(args, "./data/nats", w.dir)))
		return
	}
	args, ok := strings.CutPrefix(line, "go run ./cmd/consumer ")
	fields := strings.Fields(strings.ReplaceAll(args, "examples/local/config.yaml", w.config))
	if !ok || len(fields) < 2 && fields[0] != "simulate" {
		return
	}
	w.ran = append(w.ran, fields[0])
	server := fmt.Sprintf("--nats=nats://127.0.0.1:%d", w.port)
	switch fields[0] {
	case "simulate":
		p := start(w.t, root, append(fields, fmt.Sprintf("--listen=127.0.0.1:%d", w.port+1))...)
		p.await(p.stdout, "/bento")
	case "run":
		start(w.t, root, fields...)
		awaitStatus(w.t, fmt.Sprintf("http://127.0.0.1:%d/readyz", w.port+2), 200)
	case "provision":
		w.must("created stream PAYMENT_REJECTED", fields...)
	case "publish":
		published := "5 published, 0 were there already"
		if strings.Contains(line, "--mode binary") {
			published = "0 published, 5 were there already with the same content"
		}
		w.must(published, append(fields, server)...)
	case "show":
		w.awaitStory(append(fields, server))
	}
}

// must runs a command that must succeed and say something.
func (w *walk) must(says string, args ...string) {
	w.t.Helper()
	code, p := runProgram(w.t, root, args...)
	if code != cli.ExitOK || !strings.Contains(p.stdout.String(), says) {
		w.t.Fatalf("%v: exit code %d, want %q\n%s%s", args, code, says, p.stdout, p.stderr)
	}
}

// awaitStory shows the payment until its refund has succeeded: the simulated
// provider takes its time.
func (w *walk) awaitStory(args []string) {
	w.t.Helper()
	for range 200 {
		if code, p := runProgram(w.t, root, args...); code == cli.ExitOK && strings.Contains(p.stdout.String(), "moved 4.00 EGP") {
			return
		}
	}
	w.t.Fatalf("%v never showed the refund", args)
}

// startServer builds the server the module requires and runs it.
func (w *walk) startServer(args []string) {
	w.t.Helper()
	binary := filepath.Join(w.dir, "nats-server")
	build := exec.CommandContext(w.t.Context(), "go", "build", "-o", binary, "github.com/nats-io/nats-server/v2")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		w.t.Fatalf("build server: %v\n%s", err, out)
	}
	log := newOutput()
	w.server = exec.CommandContext(w.t.Context(), binary, append(args, "-a", "127.0.0.1", "-p", fmt.Sprint(w.port))...)
	w.server.Stderr = log
	if err := w.server.Start(); err != nil {
		w.t.Fatal(err)
	}
	p := &program{t: w.t, cmd: w.server, stdout: newOutput(), stderr: log, ended: make(chan struct{})}
	go func() {
		_ = w.server.Wait() // killed at the end
		close(p.ended)
	}()
	w.t.Cleanup(p.kill)
	p.await(log, "Server is ready")
	w.ran = append(w.ran, "nats-server")
}
