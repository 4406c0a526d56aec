//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// profileOfConsumer is what production's binary is built with, from the
// repository's root: it tells the compiler which calls are hot.
const profileOfConsumer = "deploy/consumer.pgo"

// profileAnew has the consumer do the benchmark's job and keeps its profile.
func profileAnew(ctx context.Context, bin binaries, opts options) error {
	w, err := newWorld(ctx, bin, opts, opts.delay)
	if err != nil {
		return err
	}
	defer w.close()
	file := filepath.Join(w.dir, "consumer.pgo")
	c := contestants()[1]
	prepare := c.prepare
	c.prepare = func(ctx context.Context, f *field) (*process, error) {
		p, err := prepare(ctx, f)
		if err == nil {
			p.args = append(p.args, "--cpu-profile", file)
		}
		return p, err
	}
	f, cl, err := enter(ctx, c, w)
	if err != nil {
		return err
	}
	defer f.close()
	defer cl.close()
	for _, inFlight := range opts.inFlight {
		if _, err := cl.drive(ctx, runSize(opts.n, inFlight), inFlight, nil, nil); err != nil {
			return err
		}
	}
	f.program.end(syscall.SIGTERM, time.Minute) // writes the profile
	profile, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read profile: %w", err)
	}
	if err := os.WriteFile(filepath.Join("..", profileOfConsumer), profile, 0o644); err != nil {
		return fmt.Errorf("keep profile: %w", err)
	}
	return nil
}
