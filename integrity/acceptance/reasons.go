package acceptance

import (
	"slices"
	"strings"

	"github.com/countermand/countermand/integrity"
)

// namesCommands reports whether a process may have found that the stream of
// commands has lost something.
func namesCommands(r integrity.Registered, commands string) bool {
	return r.MoreFound > 0 || slices.ContainsFunc(r.Found, func(f integrity.Finding) bool {
		return f.Object == commands || strings.HasPrefix(f.Object, commands+"/") // a consumer of it
	})
}

// namesStreamsOnly reports whether a process has found losses of other streams,
// and surely none of the journal. The careful answer is false.
func namesStreamsOnly(r integrity.Registered) bool {
	journal := func(f integrity.Finding) bool { return !f.Kind.OfStream() }
	return r.MoreFound == 0 && len(r.Found) > 0 && !slices.ContainsFunc(r.Found, journal)
}
