//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// binaries are the programs under test and around it.
type binaries struct {
	dir                                        string
	server, consumer, unmarked, provider       string
	floor, watermill, river, restate, temporal string
}

// build makes all programs in a directory of its own, which clean removes. The
// consumer is built as production has it, from the tree around this module.
func build(ctx context.Context, opts options) (binaries, func(), error) {
	dir, err := os.MkdirTemp(opts.dir, "countermand-bench-bin-")
	if err != nil {
		return binaries{}, nil, fmt.Errorf("make directory: %w", err)
	}
	clean := func() { _ = os.RemoveAll(dir) } // a leftover in the system's temporary directory
	b := binaries{dir: dir}
	for _, p := range []struct {
		to   *string
		name string
		from string
		in   string
		tags string
	}{
		{&b.server, "nats-server", "github.com/nats-io/nats-server/v2", ".", ""},
		{&b.consumer, "consumer", "./cmd/consumer", "..", "production"},
		{&b.unmarked, "unmarked", "./cmd/consumer", "..", "production,unmarked"},
		{&b.provider, "provider", "./provider", ".", ""},
		{&b.floor, "floor", "./floor", ".", ""},
		{&b.watermill, "watermill", "./watermill", ".", ""},
		{&b.river, "river", "./river", ".", ""},
		{&b.restate, "restate", "./restate", ".", ""},
		{&b.temporal, "temporal", "./temporal", ".", ""},
	} {
		if strings.HasPrefix(p.from, "./") && p.in == "." && !needed(p.name, opts) ||
			p.name == "unmarked" && !slices.Contains(opts.peers, "countermand-unmarked") {
			continue
		}
		*p.to = filepath.Join(dir, p.name)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", p.tags, "-o", *p.to, p.from)
		cmd.Dir, cmd.Env = p.in, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			clean()
			return b, nil, fmt.Errorf("build %s (run this in the folder bench): %w\n%s", p.name, err, out)
		}
	}
	return b, clean, nil
}

// needed reports whether a program of this module takes part.
func needed(name string, opts options) bool {
	if name == "provider" || name == "floor" {
		return true
	}
	return slices.ContainsFunc(opts.peers, func(peer string) bool { return base(peer) == name })
}
