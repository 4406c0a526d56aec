package notifications_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermand/countermand/notifications"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/tranzzo"
)

const (
	egKey    = "OPAYPRV-eg"
	ngKey    = "OPAYPRV-ng"
	uaSecret = "tranzzo-secret-of-two-points-of-sale"
	uaPos    = "pos-1"
	asJSON   = "application/json"
	asForm   = "application/x-www-form-urlencoded"
)

// bundle is a receiver for four instances, with a requerier that notes.
type bundle struct {
	t        *testing.T
	receiver *notifications.Receiver
	server   *httptest.Server
	log      lockedBuffer

	mu        sync.Mutex
	requeries []string // provider, payment and reference
	results   []string // provider and result
	at        time.Time
	answer    func(ctx context.Context) (bool, error)
}

func setup(t *testing.T, change func(*notifications.Options)) *bundle {
	t.Helper()
	b := &bundle{t: t, at: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
	b.answer = func(context.Context) (bool, error) { return true, nil }
	o := &notifications.Options{
		Now: b.now, Observer: b, Patience: time.Minute, Logger: slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(o)
	}
	b.receiver = notifications.New(instances(t), b, o)
	b.server = httptest.NewUnstartedServer(nil)
	b.server.Config = notifications.NewServer(b.receiver)
	b.server.Start()
	t.Cleanup(b.server.Close)
	return b
}

// instances are two of OPay, one of Tranzzo, and one whose kind has no
// notifications.
func instances(t *testing.T) *providers.Set {
	t.Helper()
	client, secret := providers.NewClient(nil), providers.NewSecret
	eg, err1 := opay.New(opay.Settings{BaseURL: "https://opay.example", MerchantID: "1", SecretKey: secret(egKey), CallbackURL: "https://m.example", Country: "EG"}, client)
	ng, err2 := opay.New(opay.Settings{BaseURL: "https://opay.example", MerchantID: "2", SecretKey: secret(ngKey), CallbackURL: "https://m.example", Country: "NG"}, client)
	ua, err3 := tranzzo.New(tranzzo.Settings{BaseURL: "https://tranzzo.example", PosID: uaPos, EndpointsKey: secret("e"), APIKey: secret("a"), APISecret: secret(uaSecret)}, client)
	eu, err4 := openpay.New(openpay.Settings{BaseURL: "https://openpay.example", Account: "shop", APIKey: secret("k")}, client)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	set, err := providers.NewSet(
		providers.Instance{Name: "opay-eg", Kind: "opay", Account: eg.Account(), Provider: eg},
		providers.Instance{Name: "opay-ng", Kind: "opay", Account: ng.Account(), Provider: ng},
		providers.Instance{Name: "tranzzo-ua", Kind: "tranzzo", Account: ua.Account(), Provider: ua},
		providers.Instance{Name: "openpay-eu", Kind: "openpay", Account: eu.Account(), Provider: eu},
	)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Requery implements notifications.Requerier.
func (b *bundle) Requery(ctx context.Context, id payment.ID, reference string) (bool, error) {
	b.mu.Lock()
	b.requeries = append(b.requeries, strings.TrimSpace(id.Provider+" "+id.Native+" "+reference))
	answer := b.answer
	b.mu.Unlock()
	return answer(ctx)
}

// Notified implements notifications.Observer.
func (b *bundle) Notified(provider string, r notifications.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.results = append(b.results, strings.TrimSpace(provider+" "+string(r)))
}

func (b *bundle) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

// set changes what the bundle answers, or its clock.
func (b *bundle) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// seen returns the requeries and results so far and forgets them.
func (b *bundle) seen() (requeries, results []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	requeries, results = b.requeries, b.results
	b.requeries, b.results = nil, nil
	return requeries, results
}

// post sends a body and returns the answer, as far as a stranger sees it.
func (b *bundle) post(path, media, body string) string {
	b.t.Helper()
	return b.send(http.MethodPost, path, strings.NewReader(body), http.Header{"Content-Type": {media}})
}

func (b *bundle) send(method, path string, body io.Reader, header http.Header) string {
	b.t.Helper()
	q, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	q.Header = header
	response, err := b.server.Client().Do(q)
	if err != nil {
		return "cut: " + path
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	response.Header.Del("Date")
	return fmt.Sprintf("%d %v %s", response.StatusCode, response.Header, text)
}

// The answers there are.
const (
	taken     = "204 map[Cache-Control:[no-store]] "
	refused   = "403 map[Cache-Control:[no-store] Content-Length:[0]] "
	tooMany   = "429 map[Cache-Control:[no-store] Content-Length:[0] Retry-After:[5]] "
	comeAgain = "503 map[Cache-Control:[no-store] Content-Length:[0] Retry-After:[5]] "
)

// ofOPay is a notification signed with the key.
func ofOPay(key, reference string, at time.Time) string {
	when := at.Format(time.RFC3339)
	text := fmt.Sprintf(`{Amount:"400",Currency:"EGP",Reference:%q,Refunded:t,Status:"SUCCESS",Timestamp:%q,Token:"t1",TransactionID:"t2"}`, reference, when)
	return fmt.Sprintf(`{"payload":{"amount":"400","country":"EG","currency":"EGP","fee":"1","reference":%q,"refunded":true,"status":"SUCCESS","timestamp":%q,`+
		`"token":"t1","transactionId":"t2"},"sha512":%q,"type":"transaction-status"}`, reference, when, opay.SignNotification(text, key))
}

// ofTranzzo is a notification signed with the secret, its time without a zone.
func ofTranzzo(secret, pos, order string, at time.Time) string {
	content := fmt.Sprintf(`{"operation_id":"o1","order_id":%q,"pos_id":%q,"method":"refund","status":"success","created_at":%q}`,
		order, pos, at.Format("2006-01-02T15:04:05.000"))
	data := base64.URLEncoding.EncodeToString([]byte(content))
	return url.Values{"data": {data}, "signature": {tranzzo.SignNotification(data, secret)}}.Encode()
}

// lockedBuffer is a log that several write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
