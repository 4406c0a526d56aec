//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/countermand/countermand/internal/program"
)

// profile has the consumer do the benchmark's job, once for each number of
// commands in flight, and keeps where its processor time went.
func profile(ctx context.Context, bin binaries, opts options) error {
	file, err := filepath.Abs(opts.profile)
	if err != nil {
		return fmt.Errorf("name profile: %w", err)
	}
	w, err := newWorld(ctx, bin, opts, opts.delay)
	if err != nil {
		return err
	}
	defer w.close()
	c := contestants()[1]
	prepare := c.prepare
	c.prepare = func(ctx context.Context, f *field) (*program.Program, error) {
		p, err := prepare(ctx, f)
		if err == nil {
			p.Args = append(p.Args, "--cpu-profile", file)
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
	f.program.Terminate(time.Minute) // writes the profile
	return nil
}
