// Package review is the command "consumer review": it lists and shows what needs a
// person, and hands in rulings. The desk of the running service decides whether a
// ruling is accepted.
package review

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Command is "consumer review".
type Command struct {
	List    listCommand    `cmd:"" help:"List operations that need a person, the longest waiting first."`
	Show    showCommand    `cmd:"" help:"Show one payment, the provider's current answer and the permitted rulings."`
	Resolve resolveCommand `cmd:"" help:"Rule on an operation; without --apply it only says what it would do."`
}

// Help is the long help text.
func (Command) Help() string {
	return `If Countermand cannot find out the outcome of an operation, the operation waits for a person. These commands ask
the running service. Only the service writes the journal, and it records each ruling with who and why.

Example: consumer review list --older-than 1h`
}

// viewOf names what was shown: the version, and when it was read.
func viewOf(version uint64, seen time.Time) string {
	return fmt.Sprintf("%d@%s", version, seen.UTC().Format(time.RFC3339Nano))
}

// parseView reads what viewOf wrote.
func parseView(s string) (version uint64, seen time.Time, err error) {
	number, at, found := strings.Cut(s, "@")
	if found {
		if _, err = fmt.Sscanf(number, "%d", &version); err == nil {
			seen, err = time.Parse(time.RFC3339Nano, at)
		}
	}
	if !found || err != nil || version == 0 {
		return 0, time.Time{}, errors.New("the view is not one that review show or list has printed")
	}
	return version, seen, nil
}
