//go:build unix

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// serverPackage is nats-server itself, in the version of the module graph.
const serverPackage = "github.com/nats-io/nats-server/v2"

// binaries are the programs under test.
type binaries struct{ consumer, server string }

// build makes them in dir, as everybody builds them. One that is given is taken
// as it is.
func build(ctx context.Context, dir string, given binaries) (binaries, error) {
	for _, b := range []struct {
		path *string
		name string
		from string
	}{
		{&given.consumer, "consumer", "github.com/countermand/countermand/cmd/consumer"},
		{&given.server, "nats-server", serverPackage},
	} {
		if *b.path != "" {
			continue
		}
		*b.path = filepath.Join(dir, b.name)
		cmd := exec.CommandContext(ctx, "go", "build", "-o", *b.path, b.from) //nolint:gosec // constants
		if out, err := cmd.CombinedOutput(); err != nil {
			return given, fmt.Errorf("build %s: %w\n%s", b.name, err, out)
		}
	}
	return given, nil
}
