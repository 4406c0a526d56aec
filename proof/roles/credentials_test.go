package roles_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/conf"
	"github.com/nats-io/nkeys"
)

// credentials logs in with a .creds file: an operator signs the accounts, an
// account its users. The tokens say what the files say: they are made from them.
type credentials struct {
	t        *testing.T
	dir      string
	operator nkeys.KeyPair
	accounts map[string]nkeys.KeyPair
	private  map[string]bool // subjects that are exported to named accounts only
	tokens   []string        // of the accounts, for the server
	system   string
}

func byCredentials(t *testing.T, layout string) *credentials {
	t.Helper()
	c := &credentials{t: t, dir: t.TempDir(), operator: must(nkeys.CreateOperator())(t), accounts: map[string]nkeys.KeyPair{}, private: map[string]bool{}}
	c.accounts["SYS"], c.accounts["PAYMENTS"] = must(nkeys.CreateAccount())(t), must(nkeys.CreateAccount())(t)
	for _, p := range parties() {
		if !p.inPayments() {
			c.accounts[p.account()] = must(nkeys.CreateAccount())(t)
		}
	}
	c.system = c.public("SYS")
	c.account("SYS", nil)
	c.account("PAYMENTS", c.parse(layout, "exports.conf"))
	for _, p := range parties() {
		role := c.parse(layout, p.file)
		account, allowed := "PAYMENTS", role["permissions"]
		if !p.inPayments() {
			account, allowed = p.account(), role["default_permissions"]
			c.account(account, role)
		}
		c.user(p, account, allowed, time.Time{})
	}
	return c
}

// expiring gives a party in PAYMENTS credentials that end in a moment.
func (c *credentials) expiring(p party, layout string) {
	c.t.Helper()
	c.user(p, "PAYMENTS", c.parse(layout, p.file)["permissions"], time.Now().Add(2*time.Second))
}

func must[V any](v V, err error) func(*testing.T) V {
	return func(t *testing.T) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (c *credentials) parse(layout, file string) map[string]any {
	c.t.Helper()
	return must(conf.ParseFile(filepath.Join(layout, "permissions", file)))(c.t)
}

func (c *credentials) public(account string) string {
	return must(c.accounts[account].PublicKey())(c.t)
}

// account signs an account's token, with the exports and imports of a file.
func (c *credentials) account(name string, role map[string]any) {
	c.t.Helper()
	claims := jwt.NewAccountClaims(c.public(name))
	claims.Name = name
	if name == "PAYMENTS" {
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	}
	c.exports(claims, role)
	c.imports(claims, name, role)
	mapped, _ := role["mappings"].(map[string]any)
	for from, to := range mapped {
		claims.Mappings[jwt.Subject(from)] = []jwt.WeightedMapping{{Subject: jwt.Subject(text(to))}}
	}
	results := jwt.CreateValidationResults()
	claims.Validate(results)
	if err := results.Errors(); len(err) > 0 {
		c.t.Fatal(err)
	}
	c.tokens = append(c.tokens, fmt.Sprintf("  %s: %s", c.public(name), must(claims.Encode(c.operator))(c.t)))
}

// exports are what an account offers. One that the file keeps for named accounts needs
// an activation token.
func (c *credentials) exports(claims *jwt.AccountClaims, role map[string]any) {
	for _, e := range list(role["exports"]) {
		subject, kind := kindOf(e, text)
		export := &jwt.Export{Name: subject, Subject: jwt.Subject(subject), Type: kind, TokenReq: e["accounts"] != nil}
		if text(e["response_type"]) == "Stream" {
			export.ResponseType = jwt.ResponseTypeStream
		}
		claims.Exports.Add(export)
		if export.TokenReq {
			c.private[subject] = true
		}
	}
}

func (c *credentials) imports(claims *jwt.AccountClaims, name string, role map[string]any) {
	c.t.Helper()
	for _, i := range list(role["imports"]) {
		from, kind := kindOf(i, func(v any) map[string]any { m, _ := v.(map[string]any); return m })
		subject := jwt.Subject(text(from["subject"]))
		taken := &jwt.Import{
			Name: string(subject), Subject: subject, Account: c.public(text(from["account"])), Type: kind,
			LocalSubject: renaming(subject, text(i["to"])),
		}
		if c.private[string(subject)] {
			activation := jwt.NewActivationClaims(c.public(name))
			activation.Name, activation.ImportSubject, activation.ImportType = string(subject), subject, kind
			taken.Token = must(activation.Encode(c.accounts["PAYMENTS"]))(c.t)
		}
		claims.Imports.Add(taken)
	}
}

// kindOf tells services from streams.
func kindOf[V any](entry map[string]any, read func(any) V) (V, jwt.ExportType) {
	if stream, ok := entry["stream"]; ok {
		return read(stream), jwt.Stream
	}
	return read(entry["service"]), jwt.Service
}

// renaming is a local subject as a token says it: wildcards by their number.
func renaming(subject jwt.Subject, to string) jwt.RenamingSubject {
	if to == "" {
		return ""
	}
	n := 0
	tokens := strings.Split(to, ".")
	for i, token := range tokens {
		if token == "*" {
			n++
			tokens[i] = fmt.Sprintf("$%d", n)
		}
	}
	return jwt.RenamingSubject(strings.Join(tokens, "."))
}

// user writes a party's .creds file; a zero time means that it never expires.
func (c *credentials) user(p party, account string, allowed any, until time.Time) {
	c.t.Helper()
	pair := must(nkeys.CreateUser())(c.t)
	claims := jwt.NewUserClaims(must(pair.PublicKey())(c.t))
	claims.Name = p.name
	if !until.IsZero() {
		claims.Expires = until.Unix()
	}
	rules, _ := allowed.(map[string]any)
	for name, permission := range map[string]*jwt.Permission{"publish": &claims.Pub, "subscribe": &claims.Sub} {
		rule, _ := rules[name].(map[string]any)
		subjects, _ := rule["allow"].([]any)
		for _, s := range subjects {
			permission.Allow.Add(text(s))
		}
	}
	if answers, ok := rules["allow_responses"].(map[string]any); ok {
		claims.Resp = &jwt.ResponsePermission{MaxMsgs: int(answers["max"].(int64)), Expires: must(time.ParseDuration(text(answers["expires"])))(c.t)}
	}
	token := must(claims.Encode(c.accounts[account]))(c.t)
	file := must(jwt.FormatUserConfig(token, must(pair.Seed())(c.t)))(c.t)
	write(c.t, c.file(p), string(file))
}

func (c *credentials) file(p party) string { return filepath.Join(c.dir, p.name+".creds") }

// configuration is the server's: in this mode the tokens say who may do what.
func (c *credentials) configuration() string {
	claims := jwt.NewOperatorClaims(must(c.operator.PublicKey())(c.t))
	claims.Name, claims.SystemAccount = "test", c.system
	return fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {\n%s\n}\n",
		must(claims.Encode(c.operator))(c.t), c.system, strings.Join(c.tokens, "\n"))
}

func (c *credentials) client(p party, url string) string {
	return fmt.Sprintf("{url: %q, replicas: 1, credentials: {file: %q}}", url, c.file(p))
}

func list(v any) []map[string]any {
	items, _ := v.([]any)
	var all []map[string]any
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
