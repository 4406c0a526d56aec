package check

import (
	"slices"
	"strings"
)

// people looks at who may decide: whether two logins can be told from two persons, and
// whether somebody is configured who may do nothing.
func (c *checker) people() {
	second, cfg := len(c.cfg.Desk.SecondPersonAbove) > 0, c.cfg
	switch {
	case second && cfg.Desk.SelfAsserted:
		c.report(Warning, SecondPerson, "desk.selfAsserted", Finding{
			Is: "true, with desk.secondPersonAbove", Want: "false",
			Do: "whoever reaches the server types two names and is two persons: let people log in, and list their logins in the setting people",
		})
	case second && len(cfg.People) == 0:
		c.report(Warning, SecondPerson, "people", Finding{
			Is: "not set, with desk.secondPersonAbove", Want: "each person with all their logins",
			Do: "one person with two logins counts as two if both are of the same kind, and two persons whose logins are of two kinds cannot confirm each other: list them in the setting people",
		})
	case second && len(cfg.People) == 1:
		c.report(Warning, SecondPerson, "people", Finding{
			Is: "one person", Want: "two at least", Do: "what needs a second person can never be decided: list another person",
		})
	}
	if len(cfg.People) > 0 {
		c.strangers()
	}
}

// strangers names those who may decide by another setting and are nobody by the setting
// people, and tokens and users that people list and no setting has.
func (c *checker) strangers() {
	var known, configured []string
	named := c.cfg.Desk.Operator == ""
	for _, p := range c.cfg.People {
		known = append(known, p.Identities...)
		named = named || p.Name == c.cfg.Desk.Operator
	}
	if !named {
		c.report(Warning, SecondPerson, "desk.operator", Finding{
			Is: c.cfg.Desk.Operator + ", nobody in people", Want: "a person's name",
			Do: "whoever uses this configuration is refused at the desk: name a person, or leave it out",
		})
	}
	for _, p := range c.cfg.Console.Operators {
		configured = append(configured, "token:"+p.Name)
	}
	for _, name := range c.cfg.Console.ProxyOperators {
		configured = append(configured, "proxy:"+name)
	}
	for _, login := range configured {
		if !slices.Contains(known, login) {
			c.report(Warning, SecondPerson, login, Finding{
				Is: "nobody's in people", Want: "a login of a person", Do: "this operator of the console can decide nothing: add the login to its person",
			})
		}
	}
	for _, login := range known {
		if !strings.HasPrefix(login, "nats:") && !slices.Contains(configured, login) {
			c.report(Warning, SecondPerson, login, Finding{
				Is: "a login of people and no operator of the console", Want: "both or neither",
				Do: "look for a misspelled name in people, console.operators and console.proxyOperators",
			})
		}
	}
}
