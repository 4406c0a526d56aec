package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nats-io/nkeys"
)

// minToken is the length of a console's token at least, in bytes.
const minToken = 16

// people refuses names that stand twice, tokens that could be guessed, and a token that two
// of them have: whoever holds it would act under either name.
func (d *decoder) people(c Console) {
	first, tokens := map[string]string{}, map[string]string{}
	for _, group := range []struct {
		key  string
		list []Person
	}{{"console.viewers", c.Viewers}, {"console.operators", c.Operators}} {
		for i, p := range group.list {
			path := fmt.Sprintf("%s[%d]", group.key, i)
			if other, taken := first[p.Name]; taken && p.Name != "" {
				d.add(d.lineOf(path+".name"), path+".name", "is the name of %s too", other)
			}
			first[p.Name] = path
			if !d.hasAround(path+".token") && !slices.Contains(d.notGiven, path+".token") && len(p.Token.Reveal()) < minToken {
				d.add(d.lineOf(path+".token"), path+".token", "must be given, with at least %d characters", minToken)
			}
			token := p.Token.Reveal()
			if other, taken := tokens[token]; taken && token != "" && !d.hasAround(path+".token") {
				d.add(d.lineOf(path+".token"), path+".token", "is the token of %s too: whoever holds it could act as either", other)
			}
			tokens[token] = path
		}
	}
}

// identified refuses a person or a login that stands twice, and people beside names that
// are only typed.
func (d *decoder) identified(cfg *Config) {
	if len(cfg.People) > 0 && cfg.Desk.SelfAsserted {
		d.add(d.lineOf("people"), "people", "must not be given together with desk.selfAsserted: a name that is only typed is no login")
	}
	names, logins, spelt, keys := map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}
	for i, p := range cfg.People {
		path := fmt.Sprintf("people[%d]", i)
		if other, taken := names[strings.ToLower(p.Name)]; taken && p.Name != "" {
			d.add(d.lineOf(path+".name"), path+".name", "is the name of %s too", other)
		}
		names[strings.ToLower(p.Name)] = path
		for j, login := range p.Identities {
			at := fmt.Sprintf("%s.identities[%d]", path, j)
			if other, taken := logins[login]; taken {
				d.add(d.lineOf(at), at, "is a login of %s too", other)
			}
			// As names are, two persons' logins are taken for one in whatever letters.
			if other, taken := spelt[strings.ToLower(login)]; taken && other != path && logins[login] == "" {
				d.add(d.lineOf(at), at, "differs from a login of %s in capital letters alone", other)
			}
			logins[login], spelt[strings.ToLower(login)] = path, path
			// One key in two accounts is one person all the same.
			if _, key, ok := strings.Cut(login, "/"); ok && strings.HasPrefix(login, "nats:") {
				if other, taken := keys[key]; taken && other != path {
					d.add(d.lineOf(at), at, "has the key of %s too: whoever holds it is one person", other)
				}
				keys[key] = path
			}
		}
	}
}

// identity reports whether a text names a login.
func identity(s string) bool {
	kind, name, _ := strings.Cut(s, ":")
	if !printableASCII(name) {
		return false
	}
	switch kind {
	case "nats":
		account, key, _ := strings.Cut(name, "/")
		return account != "" && nkeys.IsValidPublicUserKey(key)
	case "token", "proxy":
		return len(name) <= 64
	default:
		return false
	}
}

// printableASCII reports whether a text is printable ASCII without space, and not empty.
func printableASCII(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

// Network reads an address or a network in CIDR notation.
func Network(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}
