package bento

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// A token is renewed this long before its end, or after nine tenths of a short life.
const renewBefore = time.Minute

// maxLife bounds what a token endpoint may say of a token's life.
const maxLife = 24 * time.Hour

// tokens supplies the bearer token of every call: a configured one, or one
// fetched with the client's credentials and kept until shortly before its end
// or until it is refused. Safe for concurrent use; whatever the number of
// callers, one fetch is under way at a time and all of them share its end.
type tokens struct {
	settings Settings
	client   *providers.Client

	mu      sync.Mutex
	current string
	until   time.Time // zero: its life is not known
	fetch   *fetch    // under way, or nil
}

// fetch is one request for a token. token and failure are set before done is closed.
type fetch struct {
	done    chan struct{}
	token   string
	failure payment.Outcome
}

// get returns the token to use now. Without one, the outcome says why; it is
// never more than not executed, because the call itself has not been sent.
func (t *tokens) get(ctx context.Context) (string, payment.Outcome, bool) {
	if t.settings.TokenURL == "" {
		token := t.settings.Token.Reveal()
		return token, notAccepted("not sent: the configured token is empty or no token"), sendable(token)
	}
	t.mu.Lock()
	if t.current != "" && (t.until.IsZero() || t.client.Now().Before(t.until)) {
		defer t.mu.Unlock()
		return t.current, payment.Outcome{}, true
	}
	f, mine := t.fetch, t.fetch == nil
	if mine {
		f = &fetch{done: make(chan struct{})}
		t.fetch = f
	}
	t.mu.Unlock()
	if mine {
		t.run(ctx, f)
	}
	select {
	case <-f.done:
		return f.token, f.failure, f.token != ""
	case <-ctx.Done():
		return "", tokenFailure("not sent: given up while waiting for a token"), false
	}
}

// refused drops a token the provider did not accept, unless a newer one is
// kept already. The next call fetches anew; this one is not sent again.
func (t *tokens) refused(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == token {
		t.current = ""
	}
}

// run fetches a token and hands its end to all who wait.
func (t *tokens) run(ctx context.Context, f *fetch) {
	asked := t.client.Now() // a token's life counts from before it was made
	var life time.Duration
	f.token, life, f.failure = t.request(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fetch = nil
	t.current, t.until = f.token, time.Time{}
	if life > 0 {
		t.until = asked.Add(max(life*9/10, life-renewBefore))
	}
	close(f.done)
}

// request sends one token request and reads its answer:
//
//	| Answer                                     | Then                                       |
//	|--------------------------------------------|--------------------------------------------|
//	| none, 429, 5xx, anything else not below    | not executed, provider_unavailable         |
//	| 400, 401, 403                              | not executed, provider_authentication      |
//	| 200 with a bearer token that can be sent   | a token, for expires_in seconds where given |
//	| 200 with anything else                     | not executed, provider_unavailable         |
func (t *tokens) request(ctx context.Context) (string, time.Duration, payment.Outcome) {
	a := t.client.Do(ctx, t.call())
	switch {
	case a.Err == nil && (a.Status == http.StatusBadRequest || a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden):
		return "", 0, notAccepted("not sent: the token endpoint does not accept the client's credentials")
	case a.Err != nil || a.Status != http.StatusOK:
		o := tokenFailure(a.Cause.Because("not sent: the token endpoint gave no token"))
		o.RetryAfter = a.RetryAfter
		return "", 0, o
	}
	var body struct {
		AccessToken string         `json:"access_token"`
		TokenType   string         `json:"token_type"`
		ExpiresIn   providers.Text `json:"expires_in"`
	}
	err := providers.DecodeJSON(a.Body, &body)
	if err != nil || !sendable(body.AccessToken) || !strings.EqualFold(body.TokenType, "bearer") {
		return "", 0, tokenFailure("not sent: the token endpoint's answer holds no bearer token")
	}
	seconds, _ := body.ExpiresIn.Int() // absent or unreadable: until it is refused
	life := time.Duration(min(max(seconds, 0), int64(maxLife/time.Second))) * time.Second
	return body.AccessToken, life, payment.Outcome{}
}

// call is the request of RFC 6749, section 4.4.2.
func (t *tokens) call() providers.Call {
	secret := t.settings.ClientSecret.Reveal()
	form := url.Values{"grant_type": {"client_credentials"}}
	request := http.Request{Header: http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"},
	}}
	secrets := []providers.Secret{providers.NewSecret(secret)}
	if t.settings.TokenAuth == TokenAuthBasic {
		request.SetBasicAuth(url.QueryEscape(t.settings.ClientID), url.QueryEscape(secret))
		_, encoded, _ := strings.Cut(request.Header.Get("Authorization"), " ")
		secrets = append(secrets, providers.NewSecret(encoded))
	} else {
		form.Set("client_id", t.settings.ClientID)
		form.Set("client_secret", secret)
	}
	return providers.Call{
		Method: http.MethodPost, URL: t.settings.TokenURL, Header: request.Header,
		Body: []byte(form.Encode()), Secrets: secrets,
	}
}

// sendable reports whether a token can stand in a header (RFC 6750, section 2.1).
func sendable(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' })
}

// notAccepted is a refusal that speaks of the credentials, not of the payment.
func notAccepted(message string) payment.Outcome {
	return payment.Outcome{
		Result: payment.NotExecuted, Code: payment.CodeProviderAuthentication, Unhealthy: true, Message: message,
	}
}

// tokenFailure: no token could be had, so nothing was sent.
func tokenFailure(message string) payment.Outcome {
	return payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeProviderUnavailable, Message: message}
}
