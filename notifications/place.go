package notifications

import (
	"net/url"
	"strings"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// prefix is the first segment of every address.
const prefix = "notifications"

// maxIdentifier is the longest identifier a command can carry, in bytes.
const maxIdentifier = 64

// place is what the address says. Nobody has signed it: it only says where to
// look for what the notification names.
type place struct {
	provider string
	native   string // of the payment; empty: not named
	ok       bool
}

// placeOf reads the path as it was sent. The provider's name is not decoded: it
// has no letter that would need it. The payment's identifier is
// percent-encoded, so that a slash in it is none of the path.
func placeOf(escapedPath string) place {
	segments := strings.Split(strings.TrimPrefix(escapedPath, "/"), "/")
	if len(segments) < 2 || len(segments) > 3 || segments[0] != prefix {
		return place{}
	}
	p := place{provider: segments[1], ok: true}
	if len(segments) == 3 {
		native, err := url.PathUnescape(segments[2])
		p.native, p.ok = native, err == nil && identifier(native)
	}
	return p
}

// payment is the one to look for; false: there is none that could be.
//
//	| The notification names | and the address | Looked for                                      |
//	|------------------------|-----------------|-------------------------------------------------|
//	| the payment            | the same, or none | the payment                                   |
//	| the payment            | another one     | nothing                                         |
//	| a reference only       | a payment       | that payment, and in it what has the reference  |
//	| a reference only       | none            | the payment of that name: it may be the payment's own |
func (p place) payment(n providers.Notification) (payment.ID, bool) {
	native := n.Native
	switch {
	case native == "" && p.native != "":
		native = p.native
	case native == "":
		native = n.Reference
	case p.native != "" && p.native != native:
		return payment.ID{}, false
	}
	return payment.ID{Provider: p.provider, Native: native}, identifier(native)
}

// identifier reports whether a text can name a payment: printable ASCII without
// space, as in commands.
func identifier(text string) bool {
	return text != "" && len(text) <= maxIdentifier && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
}
