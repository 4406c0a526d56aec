package cli

import (
	"io"
	"log"
	"log/slog"

	"github.com/countermand/countermand/internal/safetext"
)

// Libraries sends what libraries say to the process's own log to out, without what they
// quote. It changes the whole process: only its main function calls it, first of all.
func Libraries(out io.Writer) { log.SetOutput(safetext.Unquoted(out)) }

// StandardLog makes l the process's own log, that of libraries included (World.StandardLog).
func StandardLog(l *slog.Logger) {
	slog.SetDefault(l)
	Libraries(log.Writer()) // the line on its way to l
}
