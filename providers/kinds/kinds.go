// Package kinds is the table of provider kinds: the one place that lists them
// for the configuration, the service and the documents. A kind's own folder
// says everything about it; docs/adding-a-provider.md says how to add one. The
// simulated half of the table is package simulators, which a production binary
// does not hold.
package kinds

import (
	"slices"
	"strings"

	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/tranzzo"
)

// All is the table, in the order of docs/providers.md.
func All() []providers.Kind {
	return []providers.Kind{
		opay.Definition(),
		tranzzo.Definition(),
		bento.Definition(),
		openpay.Definition(),
	}
}

// Find returns the kind of that name; false: there is none.
func Find(name string) (providers.Kind, bool) {
	all := All()
	i := slices.IndexFunc(all, func(k providers.Kind) bool { return k.Name == name })
	if i < 0 {
		return providers.Kind{}, false
	}
	return all[i], true
}

// Names lists the kinds for messages.
func Names() string {
	var names []string
	for _, k := range All() {
		names = append(names, k.Name)
	}
	return strings.Join(names, ", ")
}
