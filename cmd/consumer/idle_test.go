package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

// startWith is start with at most so many open files.
func startWith(t *testing.T, files int, dir string, args ...string) *program {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell here to limit open files with")
	}
	p := start(t, dir, "--help") // for its environment
	<-p.ended
	limited := &program{t: t, stdout: newOutput(), stderr: newOutput(), ended: make(chan struct{})}
	limited.cmd = exec.Command(shell, append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files), p.cmd.Path}, args...)...)
	limited.cmd.Dir, limited.cmd.Env, limited.cmd.Stdout, limited.cmd.Stderr = dir, p.cmd.Env, limited.stdout, limited.stderr
	if err := limited.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = limited.cmd.Wait()
		close(limited.ended)
	}()
	t.Cleanup(limited.kill)
	return limited
}

// Whoever may ask for the metrics keeps connections open, some after a request, some
// without a word, until no descriptor would be left.
func TestConnectionsThatAreKeptOpenStopNoPaymentAndNoProbe(t *testing.T) {
	t.Parallel()
	s := newService(t)
	if code, p := runProgram(t, s.dir, "provision", "--config", "config.yaml"); code != cli.ExitOK {
		t.Fatalf("provision: exit code %d: %s", code, p.stderr)
	}
	p := startWith(t, 256, s.dir, "run", "--config", "config.yaml")
	awaitStatus(t, "http://"+s.admin+"/readyz", http.StatusOK)
	for i := range 600 {
		c, err := net.Dial("tcp", s.admin)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { c.Close() })
		if i%2 == 0 {
			fmt.Fprintf(c, "GET /livez HTTP/1.1\r\nHost: %s\r\n\r\n", s.admin)
		}
	}
	var metrics strings.Builder
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		r, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + s.admin + path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		metrics.Reset() // the last page stays
		_, _ = io.Copy(&metrics, r.Body)
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d", path, r.StatusCode)
		}
	}
	if pushed := regexp.MustCompile(`(?m)^countermand_connections_pushed_out_total\{address="admin"\} [1-9]`); !pushed.MatchString(metrics.String()) {
		t.Error("no metric says that connections were pushed out")
	}
	for i := range 20 {
		s.refund(fmt.Sprintf("o-%d", i))
	}
	for i := range 20 {
		awaitEvent(t, s.js, fmt.Sprintf("payment.refund.succeeded.opay-eg.o-%d.2", i))
	}
	p.terminate()
	if code := p.exit(); code != cli.ExitOK {
		t.Errorf("exit code %d", code)
	}
	for _, line := range lines(p.stderr.String()) {
		var one map[string]any
		if json.Unmarshal([]byte(line), &one) != nil {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
		if one["level"] == "ERROR" || strings.Contains(line, "too many open files") {
			t.Errorf("logged: %s", line)
		}
	}
}

func TestASecretThatLiesOpenIsNamedAtTheStartAndNotShown(t *testing.T) {
	t.Parallel()
	s := newService(t)
	if err := exec.Command("chmod", "0666", filepath.Join(s.dir, "secret")).Run(); err != nil {
		t.Skip("no chmod here")
	}
	p := start(t, s.dir, "run", "--config", "config.yaml")
	said := p.await(p.stderr, "a secret lies open")
	if !strings.Contains(said, "providers[0].secretKey lies in a file of mode 0666") {
		t.Errorf("said %s", said)
	}
}

func TestASecretInQuotesIsNamedAtTheStartAndByCheckAndNotShown(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.write("secret", `"`+strings.TrimSpace(readFile(t, filepath.Join(s.dir, "secret")))+`"`)
	p := start(t, s.dir, "run", "--config", "config.yaml")
	if said := p.await(p.stderr, "a secret is in quotes"); !strings.Contains(said, "providers[0].secretKey") || strings.Contains(said, opaysim.DefaultSecretKey) {
		t.Errorf("said %s", said)
	}
	_, checked := runProgram(t, s.dir, "check", "--config", "config.yaml")
	if out := checked.stdout.String(); !strings.Contains(out, "warning: secret-quoted: providers[0].secretKey is a secret in quotes") || strings.Contains(out, opaysim.DefaultSecretKey) {
		t.Errorf("check said %s", out)
	}
}
