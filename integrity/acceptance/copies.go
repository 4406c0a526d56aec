package acceptance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/countermand/countermand/integrity"
)

// fuller returns what single servers hold beyond the leader of the same stream. Of a
// stream beside the journal that counts only where something of it was found to be lost:
// another account on the same servers may have streams of the same names.
func (v View) fuller() []Copy {
	var all []Copy
	for _, c := range v.Copies {
		if c.Last > v.Reading.Journal.Last || c.Messages > v.Reading.Journal.Messages {
			all = append(all, c)
		}
	}
	for _, c := range v.Others {
		now, read := v.Reading.Streams[c.Stream]
		if read && c.Messages > 0 && v.lost(c.Stream) && (c.Last > now.Last || now.Keeps > 0 && c.Messages > now.Messages) {
			all = append(all, c)
		}
	}
	return all
}

// lost reports whether a place has found that a stream beside the journal lacks something.
func (v View) lost(stream string) bool {
	return slices.ContainsFunc(v.Findings, func(f integrity.Finding) bool {
		return f.Kind.OfStream() && f.Object == stream || f.Kind == integrity.DurableAhead && strings.HasPrefix(f.Object, stream+"/")
	})
}

// name is how the stream of a copy is called.
func (v View) name(c Copy) string {
	if c.Stream == "" {
		return v.Journal
	}
	return c.Stream
}

// holdsMore says that a server holds more than the leader, and what to do.
func (v View) holdsMore(c Copy) string {
	name := v.name(c)
	return fmt.Sprintf("server %s holds more of %s than its leader (%d messages to %d): nothing of that is lost yet: make it lead "+
		"(nats stream cluster step-down %s --preferred %s), and rebuild the others' copies of this stream", c.Server, name, c.Messages, c.Last, name, c.Server)
}

// holders are the servers that hold more of the commands than their leader.
func (v View) holders(stream string) []string {
	var all []string
	for _, c := range v.fuller() {
		if c.Stream == stream {
			all = append(all, c.Server)
		}
	}
	return all
}

// checkCopies says which streams, beside the journal and the commands, nobody gives up by
// typing: a server holds them.
func checkCopies(v View) []string {
	var no []string
	for _, c := range v.fuller() {
		if c.Stream != "" && c.Stream != v.Commands {
			no = append(no, v.holdsMore(c)+"; where it can no longer lead: keep its files and let it begin anew without them")
		}
	}
	return no
}
