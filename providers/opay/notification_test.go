package opay_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

const asJSON = "application/json"

// callback is a notification as OPay's page shows it, signed with the key.
func callback(key, reference, timestamp string) string {
	text := `{Amount:"400",Currency:"EGP",Reference:"` + reference + `",Refunded:t,Status:"SUCCESS",Timestamp:"` + timestamp + `",Token:"2205071",TransactionID:"2205072"}`
	return `{"payload":{"amount":"400","channel":"Web","country":"EG","currency":"EGP","displayedFailure":"","fee":"1","feeCurrency":"EGP",` +
		`"instrumentType":"BankCard","reference":"` + reference + `","refunded":true,"status":"SUCCESS","timestamp":"` + timestamp + `",` +
		`"token":"2205071","transactionId":"2205072","updated_at":"2026-01-01T00:00:00Z"},"sha512":"` + opay.SignNotification(text, key) + `","type":"transaction-status"}`
}

const when = "2026-11-20T06:20:46Z"

func verifier(t testing.TB, key providers.Secret) providers.NotificationVerifier {
	t.Helper()
	s := settings("https://opay.example")
	s.SecretKey = key
	p, err := opay.New(s, providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestANotificationsSignatureMatchesTheVector(t *testing.T) {
	t.Parallel()
	const text = `{Amount:"49160",Currency:"NGN",Reference:"10023",Refunded:t,Status:"SUCCESS",Timestamp:"2022-05-07T06:20:46Z",Token:"220507145660712931829",TransactionID:"220507145660712931829"}`
	const want = "fab913b02c61f6d0214721d7cdd2757d0b0c7f5e2c847929b7aaad9d8f1104815ae448e62d05861705885049ab959a3609a183680b20199a3d93c477b76fec4d"
	if got := opay.SignNotification(text, "test-secret-key"); got != want {
		t.Errorf("%s", got)
	}
}

func TestANotificationSaysWhatToAskAboutAndSinceWhen(t *testing.T) {
	t.Parallel()
	v := verifier(t, providers.NewSecret(secret))
	for _, refunded := range []string{"true", `"true"`, `"t"`} { // the page shows a boolean, its table says text
		body := strings.Replace(callback(secret, "r1", when), `"refunded":true`, `"refunded":`+refunded, 1)
		n, err := v.VerifyNotification(asJSON, []byte(body))
		if err != nil || n.Native != "" || n.Reference != "r1" || n.Time.Format(time.RFC3339) != when || n.Uncertain != 0 {
			t.Errorf("%s: %+v, %v", body, n, err)
		}
	}
	n, err := v.VerifyNotification(asJSON, []byte(callback(secret, "r1", "2026-11-20 06:20:46")))
	if err != nil || n.Uncertain != 14*time.Hour || n.Time.Format(time.RFC3339) != when {
		t.Errorf("without a zone: %+v, %v", n, err)
	}
}

func TestTheSimulatorsNotificationsAreAuthentic(t *testing.T) {
	t.Parallel()
	p, sim := setup(t, opaysim.Options{})
	p.Call(t.Context(), refund("r1", 400))
	to, body, err := sim.Callback("r1")
	if err != nil || to != "https://merchant.example/cb" {
		t.Fatal(to, err)
	}
	if n, err := p.VerifyNotification(asJSON, body); err != nil || n.Reference != "r1" {
		t.Errorf("%s: %+v, %v", body, n, err)
	}
	if _, err := sim.Notify(t.Context(), "r1"); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("sent to %s: %v", to, err)
	}
}

// A change anywhere either is refused, or is of something that is not signed:
// then it is the same notification as before.
func TestNoBitOfWhatIsSignedCanBeChanged(t *testing.T) {
	t.Parallel()
	v := verifier(t, providers.NewSecret(secret))
	genuine := callback(secret, "r1", when)
	want, err := v.VerifyNotification(asJSON, []byte(genuine))
	if err != nil {
		t.Fatal(err)
	}
	same, refused := 0, 0
	for i := range len(genuine) {
		for bit := range 8 {
			body := []byte(genuine)
			body[i] ^= 1 << bit
			got, err := v.VerifyNotification(asJSON, body)
			switch {
			case err != nil:
				refused++
			case got != want:
				t.Errorf("byte %d, bit %d: %s", i, bit, body)
			default:
				same++
			}
		}
	}
	for name, value := range map[string]string{
		"amount": "400", "currency": "EGP", "reference": "r1", "status": "SUCCESS", "timestamp": when, "token": "2205071", "transactionId": "2205072",
	} {
		body := strings.Replace(genuine, fmt.Sprintf("%q:%q", name, value), fmt.Sprintf("%q:%q", name, value+"0"), 1)
		if _, err := v.VerifyNotification(asJSON, []byte(body)); body == genuine || !errors.Is(err, providers.ErrForgedNotification) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if same == 0 || refused < 8*128 { // the signature alone has that many bits
		t.Errorf("%d changes refused, %d of what is not signed", refused, same)
	}
}

func TestATruncatedNotificationIsRefused(t *testing.T) {
	t.Parallel()
	v := verifier(t, providers.NewSecret(secret))
	genuine := callback(secret, "r1", when)
	for n := range len(genuine) {
		if _, err := v.VerifyNotification(asJSON, []byte(genuine[:n])); err == nil {
			t.Errorf("accepted: %s", genuine[:n])
		}
	}
}

func TestForgedAndReencodedNotificationsAreRefused(t *testing.T) {
	t.Parallel()
	v := verifier(t, providers.NewSecret(secret))
	genuine := callback(secret, "r1", when)
	_, rest, _ := strings.Cut(genuine, `"sha512":"`)
	signature, _, _ := strings.Cut(rest, `"`)
	replace := func(old, with string) string {
		if !strings.Contains(genuine, old) {
			t.Errorf("%s is not in the notification", old)
		}
		return strings.Replace(genuine, old, with, 1)
	}
	other := hmac.New(sha512.New, []byte(secret))
	other.Write([]byte(`{Amount:"400",Currency:"EGP",Reference:"r1",Refunded:t,Status:"SUCCESS",Timestamp:"` + when + `",Token:"2205071",TransactionID:"2205072"}`))
	// The text of this one is the genuine one's, for who takes quotation marks in values.
	quoted := `"token":"2205071\",TransactionID:\"2205072","transactionId":""`
	for name, body := range map[string]string{
		"another merchant's key":            callback("OPAYPRV-other", "r1", when),
		"an empty key":                      callback("", "r1", when),
		"no signature":                      replace(signature, ""),
		"a signature of null":               replace(`"`+signature+`"`, "null"),
		"the signature in capitals":         replace(signature, strings.ToUpper(signature)),
		"half a signature":                  replace(signature, signature[:64]),
		"a signature and more":              replace(signature, signature+"00"),
		"what the name says: HMAC-SHA512":   replace(signature, hex.EncodeToString(other.Sum(nil))),
		"the signature of the body":         replace(signature, opay.Sign([]byte(genuine), secret)),
		"amount and reference swapped":      strings.NewReplacer(`"amount":"400"`, `"amount":"r1"`, `"reference":"r1"`, `"reference":"400"`).Replace(genuine),
		"token and transaction swapped":     strings.NewReplacer(`"2205071"`, `"2205072"`, `"2205072"`, `"2205071"`).Replace(genuine),
		"not refunded":                      replace(`"refunded":true`, `"refunded":false`),
		"refunded left out":                 replace(`"refunded":true,`, ""),
		"an older time":                     replace(`"timestamp":"`+when, `"timestamp":"2020-01-01T00:00:00Z`),
		"a border moved":                    replace(`"token":"2205071","transactionId":"2205072"`, quoted),
		"a value with escapes":              replace(`"status":"SUCCESS"`, `"status":"\u0053UCCESS"`),
		"the reference with an escape":      replace(`"reference":"r1"`, `"reference":"\u00721"`),
		"a signed quotation mark":           strings.Replace(callback(secret, `a"b`, when), `"reference":"a"b"`, `"reference":"a\"b"`, 1),
		"a signed escape":                   callback(secret, `a\"b`, when),
		"the amount as a number":            replace(`"amount":"400"`, `"amount":400`),
		"a member twice":                    replace(`"reference":"r1"`, `"reference":"r1","reference":"r2"`),
		"names in capitals":                 replace(`"reference"`, `"Reference"`),
		"an array around it":                "[" + genuine + "]",
		"something behind it":               genuine + "{}",
		"a byte order mark":                 "\ufeff" + genuine,
		"the payload as text":               replace(`"payload":{`, `"payload":"{`),
		"no payload":                        `{"sha512":"` + signature + `"}`,
		"nothing":                           "",
		"a signed one that names nothing":   callback(secret, "", when),
		"a signed one with a time of words": callback(secret, "r1", "yesterday"),
	} {
		if n, err := v.VerifyNotification(asJSON, []byte(body)); err == nil || n != (providers.Notification{}) {
			t.Errorf("%s: accepted as %+v", name, n)
		}
	}
	for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/cloudevents+json"} {
		if _, err := v.VerifyNotification(media, []byte(genuine)); !errors.Is(err, providers.ErrMalformedNotification) {
			t.Errorf("%q: %v", media, err)
		}
	}
}

func TestARotatedKeyCountsFromTheNextNotificationOn(t *testing.T) {
	t.Parallel()
	var key atomic.Value
	key.Store("old")
	v := verifier(t, providers.NewSecretFunc(func() string { return key.Load().(string) }))
	verdicts := func() []bool {
		_, before := v.VerifyNotification(asJSON, []byte(callback("old", "r1", when)))
		_, after := v.VerifyNotification(asJSON, []byte(callback("new", "r1", when)))
		_, none := v.VerifyNotification(asJSON, []byte(callback("", "r1", when)))
		return []bool{before == nil, after == nil, none == nil}
	}
	got := [][]bool{verdicts()}
	key.Store("new")
	got = append(got, verdicts())
	key.Store("")
	got = append(got, verdicts())
	if diff := cmp.Diff([][]bool{{true, false, false}, {false, true, false}, {false, false, false}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheCallbackAddressNamesThePaymentWhereItIsAskedTo(t *testing.T) {
	t.Parallel()
	for _, row := range [][3]string{
		{"https://m.example/cb", "paid", "https://m.example/cb"},
		{"https://m.example/notifications/opay-eg/{payment}", "A-z_0", "https://m.example/notifications/opay-eg/A-z_0"},
		{"https://m.example/n/{payment}", "a/b.c=d&e'<%", "https://m.example/n/a%2Fb%2Ec%3Dd%26e%27%3C%25"},
	} {
		sim := opaysim.New(opaysim.Options{SecretKey: secret})
		t.Cleanup(sim.Close)
		server := httptest.NewServer(sim)
		t.Cleanup(server.Close)
		s := settings(server.URL)
		s.CallbackURL = row[0]
		if err := sim.AddPayment(opaysim.Payment{Reference: row[1], Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
			t.Fatal(err)
		}
		r := refund("r1", 400)
		r.Payment.OrderID = row[1]
		adapter(t, s).Call(t.Context(), r)
		if to, _, err := sim.Callback("r1"); to != row[2] {
			t.Errorf("%s of %s: %s, %v", row[0], row[1], to, err)
		}
	}
	for _, bad := range []string{"https://m.example/{paymnet}", "https://m.example/{payment", "https://{payment}=/x"} {
		s := settings("https://opay.example")
		s.CallbackURL = bad
		if _, err := opay.New(s, providers.NewClient(nil)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

// FuzzNothingIsTakenForAuthenticWithoutTheKey: one notification was ever signed
// with the first key and none with the second, so whatever verifies is that one.
func FuzzNothingIsTakenForAuthenticWithoutTheKey(f *testing.F) {
	unknown := rand.Text()
	mine, nobodys := verifier(f, providers.NewSecret(secret)), verifier(f, providers.NewSecret(unknown))
	genuine := callback(secret, "r1", when)
	want, err := mine.VerifyNotification(asJSON, []byte(genuine))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		genuine, callback("", "r1", when), callback("other", "r2", when), `{"payload":{},"sha512":""}`, `{"payload":null,"sha512":null}`,
		strings.Replace(genuine, "true", `"true"`, 1), genuine[:len(genuine)/2], "{", "null", `{"payload":{"amount":{}},"sha512":[]}`,
	} {
		f.Add(asJSON, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		if got, err := mine.VerifyNotification(media, body); err == nil && got != want {
			t.Errorf("taken for authentic: %+v from %q", got, body)
		}
		if got, err := nobodys.VerifyNotification(media, body); err == nil {
			t.Errorf("taken for authentic without the key: %+v from %q", got, body)
		}
	})
}
