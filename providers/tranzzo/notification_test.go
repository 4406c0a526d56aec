package tranzzo_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/tranzzo"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

const (
	asForm        = "application/x-www-form-urlencoded"
	webhookSecret = "tranzzo-api-secret-1"
)

// noted is an operation as a notification carries it.
const noted = `{"operation_id":"op-1","order_id":"order-1","pos_id":"` + testPos + `","method":"refund","amount":4,"currency":"UAH",` +
	`"status":"success","status_code":"1000","created_at":"2026-11-20T10:00:00.000","processing_time":"2026-11-20T10:00:05.000","comment":"return-1"}`

// webhook is a notification of the content, signed with the secret.
func webhook(secret, content string) string {
	data := base64.URLEncoding.EncodeToString([]byte(content))
	return form(data, tranzzo.SignNotification(data, secret))
}

func form(data, signature string) string {
	return url.Values{"data": {data}, "signature": {signature}}.Encode()
}

func notified(t testing.TB, secret providers.Secret) providers.NotificationVerifier {
	t.Helper()
	s := settings("https://tranzzo.example")
	s.APISecret = secret
	p, err := tranzzo.New(s, providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestANotificationsSignatureMatchesThePublishedVector(t *testing.T) {
	t.Parallel()
	if got := tranzzo.SignNotification("eyJuYW1lIjoiSm9lIiwiYWdlIjoyMH0=", "changeme"); got != "Bcj3hb-h00HrEMIoJ5nPW5ZHlVQ=" {
		t.Error(got)
	}
}

func TestANotificationSaysWhichOrderToAskAboutAndSinceWhen(t *testing.T) {
	t.Parallel()
	v := notified(t, providers.NewSecret(webhookSecret))
	for name, row := range map[string]struct {
		content string
		at      string
		off     time.Duration
	}{
		"times without a zone": {noted, "2026-11-20T10:00:05Z", 14 * time.Hour},
		"with one":             {strings.ReplaceAll(noted, `.000"`, `+02:00"`), "2026-11-20T08:00:05Z", 0},
		"no time":              {`{"order_id":"order-1","pos_id":"` + testPos + `"}`, "0001-01-01T00:00:00Z", 0},
		"a duration":           {`{"order_id":"order-1","pos_id":"` + testPos + `","processing_time":12.5,"created_at":"2026-11-20T10:00:00Z"}`, "2026-11-20T10:00:00Z", 0},
		"as the sample has it": {strings.Replace(noted, testPos, "$"+strings.ToUpper(testPos), 1), "2026-11-20T10:00:05Z", 14 * time.Hour},
	} {
		n, err := v.VerifyNotification(asForm, []byte(webhook(webhookSecret, row.content)))
		if err != nil || n.Native != "order-1" || n.Reference != "" || n.Time.Format(time.RFC3339) != row.at || n.Uncertain != row.off {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
	data := base64.RawURLEncoding.EncodeToString([]byte(noted + " "))
	if _, err := v.VerifyNotification(asForm, []byte(form(data, tranzzo.SignNotification(data, webhookSecret)))); err != nil {
		t.Errorf("data without padding: %v", err)
	}
}

func TestTheSimulatorsNotificationsAreAuthenticAndGoWhereTheRequestSaid(t *testing.T) {
	t.Parallel()
	const server = "https://m.example/notifications/tranzzo-ua"
	for _, row := range [][2]string{{"", `"pos_id":"` + testPos + `"}`}, {server, `"pos_id":"` + testPos + `","server_url":"` + server + `"}`}} {
		p, c := recording(t, func(s *tranzzo.Settings) { s.CallbackURL = row[0] })
		p.Call(t.Context(), fullRefund())
		if !strings.HasSuffix(c.sent[3], row[1]) {
			t.Errorf("sent %s", c.sent[3])
		}
	}
	sim := tranzzosim.New(tranzzosim.Options{PosID: testPos, APISecret: webhookSecret})
	t.Cleanup(sim.Close)
	if err := sim.AddPayment(tranzzosim.Payment{OrderID: "order-1", Amount: 400, Currency: "UAH"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sim.Webhook("order-1"); err == nil {
		t.Error("a notification of nothing")
	}
	if err := sim.RefundElsewhere("order-1", 100, "portal"); err != nil {
		t.Fatal(err)
	}
	_, body, err := sim.Webhook("order-1")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := notified(t, providers.NewSecret(webhookSecret)).VerifyNotification(asForm, body); err != nil || n.Native != "order-1" {
		t.Errorf("%s: %+v, %v", body, n, err)
	}
}

// A change anywhere either is refused, or is of how the form is written: then
// it is the same notification as before.
func TestNoBitOfANotificationCanBeChanged(t *testing.T) {
	t.Parallel()
	v := notified(t, providers.NewSecret(webhookSecret))
	genuine := webhook(webhookSecret, noted)
	want, err := v.VerifyNotification(asForm, []byte(genuine))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range len(genuine) {
		for bit := range 8 {
			body := []byte(genuine)
			body[i] ^= 1 << bit
			got, err := v.VerifyNotification(asForm, body)
			if err == nil && got != want {
				t.Errorf("byte %d, bit %d: %s", i, bit, body)
			}
			if err != nil {
				refused++
			}
		}
	}
	if all := 8 * len(genuine); refused < all*9/10 {
		t.Errorf("%d of %d changes refused", refused, all)
	}
	for n := range len(genuine) {
		if _, err := v.VerifyNotification(asForm, []byte(genuine[:n])); err == nil {
			t.Errorf("accepted: %s", genuine[:n])
		}
	}
}

func TestForgedNotificationsAndThoseOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	v := notified(t, providers.NewSecret(webhookSecret))
	data := base64.URLEncoding.EncodeToString([]byte(noted))
	signature := tranzzo.SignNotification(data, webhookSecret)
	other := base64.URLEncoding.EncodeToString([]byte(strings.Replace(noted, "order-1", "order-2", 1)))
	signed := func(content string) string { return webhook(webhookSecret, content) }
	raw := func(data string) string { return form(data, tranzzo.SignNotification(data, webhookSecret)) }
	keyed := hmac.New(sha1.New, []byte(webhookSecret))
	keyed.Write([]byte(data))
	plain := sha1.Sum([]byte(data))
	binary, err := base64.URLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"another merchant's secret":          webhook("another-secret", noted),
		"an empty secret":                    webhook("", noted),
		"no signature":                       form(data, ""),
		"no data":                            form("", tranzzo.SignNotification("", webhookSecret)),
		"data of another order":              form(other, signature),
		"the two swapped":                    form(signature, data),
		"the signature without its padding":  form(data, strings.TrimRight(signature, "=")),
		"the signature in hex":               form(data, hex.EncodeToString(binary)),
		"the signature in plain base64":      form(data, base64.StdEncoding.EncodeToString(binary)+" "),
		"the signature twice":                form(data, signature+signature),
		"HMAC instead":                       form(data, base64.URLEncoding.EncodeToString(keyed.Sum(nil))),
		"a hash without the secret":          form(data, base64.URLEncoding.EncodeToString(plain[:])),
		"data longer by a hash's extension":  form(data+"AAAA", signature),
		"two data, the second another's":     form(data, signature) + "&data=" + url.QueryEscape(other),
		"two data, the first another's":      "data=" + url.QueryEscape(other) + "&" + form(data, signature),
		"two signatures":                     form(data, signature) + "&signature=x",
		"a form with semicolons":             strings.ReplaceAll(form(data, signature), "&", ";"),
		"JSON":                               `{"data":"` + data + `","signature":"` + signature + `"}`,
		"nothing":                            "",
		"our secret, another point of sale":  signed(strings.Replace(noted, testPos, "11111111-1111-4111-8111-111111111111", 1)),
		"our secret, no point of sale":       signed(`{"order_id":"order-1"}`),
		"our secret, an empty point of sale": signed(`{"order_id":"order-1","pos_id":"$"}`),
		"our secret, no order":               signed(`{"pos_id":"` + testPos + `"}`),
		"our secret, an order twice":         signed(strings.Replace(noted, `"order_id"`, `"order_id":"order-2","order_id"`, 1)),
		"our secret, an array":               signed("[" + noted + "]"),
		"our secret, no JSON":                signed("order-1"),
		"our secret, base64 of another kind": raw(base64.StdEncoding.EncodeToString([]byte(noted + "???>>>"))),
		"our secret, data cut and spoilt":    raw(base64.RawURLEncoding.EncodeToString([]byte(noted))[:10] + "!"),
	} {
		if n, err := v.VerifyNotification(asForm, []byte(body)); err == nil || n != (providers.Notification{}) {
			t.Errorf("%s: accepted as %+v", name, n)
		}
	}
	for _, media := range []string{"", "application/json", "multipart/form-data", "text/plain"} {
		if _, err := v.VerifyNotification(media, []byte(form(data, signature))); !errors.Is(err, providers.ErrMalformedNotification) {
			t.Errorf("%q: %v", media, err)
		}
	}
}

func TestARotatedSecretCountsFromTheNextNotificationOn(t *testing.T) {
	t.Parallel()
	var current atomic.Value
	current.Store("old")
	v := notified(t, providers.NewSecretFunc(func() string { return current.Load().(string) }))
	verdicts := func() (all []bool) {
		for _, secret := range []string{"old", "new", ""} {
			_, err := v.VerifyNotification(asForm, []byte(webhook(secret, noted)))
			all = append(all, err == nil)
		}
		return all
	}
	got := [][]bool{verdicts()}
	current.Store("new")
	got = append(got, verdicts())
	current.Store("")
	got = append(got, verdicts())
	if diff := cmp.Diff([][]bool{{true, false, false}, {false, true, false}, {false, false, false}}, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzNothingIsTakenForAuthenticWithoutTheSecret: one notification was ever
// signed with the first secret and none with the second, so whatever verifies
// is that one.
func FuzzNothingIsTakenForAuthenticWithoutTheSecret(f *testing.F) {
	mine, nobodys := notified(f, providers.NewSecret(webhookSecret)), notified(f, providers.NewSecret(rand.Text()))
	genuine := webhook(webhookSecret, noted)
	want, err := mine.VerifyNotification(asForm, []byte(genuine))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		genuine, webhook("", noted), webhook("other", noted), genuine + "&data=x", genuine[:len(genuine)/2], "data=&signature=", "%zz", "data",
	} {
		f.Add(asForm, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		if got, err := mine.VerifyNotification(media, body); err == nil && got != want {
			t.Errorf("taken for authentic: %+v from %q", got, body)
		}
		if got, err := nobodys.VerifyNotification(media, body); err == nil {
			t.Errorf("taken for authentic without the secret: %+v from %q", got, body)
		}
	})
}
