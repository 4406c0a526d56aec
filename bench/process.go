//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/countermand/countermand/internal/program"
)

// readyFor bounds every start.
const readyFor = 90 * time.Second

// answers waits until an address answers 200, or the program has ended.
func answers(ctx context.Context, p *program.Program, url string) error {
	return await(ctx, p, func() bool { return program.Answers(ctx, url) })
}

// await asks until it is so; a program that ends meanwhile is an error.
func await(ctx context.Context, p *program.Program, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, readyFor)
	defer cancel()
	ended := false
	err := program.Await(ctx, func() bool {
		is := so()
		ended = !is && !p.Alive()
		return is || ended
	})
	switch {
	case ended:
		return fmt.Errorf("wait for %s: it has ended%s", p.Name, p.Tail())
	case err != nil:
		return fmt.Errorf("wait for %s: %w%s", p.Name, err, p.Tail())
	default:
		return nil
	}
}
