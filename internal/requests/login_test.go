package requests_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/nats-io/nkeys"

	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/internal/requests"
)

// subject is the one that the service answers, and the people's account imports.
const subject = "payments.desk.queue.olaf"

// keys are a user's.
type keys struct {
	nkeys.KeyPair

	public string
	token  string // the user's JWT; empty: logs in by key alone
}

func pair(t *testing.T, create func() (nkeys.KeyPair, error)) keys {
	t.Helper()
	k, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return keys{KeyPair: k, public: public}
}

// options log the user in.
func (k keys) options() []nats.Option {
	if k.token != "" {
		return []nats.Option{nats.UserJWT(func() (string, error) { return k.token, nil }, k.Sign)}
	}
	return []nats.Option{nats.Nkey(k.public, k.Sign)}
}

// bundle is a server with a service in the account PAYMENTS, people who share who
// they are, and strangers who do not.
type bundle struct {
	t                         *testing.T
	url                       string
	service, olaf, ben, other keys
	people                    string // name of the account
}

// byKeys logs in by keys that the server's configuration lists.
func byKeys(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, service: pair(t, nkeys.CreateUser), olaf: pair(t, nkeys.CreateUser), ben: pair(t, nkeys.CreateUser), other: pair(t, nkeys.CreateUser), people: "PEOPLE"}
	dir := t.TempDir()
	s := natstest.StartConfigured(t, filepath.Join(dir, "nats.conf"), fmt.Sprintf(`
listen: "127.0.0.1:-1"
accounts: {
  PAYMENTS: {users: [{nkey: %s}], exports: [{service: "payments.desk.*.*"}]}
  PEOPLE: {users: [{nkey: %s}, {nkey: %s}, {user: eve, password: eve}], imports: [{service: {account: PAYMENTS, subject: "payments.desk.*.*"}, share: true}]}
  STRANGERS: {users: [{nkey: %s}], imports: [{service: {account: PAYMENTS, subject: "payments.desk.*.*"}}]}
}`, b.service.public, b.olaf.public, b.ben.public, b.other.public))
	b.url = s.ClientURL()
	return b
}

// byTokens logs in by JWTs that an operator's accounts have signed.
func byTokens(t *testing.T) *bundle {
	t.Helper()
	operator, system := pair(t, nkeys.CreateOperator), pair(t, nkeys.CreateAccount)
	accounts := map[string]keys{"PAYMENTS": pair(t, nkeys.CreateAccount), "PEOPLE": pair(t, nkeys.CreateAccount), "STRANGERS": pair(t, nkeys.CreateAccount)}
	preload := fmt.Sprintf("  %s: %s\n", system.public, encoded(t, operator, jwt.NewAccountClaims(system.public)))
	for name, account := range accounts {
		claims := jwt.NewAccountClaims(account.public)
		if name == "PAYMENTS" {
			claims.Exports.Add(&jwt.Export{Name: "desk", Subject: "payments.desk.*.*", Type: jwt.Service})
		} else {
			claims.Imports.Add(&jwt.Import{Name: "desk", Subject: "payments.desk.*.*", Account: accounts["PAYMENTS"].public, Type: jwt.Service, Share: name == "PEOPLE"})
		}
		preload += fmt.Sprintf("  %s: %s\n", account.public, encoded(t, operator, claims))
	}
	user := func(account string) keys {
		k := pair(t, nkeys.CreateUser)
		k.token = encoded(t, accounts[account], jwt.NewUserClaims(k.public))
		return k
	}
	b := &bundle{t: t, service: user("PAYMENTS"), olaf: user("PEOPLE"), ben: user("PEOPLE"), other: user("STRANGERS"), people: accounts["PEOPLE"].public}
	claims := jwt.NewOperatorClaims(operator.public)
	claims.SystemAccount = system.public
	s := natstest.StartConfigured(t, filepath.Join(t.TempDir(), "nats.conf"), fmt.Sprintf(
		"listen: \"127.0.0.1:-1\"\noperator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {\n%s}\n", encoded(t, operator, claims), system.public, preload,
	))
	b.url = s.ClientURL()
	return b
}

func encoded(t *testing.T, by keys, claims interface {
	Encode(kp nkeys.KeyPair) (string, error)
},
) string {
	t.Helper()
	token, err := claims.Encode(by.KeyPair)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (b *bundle) connect(k keys) *nats.Conn {
	b.t.Helper()
	nc, err := nats.Connect(b.url, k.options()...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(nc.Close)
	return nc
}

// serve answers each request with the login it is taken to come from.
func (b *bundle) serve() {
	b.t.Helper()
	nc := b.connect(b.service)
	s, err := requests.New(nc, requests.Kind{Name: "desk", Description: "says who asks", AtOnce: 4, For: time.Minute}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			b.t.Error(err)
		}
	})
	err = s.Endpoint("queue", "payments.desk.queue.*", requests.Handler{Handle: func(_ context.Context, r micro.Request) func() {
		login := requests.Login(nc, r)
		return func() {
			if err := r.Respond([]byte("login=" + login)); err != nil {
				b.t.Error(err)
			}
		}
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		b.t.Fatal(err)
	}
}

// asks returns who a request is taken to come from.
func (b *bundle) asks(nc *nats.Conn, header nats.Header) string {
	b.t.Helper()
	m, err := nc.RequestMsgWithContext(b.t.Context(), &nats.Msg{Subject: subject, Header: header})
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimPrefix(string(m.Data), "login=")
}

// claim is what an attacker writes into the header that the server writes.
func (b *bundle) claim() nats.Header {
	b.t.Helper()
	info, err := json.Marshal(map[string]string{"acc": b.people, "user": b.olaf.public, "kind": "Client", "jwt": b.olaf.token})
	if err != nil {
		b.t.Fatal(err)
	}
	return nats.Header{"Nats-Request-Info": {string(info)}}
}

func TestTheServerSaysWhoAsksAndNobodyElseDoes(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) *bundle{"by keys": byKeys, "by tokens": byTokens} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			b.serve()
			olaf, ben := "nats:"+b.people+"/"+b.olaf.public, "nats:"+b.people+"/"+b.ben.public
			for what, c := range map[string]struct {
				by     keys
				header nats.Header
				want   string
			}{
				"on a shared import":                          {b.olaf, nil, olaf},
				"on a shared import, another":                 {b.ben, nil, ben},
				"on a shared import, claiming to be another":  {b.ben, b.claim(), ben},
				"on an import that shares nothing":            {b.other, nil, ""},
				"on an import that shares nothing, claiming":  {b.other, b.claim(), ""},
				"in the account of the service":               {b.service, nil, ""},
				"in the account of the service, and claiming": {b.service, b.claim(), ""},
			} {
				if got := b.asks(b.connect(c.by), c.header); got != c.want {
					t.Errorf("%s: taken for %q, want %q", what, got, c.want)
				}
			}
		})
	}
}

// wire speaks the protocol as no client library does.
type wire struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	info struct {
		Nonce string `json:"nonce"`
	}
}

func (b *bundle) dial() *wire {
	b.t.Helper()
	u, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(b.t.Context(), "tcp", u.Host)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	w := &wire{t: b.t, conn: conn, in: bufio.NewReader(conn)}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(w.line(), "INFO ")), &w.info); err != nil {
		b.t.Fatal(err)
	}
	return w
}

func (w *wire) line() string {
	w.t.Helper()
	if err := w.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	line, err := w.in.ReadString('\n')
	if err != nil {
		w.t.Fatalf("read from the server: %v, after %q", err, line)
	}
	return strings.TrimSpace(line)
}

func (w *wire) write(s string) {
	w.t.Helper()
	if _, err := w.conn.Write([]byte(s)); err != nil {
		w.t.Fatal(err)
	}
}

// login signs the server's nonce and sends what a client claims of itself.
func (w *wire) login(k keys, more map[string]any) (answer string) {
	w.t.Helper()
	options := map[string]any{"verbose": false, "pedantic": false, "headers": true, "protocol": 1}
	if k.KeyPair != nil {
		sum, err := k.Sign([]byte(w.info.Nonce))
		if err != nil {
			w.t.Fatal(err)
		}
		options["sig"] = base64.RawURLEncoding.EncodeToString(sum)
	}
	for name, value := range more {
		options[name] = value
	}
	text, err := json.Marshal(options)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("CONNECT " + string(text) + "\r\nPING\r\n")
	return w.line()
}

// asks sends a request and returns the login that it is taken to come from, or what
// the server says instead.
func (w *wire) asks(reply string) string {
	w.t.Helper()
	w.write("SUB " + reply + " 1\r\nPUB " + subject + " " + reply + " 0\r\n\r\nPING\r\n")
	for {
		switch line := w.line(); {
		case strings.HasPrefix(line, "MSG "):
			return strings.TrimPrefix(w.line(), "login=")
		case strings.HasPrefix(line, "-ERR"):
			return line
		}
	}
}

func TestAClaimOfTheClientThatTheServerDoesNotVerifyIsNotBelieved(t *testing.T) {
	t.Parallel()
	tokens, byKey := byTokens(t), byKeys(t)
	tokens.serve()
	byKey.serve()
	// With operators the server passes a key on that it has not verified.
	w := tokens.dial()
	if said := w.login(tokens.ben, map[string]any{"jwt": tokens.ben.token, "nkey": tokens.olaf.public}); said != "PONG" {
		t.Fatalf("the server says %s", said)
	}
	if got, want := w.asks("_INBOX.a"), "nats:"+tokens.people+"/"+tokens.ben.public; got != want {
		t.Errorf("a key of another beside its own token: taken for %q, want %q", got, want)
	}
	// Without operators it verifies the key, and no token.
	w = byKey.dial()
	if said := w.login(byKey.ben, map[string]any{"nkey": byKey.ben.public, "jwt": tokens.olaf.token}); said != "PONG" {
		t.Fatalf("the server says %s", said)
	}
	if got := w.asks("_INBOX.a"); got != "" && got != "nats:PEOPLE/"+byKey.ben.public {
		t.Errorf("a token that nobody has verified: taken for %q", got)
	}
	// A user with a password, who claims a key.
	w = byKey.dial()
	if said := w.login(keys{}, map[string]any{"user": "eve", "pass": "eve", "nkey": byKey.olaf.public}); !strings.HasPrefix(said, "-ERR 'Authorization Violation'") {
		t.Errorf("a key without its signature: the server says %s", said)
	}
	w = byKey.dial()
	if said := w.login(keys{}, map[string]any{"user": "eve", "pass": "eve"}); said != "PONG" {
		t.Fatalf("the server says %s", said)
	}
	if got := w.asks("_INBOX.a"); got != "" {
		t.Errorf("a user with a password has no key: taken for %q", got)
	}
	// The reply by which the server's word is known is nobody's to name.
	w = byKey.dial()
	if said := w.login(byKey.service, map[string]any{"nkey": byKey.service.public}); said != "PONG" {
		t.Fatalf("the server says %s", said)
	}
	if got := w.asks("_R_.a"); !strings.HasPrefix(got, "-ERR 'Permissions Violation for Publish with Reply") {
		t.Errorf("a reply of the server's own: %q", got)
	}
}

// A server whose users all have passwords passes any key on.
func TestWithoutUsersThatHaveKeysNoKeyIsBelieved(t *testing.T) {
	t.Parallel()
	b := &bundle{t: t, olaf: pair(t, nkeys.CreateUser), people: "PEOPLE"}
	s := natstest.StartConfigured(t, filepath.Join(t.TempDir(), "nats.conf"), `
listen: "127.0.0.1:-1"
accounts: {
  PAYMENTS: {users: [{user: service, password: service}], exports: [{service: "payments.desk.*.*"}]}
  PEOPLE: {users: [{user: eve, password: eve}], imports: [{service: {account: PAYMENTS, subject: "payments.desk.*.*"}, share: true}]}
}`)
	b.url = strings.Replace(s.ClientURL(), "nats://", "nats://service:service@", 1)
	nc, err := nats.Connect(b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	seen := make(chan nats.Header, 1)
	if _, err := nc.Subscribe("payments.desk.queue.*", func(m *nats.Msg) {
		seen <- m.Header
		_ = m.Respond([]byte("login=" + requests.Login(nc, request{m})))
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	b.url = s.ClientURL()
	w := b.dial()
	if said := w.login(keys{}, map[string]any{"user": "eve", "pass": "eve", "nkey": b.olaf.public}); said != "PONG" {
		t.Fatalf("the server says %s", said)
	}
	if got := w.asks("_INBOX.a"); got != "" {
		t.Errorf("taken for %q", got)
	}
	if said := (<-seen).Get("Nats-Request-Info"); !strings.Contains(said, b.olaf.public) {
		t.Errorf("the server does not pass the claim on any more, so this test shows nothing: %s", said)
	}
}

// request is a message as the micro library hands it over.
type request struct{ m *nats.Msg }

func (r request) Respond([]byte, ...micro.RespondOpt) error               { return nil }
func (r request) RespondJSON(any, ...micro.RespondOpt) error              { return nil }
func (r request) Error(string, string, []byte, ...micro.RespondOpt) error { return nil }
func (r request) Data() []byte                                            { return r.m.Data }
func (r request) Headers() micro.Headers                                  { return micro.Headers(r.m.Header) }
func (r request) Subject() string                                         { return r.m.Subject }
func (r request) Reply() string                                           { return r.m.Reply }
