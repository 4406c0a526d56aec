package providertest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// noSecretShown gathers everything that can be printed while calls succeed,
// fail, break and are echoed back, and looks for the credentials in it.
func (s suite) noSecretShown(t *testing.T) {
	shown := &transcript{}
	r := s.rig(t, rigOptions{logger: slog.New(slog.NewJSONHandler(shown, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	shown.add(r.provider)
	shown.add(r.provider.Traits())
	for _, x := range append(troubles(), trouble{}, trouble{fault: simulator.Fault{Mode: simulator.Decline}}) {
		q := r.request()
		if x.fault.Mode != "" {
			x.fault.Times = 1
			r.fault(x.fault)
		}
		r.show(shown, r.provider, q)
	}
	for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusInternalServerError} {
		q := r.request()
		r.front.answer(r.echo(q, status, shown))
		r.show(shown, r.provider, q)
		r.front.instead.Store(nil)
	}
	r.show(shown, s.Provider(t, deadAddress, providers.NewClient(nil)), r.request())
	shown.add(r.sim.Base.Calls())
	if !shown.echoed {
		t.Error("no request was echoed: the check proves nothing")
	}
	for _, leak := range shown.leaks(s.Secrets()) {
		t.Error(leak)
	}
}

// show calls, asks and reads, and keeps what comes back.
func (r *rig) show(shown *transcript, p providers.Provider, q providers.Request) {
	shown.add(p.Call(context.Background(), q))
	shown.add(p.QueryStatus(context.Background(), again(q)))
	shown.add(p.Read(context.Background(), q))
}

// echo answers with a refusal that repeats the whole request, credentials and
// all, as a careless provider's error message does.
func (r *rig) echo(q providers.Request, status int, shown *transcript) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, request *http.Request) bool {
		if !r.sim.Moves(request) {
			return false
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return false
		}
		var headers strings.Builder
		_ = request.Header.Write(&headers) // a builder cannot fail
		shown.mu.Lock()
		shown.echoed = true
		shown.mu.Unlock()
		return reply(w, status, string(r.sim.Refusal(q, headers.String()+string(body))))
	}
}

// transcript is everything that was shown; safe for concurrent use.
type transcript struct {
	mu     sync.Mutex
	text   bytes.Buffer
	echoed bool
}

// Write takes log lines.
func (x *transcript) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.text.Write(b)
}

// add keeps a value as every way of printing shows it.
func (x *transcript) add(v any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	fmt.Fprintf(&x.text, "%v\n%+v\n%#v\n", v, v, v)
	if b, err := json.Marshal(v); err == nil {
		x.text.Write(append(b, '\n'))
	}
}

// leaks names the secrets found, plain or in the usual encodings.
func (x *transcript) leaks(secrets []string) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	text := x.text.String()
	var found []string
	if len(text) == 0 {
		found = append(found, "nothing was shown: the check proves nothing")
	}
	for i, secret := range secrets {
		for how, form := range map[string]string{
			"plain": secret, "escaped": url.QueryEscape(secret), "hex": hex.EncodeToString([]byte(secret)),
			"base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
		} {
			if at := strings.Index(text, form); at >= 0 {
				found = append(found, fmt.Sprintf("secret %d is shown (%s) near %q", i, how, around(text, at, secret)))
			}
		}
	}
	return found
}

// around is the text before a leak, the secret itself left out.
func around(text string, at int, secret string) string {
	return strings.ReplaceAll(text[max(0, at-80):at], secret, "***")
}
