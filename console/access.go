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

// minToken is the minimum length of a token in bytes.
const minToken = 16

// Person may sign in with a token.
type Person struct {
	Name  string
	Token providers.Secret
}

// Access says who may read and who may decide. The zero Access lets nobody in.
type Access struct {
	// Viewers may read, Operators may read and decide. No name is in both lists.
	Viewers, Operators []Person
	// ProxyHeader is the header in which a proxy in front names the person it has
	// authenticated. It counts only if it comes from ProxyFrom. ProxyOperators may
	// decide; everybody else whom the proxy names may read.
	ProxyHeader    string
	ProxyFrom      []netip.Prefix
	ProxyOperators []string
	// Loopback lets visitors over loopback read if nobody can sign in. A proxy on this
	// machine is such a visitor, whoever is behind it.
	Loopback bool
	// Local is the name of the operator that a visitor over loopback counts as if
	// nobody can sign in. Only for a service with simulated providers.
	Local string
}

// configured reports whether there is a way to sign in.
func (a Access) configured() bool {
	return len(a.Viewers)+len(a.Operators) > 0 || a.ProxyHeader != ""
}

// open reports whether visitors over loopback may read.
func (a Access) open() bool { return !a.configured() && (a.Loopback || a.Local != "") }

// verify returns the first fault of the settings.
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

// visitor is the person a request comes from.
type visitor struct {
	name     string // empty: a reader over loopback who has no name
	operator bool
	session  bool // signed in with a token, so may sign out
	identity desk.Identity
}

// local is the visitor over loopback if nobody can sign in.
func (a Access) local() visitor {
	return visitor{name: a.Local, operator: a.Local != "", identity: desk.IdentityAsserted}
}

// byToken finds the person with this token. It compares with every token, each in
// constant time, so that the time of the answer reveals nothing.
func (a Access) byToken(token string) (name string, sum [sha256.Size]byte, ok bool) {
	sum = sha256.Sum256([]byte(token))
	for _, p := range slices.Concat(a.Viewers, a.Operators) {
		if of, known := hashOf(p); known && subtle.ConstantTimeCompare(sum[:], of[:]) == 1 {
			name, ok = p.Name, true
		}
	}
	return name, sum, ok
}

// still returns the visitor of a session as configured now. It returns false if
// the person is not configured any more or has another token.
func (a Access) still(s session) (visitor, bool) {
	for i, p := range slices.Concat(a.Operators, a.Viewers) {
		if p.Name == s.name {
			of, known := hashOf(p)
			return visitor{name: p.Name, operator: i < len(a.Operators), session: true, identity: desk.IdentityToken}, known && of == s.token
		}
	}
	return visitor{}, false
}

// hashOf is the hash of a person's current token. It is false for a token that is
// too short, which a file may hold in the middle of a rotation.
func hashOf(p Person) ([sha256.Size]byte, bool) {
	token := p.Token.Reveal()
	return sha256.Sum256([]byte(token)), len(token) >= minToken
}

// byProxy is the visitor whom the proxy in front names.
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

// presentable reports whether an audit event can hold the name: 1 to 64 printable
// ASCII characters without space.
func presentable(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' })
}

// atHome reports whether a request came over loopback and names a loopback host.
// The address alone is not enough: a foreign page can let its own host name resolve
// to 127.0.0.1 and read the console through the visitor's browser.
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
