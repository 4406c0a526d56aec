package acceptance

import (
	"strings"

	"github.com/countermand/countermand/integrity"
)

// listed is how many findings a process lists in its reason at the most, between
// how they are written (keeper.Status.Ready). Those of a reading come first, then
// that the bucket was set back, then what other processes have found.
const (
	listed      = 3
	between     = "; also, "
	bucketsText = " no longer holds the mark that it held"
	othersText  = "process "
)

// found are the texts of the findings that a process lists, without what it has
// only heard from others; all: it has no further ones of its own.
func found(r integrity.Registered) (texts []string, all bool) {
	_, reason, known := strings.Cut(r.Reason, ": ")
	if !known {
		return nil, false
	}
	texts = strings.Split(reason, between)
	all = len(texts) < listed || strings.Contains(texts[len(texts)-1], bucketsText)
	for i, text := range texts {
		if strings.HasPrefix(text, othersText) {
			return texts[:i], true
		}
	}
	return texts, all
}

// namesCommands reports whether a process may have found that the stream of
// commands has lost something.
func namesCommands(r integrity.Registered, commands string) bool {
	texts, all := found(r)
	return !all || strings.Contains(strings.Join(texts, between), commands)
}

// namesStreamsOnly reports whether a process has found losses of other streams,
// and surely none of the journal. The careful answer is false.
func namesStreamsOnly(r integrity.Registered) bool {
	texts, all := found(r)
	for _, text := range texts {
		if !strings.HasPrefix(text, "stream ") {
			return false
		}
	}
	return all && len(texts) > 0
}
