package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/monitor"
)

// border looks at what crosses the border of the account of the streams, and at what
// changes subjects inside. The server asks nobody for rights on the subject where such a
// message arrives.
func (c *checker) border(ctx context.Context, account string) {
	is, err := monitor.BorderOf(ctx, c.cfg.NATS.Monitor, account)
	if err != nil {
		c.report(NotVerifiable, Account, "exports, imports and mappings of "+account, Finding{
			Is: "unknown (" + err.Error() + ")", Want: "none but the shipped exports", Do: "check nats.monitor: its page /accountz tells them",
		})
		return
	}
	c.exports(is.Exports, account)
	c.imports(is, account)
	c.mappings(is.Mappings, account)
}

// exports reports what the account offers to others beyond what permissions/exports.conf
// offers. Of what that file does not name nobody has shown that it is harmless.
func (c *checker) exports(all []monitor.Export, account string) {
	t := app.Topology(c.cfg)
	for _, export := range all {
		what := "export " + export.Subject + " of " + account
		named := func(offers []offer) bool {
			return slices.ContainsFunc(offers, func(o offer) bool { return o.kind == export.Type && covers(o.subject, export.Subject) })
		}
		switch public := len(export.Accounts) == 0 && !export.Token; {
		case !concerns(export.Subject) || named(offeredToAll(t)) && !c.takes(export.Subject):
		case !named(offeredToSome(t)):
			c.report(Error, Account, what, Finding{
				Is: "a " + export.Type + " that no shipped file offers", Want: "not offered",
				Do: "another account that imports it writes, takes or hears what is the service's: remove it from the account's exports, or narrow it to a line of permissions/exports.conf",
			})
		case public:
			c.report(Error, Account, what+", accounts", Finding{
				Is: "offered to every account", Want: "accounts that are named",
				Do: "whoever imports it acts as a person or reads the journal: name its accounts as permissions/exports.conf does",
			})
		}
	}
}

// imports reports what the account takes from others at subjects of ours. The account of
// the streams needs none, and no shipped file has one.
func (c *checker) imports(is monitor.Border, account string) {
	for _, in := range is.Imports {
		if !concerns(in.Local) || in.Account == is.System && ownImport(in.Local) {
			continue
		}
		do := "the server puts what that account publishes on this subject without asking for rights, as a command, an event, an answer or a timer"
		if in.Type == "service" {
			do = "the server sends what is published on this subject to that account, which reads it and may answer in the service's place"
		}
		c.report(Error, Account, "import "+in.Local+" of "+account, Finding{
			Is: fmt.Sprintf("a %s of account %s (%s)", in.Type, in.Account, in.Subject), Want: "not imported", Do: do + ": remove it from the account's imports",
		})
	}
}

// ownImport reports whether a subject is one that the server makes known in each account
// by itself: where clients ask it.
func ownImport(local string) bool {
	return strings.HasPrefix(local, "$SYS.") || strings.HasPrefix(local, "$JS.API.")
}

// mappings reports what is sent elsewhere than it was published to, where one of the two
// is ours.
func (c *checker) mappings(all map[string][]monitor.Mapped, account string) {
	for _, from := range slices.Sorted(maps.Keys(all)) {
		var to []string
		ours := concerns(from)
		for _, d := range all[from] {
			if ownMapping(from, d.Subject) {
				continue
			}
			ours = ours || concerns(d.Subject)
			to = append(to, d.Subject)
		}
		if !ours || len(to) == 0 {
			continue
		}
		c.report(Error, Account, "mapping of "+from+" in "+account, Finding{
			Is: "to " + strings.Join(to, " and "), Want: "none",
			Do: "the server asks for the right to the first subject only: a command for one provider becomes another's, an event or an answer, or is lost on its way: remove it from the account's mappings",
		})
	}
}

// ownMapping reports whether the server has made a mapping by itself: those from the
// domain of its JetStream lead to the same subjects without it.
func ownMapping(from, to string) bool {
	domain, rest, found := strings.Cut(strings.TrimPrefix(from, "$JS."), ".API.")
	if !found || !strings.HasPrefix(from, "$JS.") || strings.ContainsAny(domain, ".*>") {
		return false
	}
	return to == "$JS.API."+rest || to == rest && (rest == "$KV.>" || rest == "$OBJ.>")
}
