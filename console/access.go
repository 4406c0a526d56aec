package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/providers"
)

// minToken is the length of a token at least, in bytes.
const minToken = 16

// Person may sign in with a token.
type Person struct {
	Name  string
	Token providers.Secret
}

// Access says who may read and who may decide. With nothing set, whoever comes
// over loopback may read, and nobody else gets in.
type Access struct {
	// Viewers may read, Operators read and decide. A name stands in one of them.
	Viewers, Operators []Person
	// ProxyHeader names the header in which a proxy in front says who it has
	// authenticated; believed from ProxyFrom only. ProxyOperators are those who
	// may decide; everybody else the proxy names may read.
	ProxyHeader    string
	ProxyFrom      []netip.Prefix
	ProxyOperators []string
	// Local is who a visitor over loopback is where nobody can sign in: an
	// operator by that name. Only for a service with simulated providers.
	Local string
}

// configured reports whether anybody can prove who they are.
func (a Access) configured() bool {
	return len(a.Viewers)+len(a.Operators) > 0 || a.ProxyHeader != ""
}

// verify returns what is wrong with it.
func (a Access) verify() error {
	seen := map[string]bool{}
	for _, p := range slices.Concat(a.Viewers, a.Operators) {
		switch {
		case p.Name == "" || seen[p.Name]:
			return fmt.Errorf("console: the name %q stands there twice or is empty", p.Name)
		case len(p.Token.Reveal()) < minToken:
			return fmt.Errorf("console: the token of %s is shorter than %d characters", p.Name, minToken)
		}
		seen[p.Name] = true
	}
	if a.ProxyHeader != "" && len(a.ProxyFrom) == 0 {
		return errors.New("console: a proxy's header needs the addresses it is believed from")
	}
	return nil
}

// visitor is who a request comes from.
type visitor struct {
	name     string // empty: a reader without a name, over loopback
	operator bool
	session  bool // signed in here, so may sign out
	identity desk.Identity
}

// local is the visitor of a service where nobody can sign in.
func (a Access) local() visitor {
	return visitor{name: a.Local, operator: a.Local != "", identity: desk.IdentityAsserted}
}

// byToken finds whose token it is. All are compared, each in constant time, so
// that the answer's time tells nothing.
func (a Access) byToken(token string) (name string, sum [sha256.Size]byte, ok bool) {
	sum = sha256.Sum256([]byte(token))
	for _, p := range slices.Concat(a.Viewers, a.Operators) {
		if of, known := hashOf(p); known && subtle.ConstantTimeCompare(sum[:], of[:]) == 1 {
			name, ok = p.Name, true
		}
	}
	return name, sum, ok
}

// still returns who a session's person is now; false if they are no longer
// there or their token is another.
func (a Access) still(s session) (visitor, bool) {
	for i, p := range slices.Concat(a.Operators, a.Viewers) {
		if p.Name == s.name {
			of, known := hashOf(p)
			return visitor{name: p.Name, operator: i < len(a.Operators), session: true, identity: desk.IdentityToken}, known && of == s.token
		}
	}
	return visitor{}, false
}

// hashOf is the hash of a person's token as it is now; too short a one, as a
// file may hold in the middle of a rotation, is nobody's.
func hashOf(p Person) ([sha256.Size]byte, bool) {
	token := p.Token.Reveal()
	return sha256.Sum256([]byte(token)), len(token) >= minToken
}

// byProxy is who the proxy in front says it is.
func (a Access) byProxy(r *http.Request) (visitor, bool) {
	if a.ProxyHeader == "" {
		return visitor{}, false
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	believed := err == nil && slices.ContainsFunc(a.ProxyFrom, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) })
	names := r.Header.Values(a.ProxyHeader)
	if !believed || len(names) != 1 || !presentable(names[0]) {
		return visitor{}, false
	}
	return visitor{name: names[0], operator: slices.Contains(a.ProxyOperators, names[0]), identity: desk.IdentityProxy}, true
}

// presentable accepts a name that can stand in an audit: 1 to 64 printable ASCII
// characters without space.
func presentable(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

// atHome reports a request that came over loopback and was addressed to it. The
// address alone would not do: a page elsewhere can have its own name resolve to
// 127.0.0.1 and read from there as if it were us.
func atHome(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().Unmap().IsLoopback() && loopbackHost(r.Host)
}

func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return providers.Loopback(strings.Trim(host, "[]"))
}
