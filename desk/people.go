package desk

import (
	"fmt"
	"strings"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Person is somebody with all the logins that are theirs.
type Person struct {
	Name string
	// Logins are nats:<account>/<public key>, token:<name> or proxy:<name>.
	Logins []string
}

// People says which logins are one person. The zero value, and nil, know nobody: then
// a name alone says who somebody is. Safe for concurrent use.
type People struct {
	names map[string]string // by login
}

// NewPeople returns the people. A name or a login that stands twice is an error, and so
// are two persons' logins that differ in capital letters alone.
func NewPeople(list []Person) (*People, error) {
	p, spelt := &People{names: map[string]string{}}, map[string]string{}
	for i, one := range list {
		for _, other := range list[:i] {
			if sameName(one.Name, other.Name) {
				return nil, fmt.Errorf("people: the name %s stands there twice", one.Name)
			}
		}
		for _, login := range one.Logins {
			if _, taken := p.names[login]; taken {
				return nil, fmt.Errorf("people: the login %s stands there twice", login)
			}
			if other, taken := spelt[strings.ToLower(login)]; taken && other != one.Name {
				return nil, fmt.Errorf("people: the login %s differs from one of %s in capital letters alone", login, other)
			}
			p.names[login], spelt[strings.ToLower(login)] = one.Name, one.Name
		}
	}
	return p, nil
}

// set reports whether anybody is named.
func (p *People) set() bool { return p != nil && len(p.names) > 0 }

// login is what has been authenticated of an operator; empty where nothing has.
func (o Operator) login() string {
	switch {
	case o.Login != "":
		return o.Login
	case o.Identity == IdentityToken, o.Identity == IdentityProxy:
		return string(o.Identity) + ":" + o.Name
	default:
		return ""
	}
}

// Who is the person behind an operator, by the name that this person has. It fails
// (*Error, forbidden) for a login that is nobody's, and for one that acts under the
// name of another.
func (d *Desk) Who(o Operator) (Operator, error) {
	if err := o.check(); err != nil {
		return o, err
	}
	o.Login = o.login()
	if !d.o.People.set() {
		return o, nil
	}
	forbidden := func(format string, args ...any) error {
		return &Error{Fault: FaultForbidden, Message: fmt.Sprintf(format, args...)}
	}
	if o.Login == "" {
		return o, forbidden("nothing says which login this is, and the setting people lists the logins that may act: people log in to an account of their own, which shares who they are with the service")
	}
	name, known := d.o.People.names[o.Login]
	switch {
	case !known:
		return o, forbidden("the login %s is nobody's in the setting people", events.Mask(o.Login))
	case o.Identity == IdentityNATS && o.Name != name:
		return o, forbidden("this login is %s's, who cannot act as %s", name, events.Mask(o.Name))
	}
	o.Name = name
	return o, nil
}

// relation is what two names are to each other.
type relation int

const (
	unclear relation = iota // nothing says whether they are two persons
	samePerson
	anotherPerson
)

// relate compares who proposed with who acts. Where people are named, a proposal
// counts only if its login is the login of the person it names: others are not this
// service's. Where they are not, two names are two persons only if both are known in
// the same way.
func (d *Desk) relate(p payment.OperatorAction, who Operator) relation {
	masked := events.Mask(who.Name)
	if d.o.People.set() {
		name, known := d.o.People.names[p.Login]
		switch {
		case !known || !sameName(events.Mask(name), p.Operator):
			return unclear
		case sameName(p.Operator, masked):
			return samePerson
		default:
			return anotherPerson
		}
	}
	switch {
	case sameName(p.Operator, masked), p.Login != "" && p.Login == events.Mask(who.Login):
		return samePerson
	case p.Identity != string(who.Identity), (p.Login == "") != (who.Login == ""):
		return unclear
	default:
		return anotherPerson
	}
}

// sameName reports whether two names are taken for one person's: "ann" and "Ann " are.
func sameName(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}
