package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/countermand/countermand/internal/safetext"
)

// Exit codes.
const (
	ExitOK     = 0
	ExitFailed = 1 // the command was tried and did not work
	ExitUsage  = 2 // nothing was tried: flags, arguments or configuration are wrong
	ExitNone   = 3 // not found

	ExitStopped = 130 // Ctrl-C before the end, as shells count it
)

// MaxFaults is how many faults of an input people are shown; machines get all of them.
const MaxFaults = 50

// World is what surrounds one command.
type World struct {
	Context context.Context //nolint:containedctx // lives as long as the one command that is run
	Getenv  func(string) string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// StandardLog sends what libraries say to the process's own log to another one, so
	// that no line is other than JSON; nil: it stays where it goes.
	StandardLog func(*slog.Logger)
}

// JSON writes one value as a line of JSON on standard output.
func (w *World) JSON(v any) error { return json.NewEncoder(w.Stdout).Encode(v) }

// usageError marks an error made before anything was tried.
type usageError struct{ error }

// notFoundError marks an error that says that nothing was found.
type notFoundError struct{ error }

// stoppedError marks the end of what was told to end too early.
type stoppedError struct{ error }

// Usage returns err as an error that ends the program with ExitUsage.
func Usage(err error) error { return usageError{err} }

// NotFound returns err as an error that ends the program with ExitNone.
func NotFound(err error) error { return notFoundError{err} }

// Stopped returns err as an error that ends the program with ExitStopped.
func Stopped(err error) error { return stoppedError{err} }

// ExitCode is the exit code of a command that ended with err.
func ExitCode(err error) int {
	var usage usageError
	var missing notFoundError
	var stopped stoppedError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &missing):
		return ExitNone
	case errors.As(err, &stopped):
		return ExitStopped
	default:
		return ExitFailed
	}
}

// Moment reads a flag that holds a date (its midnight, UTC) or a time (RFC 3339).
func Moment(flag, text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s must be a date such as 2026-11-01 or a time such as 2026-11-01T12:00:00Z", flag)
}

// Reader returns r as a reader that stops when the command is told to end.
func (w *World) Reader(r io.Reader) io.Reader { return worldReader{w, r} }

type worldReader struct {
	w *World
	r io.Reader
}

// Read implements io.Reader.
func (r worldReader) Read(p []byte) (int, error) {
	if err := r.w.Context.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Safe returns the world with outputs that show nothing but what is seen: providers',
// order services' and operators' text may hold what moves a terminal's cursor.
func (w *World) Safe() *World {
	safe := *w
	safe.Stdout, safe.Stderr = safetext.NewWriter(w.Stdout), safetext.NewWriter(w.Stderr)
	return &safe
}

// Drawing is the output itself, for what draws on a terminal and shows no foreign text.
func Drawing(out io.Writer) io.Writer {
	if safe, ok := out.(*safetext.Writer); ok {
		return safe.Unwrap()
	}
	return out
}

// Terminal reports whether out is a terminal.
func Terminal(out io.Writer) bool {
	f, ok := Drawing(out).(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
