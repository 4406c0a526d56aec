package check_test

import (
	"testing"

	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers"
)

func TestAConfigurationInWhichTwoPersonsCannotBeToldApartIsAWarning(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	b.cfg.Desk.SecondPersonAbove = []config.Amount{{Value: 1, Currency: "EUR"}}
	want(t, b.findings(nil), line{check.Warning, check.SecondPerson, "people"})
	b.cfg.Desk.SelfAsserted = true
	want(t, b.findings(nil), line{check.Warning, check.SecondPerson, "desk.selfAsserted"})
	b.cfg.Desk.SelfAsserted = false
	token := providers.NewSecret("0123456789abcdef")
	b.cfg.Console.Operators = []config.Person{{Name: "olaf", Token: token}, {Name: "ben", Token: token}}
	b.cfg.Console.ProxyOperators = []string{"olaf@shop"}
	b.cfg.People = []config.Identified{{Name: "olaf", Identities: []string{"token:olaf", "proxy:olaf@shop"}}}
	want(
		t, b.findings(nil), line{check.Warning, check.SecondPerson, "people"}, line{check.Warning, check.SecondPerson, "token:ben"},
	)
	b.cfg.People = append(b.cfg.People, config.Identified{Name: "ben", Identities: []string{"token:bne", "token:ben"}})
	want(t, b.findings(nil), line{check.Warning, check.SecondPerson, "token:bne"})
	b.cfg.People[1].Identities = []string{"token:ben"}
	want(t, b.findings(nil))
	b.cfg.Desk.Operator = "anna"
	want(t, b.findings(nil), line{check.Warning, check.SecondPerson, "desk.operator"})
	b.cfg.Desk.Operator = "ben"
	want(t, b.findings(nil))
	b.cfg.Desk.SecondPersonAbove, b.cfg.People = nil, nil
	want(t, b.findings(nil))
}

func TestASecretThatOthersCanReadOrReplaceIsAWarning(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	b.cfg.Exposed = []config.Exposed{{Setting: "providers[0].secretKey", Mode: 0o666}, {Setting: "nats.nkey", Mode: 0o777, Folder: true}}
	want(t, b.findings(nil), line{check.Warning, check.SecretFile, "providers[0].secretKey"}, line{check.Warning, check.SecretFile, "nats.nkey"})
}

func TestASecretInQuotesIsAWarning(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	b.cfg.Quoted = []string{"providers[0].secretKey"}
	want(t, b.findings(nil), line{check.Warning, check.SecretQuoted, "providers[0].secretKey"})
}
