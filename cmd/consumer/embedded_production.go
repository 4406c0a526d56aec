//go:build production

package main

import (
	"errors"
	"log/slog"
)

// embeddedCommands is empty: a production build has neither an embedded server
// nor simulators.
type embeddedCommands struct{}

// localFlags is empty as well.
type localFlags struct{}

// runEmbedded refuses: there is nothing to embed.
func runEmbedded(*world, localFlags, *slog.Logger) error {
	return usageError{errors.New("run needs --config FILE: this build has no embedded server")}
}
