//go:build unix

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
)

// update is the rolling update from the version before the marks: processes of both
// versions append at once.
type update struct {
	Before     string   `json:"before"`
	Commands   int      `json:"commands"`
	Broken     []string `json:"broken"`
	Suspects   int      `json:"suspects"`
	Violations int      `json:"violations"`
	Notes      []string `json:"notes"`
}

func (u *update) ok() bool { return len(u.Broken) == 0 && u.Violations == 0 && len(u.Notes) == 0 }

func (u *update) print(out io.Writer) {
	fmt.Fprintf(out, "rolling update from %.12s with %d commands: found broken in %d processes, suspect %d times, %d violations\n",
		u.Before, u.Commands, len(u.Broken), u.Suspects, u.Violations)
	for _, line := range append(u.Broken, u.Notes...) {
		fmt.Fprintf(out, "  %s\n", line)
	}
}

// update updates a running service while commands come in.
func (c *healthyCommand) update(s *surroundings, r *healthReport, dir string, bin binaries) error {
	old, commit, err := buildBefore(s.ctx, dir, c.Before)
	if missing := (*noHistoryError)(nil); errors.As(err, &missing) {
		r.LeftOut = missing.Error()
		s.say("no rolling update: %v", missing)
		return nil
	}
	if err != nil {
		return err
	}
	d := newDrawer(c.Seed)
	d.apart = true
	p, err := d.draw(c.Commands)
	if err != nil {
		return err
	}
	// The version before looks at the data alone, and takes these for commands.
	p.messages = slices.DeleteFunc(p.messages, func(m message) bool { return strings.HasSuffix(m.malformed, "-type-not-json") })
	here := filepath.Join(dir, "update")
	if err := os.Mkdir(here, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	w, err := newWorld(s.ctx, here, binaries{consumer: old, server: bin.server}, shape{nodes: 1, consumers: 3, ackWait: 30 * time.Second, timing: timing})
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.simulators.seed(s.ctx, p.payments); err != nil {
		return err
	}
	s.say("rolling update from %.12s: %d commands", commit, len(p.commands))
	r.Update = &update{Before: commit, Commands: len(p.commands)}
	return c.roll(s, w, p, updating{bin.consumer, r.Update})
}

// updating is what a service is updated to, and what is seen of it.
type updating struct {
	binary string
	seen   *update
}

// rolling is how long the commands come in; each process is replaced within it.
func (c *healthyCommand) rolling() time.Duration {
	return max(time.Duration(c.Commands)*time.Second/100, 10*time.Second)
}

// roll publishes everything while one process after the other is replaced, then
// compares the ledgers.
func (c *healthyCommand) roll(s *surroundings, w *world, p *plan, to updating) error {
	report := newReport("healthy", c.Seed, 1, p)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	during, sent := newTold(false), &published{}
	followed := w.follow(ctx, during)
	if err := w.serve(); err != nil {
		return err
	}
	published := make(chan error, 1)
	go func() { published <- w.publish(s.ctx, p.messages, c.rolling(), sent) }()
	rolled := c.replace(s.ctx, w, to.binary)
	if err := errors.Join(<-published, rolled); err != nil {
		return err
	}
	report.lastFault = time.Now()
	if left := w.rest(s.ctx, during, len(p.commands), len(sent.malformed), 3*time.Minute); left != "" {
		report.note("not at rest: %s", left)
	}
	cancel()
	if err := <-followed; err != nil {
		report.note("the journal could not be followed: %v", err)
	}
	if err := w.judge(s.ctx, report, p, sent, during); err != nil {
		return err
	}
	to.seen.Violations, to.seen.Notes = len(report.Violations), report.Notes
	return to.seen.read(w)
}

// replace provisions as the new version does, and replaces one process after the
// other.
func (c *healthyCommand) replace(ctx context.Context, w *world, binary string) error {
	each := c.rolling() / time.Duration(len(w.consumers)+2)
	sleep.For(ctx, each)
	p := &program.Program{Name: "provision-new", Path: binary, Dir: w.dir, Env: credentials()}
	p.Args = []string{"provision", "--config", w.operatorConfig}
	if err := p.Run(); err != nil {
		return err
	}
	for _, one := range w.consumers {
		one.Terminate(30 * time.Second)
		one.Path = binary // it has ended, so that nobody reads it
		if err := one.Start(); err != nil {
			return err
		}
		sleep.For(ctx, each)
	}
	return nil
}

// read reads from the processes' logs what they found.
func (u *update) read(w *world) error {
	for _, one := range w.consumers {
		log, err := os.ReadFile(filepath.Join(w.dir, one.Name+".log"))
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		marked := false
		for line := range strings.Lines(string(log)) {
			switch {
			case strings.Contains(line, "the journal has lost something"), strings.Contains(line, "every provider is paused until"):
				u.Broken = append(u.Broken, one.Name+": "+strings.TrimSpace(line))
			case strings.Contains(line, "the journal may have lost something"):
				u.Suspects++
			case strings.Contains(line, "the journal is whole"):
				marked = true
			}
		}
		if !marked {
			u.Notes = append(u.Notes, one.Name+" has not said that the journal is whole: was it updated?")
		}
	}
	return nil
}

// noHistoryError is that the version before cannot be had from git here.
type noHistoryError struct{ why string }

func (e *noHistoryError) Error() string { return e.why }

// firstOfMarks is a file that came with the marks.
const firstOfMarks = "integrity/mark.go"

// buildBefore builds the program of a commit, by default the last one without marks.
func buildBefore(ctx context.Context, dir, commit string) (binary, full string, err error) {
	if commit == "" {
		added, err := git(ctx, "log", "--diff-filter=A", "--format=%H", "--", ":(top)"+firstOfMarks)
		first := bytes.Fields(added)
		if err != nil || len(first) == 0 {
			return "", "", &noHistoryError{"there is no history of git here"}
		}
		commit = string(first[len(first)-1]) + "^"
	}
	name, err := git(ctx, "rev-parse", "--verify", "--quiet", commit+"^{commit}")
	if err != nil {
		return "", "", &noHistoryError{fmt.Sprintf("the history of git does not hold %s", commit)}
	}
	full = strings.TrimSpace(string(name))
	top, err := git(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return "", "", err
	}
	tree, err := git(ctx, "-C", strings.TrimSpace(string(top)), "archive", "--format=tar", full)
	if err != nil {
		return "", "", err
	}
	source := filepath.Join(dir, "before")
	if err := unpack(tree, source); err != nil {
		return "", "", fmt.Errorf("unpack %s: %w", full, err)
	}
	binary = filepath.Join(dir, "consumer-before")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/consumer") //nolint:gosec // a path of our own
	cmd.Dir = source
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("build %s: %w\n%s", full, err, out)
	}
	return binary, full, nil
}

func git(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "git", args...).Output() //nolint:gosec // only the commit is given
	if err != nil {
		return nil, fmt.Errorf("git %s: %w", args[0], err)
	}
	return out, nil
}

// unpack writes the files of an archive into a new directory.
func unpack(archive []byte, dir string) error {
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case h.Typeflag != tar.TypeReg:
			continue
		case !filepath.IsLocal(h.Name):
			return fmt.Errorf("the archive holds %q", h.Name)
		}
		file := filepath.Join(dir, h.Name) //nolint:gosec // it is local
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		body, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, body, 0o600); err != nil {
			return err
		}
	}
}
