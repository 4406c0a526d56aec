//go:build production

package main

import (
	"errors"
	"log/slog"

	"github.com/countermand/countermand/cmd/consumer/cli"
)

// embeddedCommands is empty: a production build has neither an embedded server
// nor simulators, and publishes no commands.
type embeddedCommands struct{}

// localFlags is empty as well.
type localFlags struct{}

// runEmbedded refuses: there is nothing to embed.
func runEmbedded(*cli.World, localFlags, *slog.Logger) error {
	return cli.Usage(errors.New("run needs --config FILE: this build has no embedded server"))
}
