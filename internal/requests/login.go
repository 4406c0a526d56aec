package requests

import (
	"encoding/json"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/nats-io/nkeys"
)

// infoHeader is where the server says who asks, on a shared import. It holds the
// user's JWT: it is never logged and never kept.
const infoHeader = "Nats-Request-Info"

// Login returns the login that the server itself names as the sender of a request,
// as "nats:<account>/<public key of the user>"; empty if it names none. nc is the
// connection on which the request came.
//
// The server names the sender of a request that came by a shared import, and writes
// over what the sender may have claimed. Such a request is known by its reply subject:
// the server has put one of its own in place ("_R_."), which it lets no client name.
//
// Of what the server says only what it has verified is believed. It passes the JWT and
// the public key on as the client has sent them, and verifies one of the two: with
// operators the JWT, whose subject then names the user whatever key was claimed, and
// otherwise the key, where the server's configuration has users with keys. It has if
// this connection has logged in by key.
func Login(nc *nats.Conn, r micro.Request) string {
	if !strings.HasPrefix(r.Reply(), "_R_.") {
		return ""
	}
	values := r.Headers()[infoHeader]
	if len(values) != 1 {
		return ""
	}
	var info struct {
		Account string `json:"acc"`
		User    string `json:"user"`
		Kind    string `json:"kind"`
		JWT     string `json:"jwt"`
	}
	if err := json.Unmarshal([]byte(values[0]), &info); err != nil || info.Kind != "Client" {
		return "" // a leaf node has vouched for somebody this server does not know
	}
	user := info.User
	switch {
	case nkeys.IsValidPublicAccountKey(info.Account):
		user = subjectOf(info.JWT, info.Account)
	case info.JWT != "" || nc.Opts.Nkey == "":
		return ""
	}
	if !nkeys.IsValidPublicUserKey(user) || strings.ContainsAny(info.Account, " /\t\r\n") || info.Account == "" {
		return ""
	}
	return "nats:" + info.Account + "/" + user
}

// subjectOf is the user whom an account's token names.
func subjectOf(token, account string) string {
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil || claims.Issuer != account && claims.IssuerAccount != account {
		return ""
	}
	return claims.Subject
}
