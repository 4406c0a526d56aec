package bentosim

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/countermand/countermand/providers/simulator"
)

// TokenOf is the nth token the endpoint gives out, from 1.
func TokenOf(n int) string { return fmt.Sprintf("simulated-bento-access-%06d", n) }

// RevokeTokens ends every token the endpoint has given out.
func (s *Simulator) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.Tokens)
}

// refuse answers a call without a token that is accepted now.
func (s *Simulator) refuse(r *http.Request) (simulator.Reply, bool) {
	if s.options.Forbid {
		return problem(http.StatusForbidden, "Invalid Authorization Credentials"), true
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if bearer && s.accepts(token) {
		return simulator.Reply{}, false
	}
	return problem(http.StatusUnauthorized, "Invalid Authentication Credentials"), true
}

func (s *Simulator) accepts(token string) bool {
	if same(token, s.options.Token) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.Tokens[token]
	return known && s.Now().Before(until)
}

// serveToken gives out tokens for the client's credentials, in the form or as
// basic authentication.
func (s *Simulator) serveToken(w http.ResponseWriter, r *http.Request) {
	body, ok := s.Read(r)
	call := simulator.Call{Operation: opToken, Body: string(body)}
	form, err := url.ParseQuery(string(body))
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, basic := r.BasicAuth(); basic {
		id, _ = url.QueryUnescape(user)         // a bad escape is a bad credential
		secret, _ = url.QueryUnescape(password) // likewise
	}
	oauth := func(status int, code string) {
		s.Refuse(w, call, simulator.JSONReply(status, map[string]string{"error": code}))
	}
	switch {
	case !ok || err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded":
		oauth(http.StatusBadRequest, "invalid_request")
	case form.Get("grant_type") != "client_credentials":
		oauth(http.StatusBadRequest, "unsupported_grant_type")
	case !same(id, s.options.ClientID) || !same(secret, s.options.ClientSecret):
		oauth(http.StatusUnauthorized, "invalid_client")
	default:
		s.Serve(w, r, call, func(simulator.Fault) simulator.Reply { return s.issue() })
	}
}

func (s *Simulator) issue() simulator.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Serial++
	token := TokenOf(s.Serial)
	s.Tokens[token] = s.Now().Add(s.options.TokenLife)
	answer := map[string]any{"access_token": token, "token_type": "Bearer"}
	if !s.options.HideTokenLife {
		answer["expires_in"] = int64(s.options.TokenLife.Seconds())
	}
	return simulator.JSONReply(http.StatusOK, answer)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
