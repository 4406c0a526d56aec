package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// minToken is the length of a console's token at least, in bytes.
const minToken = 16

// people refuses names that stand twice and tokens that could be guessed.
func (d *decoder) people(c Console) {
	first := map[string]string{}
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
		}
	}
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
