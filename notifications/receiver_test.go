package notifications_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/notifications"
	"github.com/countermand/countermand/payment"
)

func TestAnAuthenticNotificationBringsARequeryOfWhatItNames(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		path, media, body string
		requery           string // empty: none
	}{
		"a reference alone may be the payment's own": {"/notifications/opay-eg", asJSON, ofOPay(egKey, "1001", noon()), "opay-eg 1001 1001"},
		"the payment in the address":                 {"/notifications/opay-eg/1001", asJSON, ofOPay(egKey, "r1", noon()), "opay-eg 1001 r1"},
		"encoded in the address":                     {"/notifications/opay-eg/a%2Fb%2E%3D1", asJSON, ofOPay(egKey, "r1", noon()), "opay-eg a/b.=1 r1"},
		"a charset beside the type":                  {"/notifications/opay-ng", "Application/JSON; charset=utf-8", ofOPay(ngKey, "1001", noon()), "opay-ng 1001 1001"},
		"an order of Tranzzo's":                      {"/notifications/tranzzo-ua", asForm, ofTranzzo(uaSecret, uaPos, "o-1", noon()), "tranzzo-ua o-1"},
		"the same order in the address":              {"/notifications/tranzzo-ua/o-1", asForm, ofTranzzo(uaSecret, uaPos, "o-1", noon()), "tranzzo-ua o-1"},
		"another order in the address":               {"/notifications/tranzzo-ua/o-2", asForm, ofTranzzo(uaSecret, uaPos, "o-1", noon()), ""},
		"a reference that can be no payment's name":  {"/notifications/opay-eg", asJSON, ofOPay(egKey, strings.Repeat("r", 65), noon()), ""},
		"nor with a space in it":                     {"/notifications/opay-eg", asJSON, ofOPay(egKey, "a b", noon()), ""},
	} {
		b := setup(t, nil)
		if got := b.post(row.path, row.media, row.body); got != taken {
			t.Errorf("%s: answered %s", name, got)
		}
		want, result := []string{row.requery}, notifications.Accepted
		if row.requery == "" {
			want, result = nil, notifications.Unknown
		}
		requeries, results := b.seen()
		provider, _, _ := strings.Cut(strings.TrimPrefix(row.path, "/notifications/"), "/")
		if !slices.Equal(requeries, want) || !slices.Equal(results, []string{provider + " " + string(result)}) {
			t.Errorf("%s: looked at %q, counted %q", name, requeries, results)
		}
	}
}

func noon() time.Time { return time.Date(2026, 11, 21, 9, 59, 0, 0, time.UTC) }

func TestTheSameNotificationActsOnceHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	first := ofOPay(egKey, "1001", noon())
	ua := ofTranzzo(uaSecret, uaPos, "o-1", noon())
	for _, again := range [][3]string{
		{"/notifications/opay-eg", asJSON, first},
		{"/notifications/opay-eg", asJSON, first},
		{"/notifications/opay-eg", asJSON + "; charset=utf-8", " " + first + "\n"},
		{"/notifications/opay-eg", asJSON, strings.Replace(first, `"fee":"1"`, `"fee":"999"`, 1)}, // which is not signed
		{"/notifications/opay-eg/1001", asJSON, first},
		{"/notifications/tranzzo-ua", asForm, ua},
		{"/notifications/tranzzo-ua/o-1", asForm, ua},
		{"/notifications/tranzzo-ua", asForm, strings.Replace(ua, "data=", "%64ata=", 1)},
		{"/notifications/tranzzo-ua", asForm, ua + "&extra=1"},
	} {
		if got := b.post(again[0], again[1], again[2]); got != taken {
			t.Errorf("%s: answered %s", again[2], got)
		}
	}
	requeries, results := b.seen()
	if diff := cmp.Diff([]string{"opay-eg 1001 1001", "tranzzo-ua o-1"}, requeries); diff != "" {
		t.Error(diff)
	}
	duplicates := 0
	for _, r := range results {
		if strings.HasSuffix(r, " duplicate") {
			duplicates++
		}
	}
	if duplicates != 7 {
		t.Errorf("counted %q", results)
	}
}

func TestOfManyAtOnceOneActs(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	body := ofOPay(egKey, "1001", noon())
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := b.post("/notifications/opay-eg", asJSON, body); got != taken {
				t.Errorf("answered %s", got)
			}
		})
	}
	all.Wait()
	if requeries, _ := b.seen(); len(requeries) != 1 {
		t.Errorf("looked %d times", len(requeries))
	}
}

// What is not authentic is not looked at, and is answered like a provider that
// is not there.
func TestNothingForgedTruncatedReencodedOrOfAnotherMerchantIsAccepted(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	eg, ua := ofOPay(egKey, "1001", noon()), ofTranzzo(uaSecret, uaPos, "o-1", noon())
	const toEG, toUA = "/notifications/opay-eg", "/notifications/tranzzo-ua"
	for name, row := range map[string][3]string{
		"no such provider":                  {"/notifications/nobody", asJSON, eg},
		"a kind without notifications":      {"/notifications/openpay-eu", asJSON, eg},
		"another of our merchants":          {"/notifications/opay-ng", asJSON, eg},
		"another merchant's key":            {toEG, asJSON, ofOPay("OPAYPRV-other", "1001", noon())},
		"the other kind's key":              {toEG, asJSON, ofOPay(uaSecret, "1001", noon())},
		"the other kind's form":             {toEG, asForm, ua},
		"the other kind's form as JSON":     {toEG, asJSON, ua},
		"JSON as a form":                    {toUA, asForm, eg},
		"our secret, another point of sale": {toUA, asForm, ofTranzzo(uaSecret, "pos-2", "o-1", noon())},
		"another secret":                    {toUA, asForm, ofTranzzo("other", uaPos, "o-1", noon())},
		"an empty secret":                   {toUA, asForm, ofTranzzo("", uaPos, "o-1", noon())},
		"a changed amount":                  {toEG, asJSON, strings.Replace(eg, `"400"`, `"401"`, 1)},
		"a changed reference":               {toEG, asJSON, strings.Replace(eg, `"1001"`, `"1002"`, 1)},
		"a value with an escape":            {toEG, asJSON, strings.Replace(eg, `"SUCCESS"`, `"\u0053UCCESS"`, 1)},
		"UTF-16":                            {toEG, asJSON, utf16(eg)},
		"no type":                           {toEG, "", eg},
		"a type that is none":               {toEG, ";;", eg},
		"text":                              {toEG, "text/plain", eg},
		"nothing":                           {toEG, asJSON, ""},
		"no provider":                       {"/notifications/", asJSON, eg},
		"no prefix":                         {"/opay-eg", asJSON, eg},
		"another prefix":                    {"/admin/opay-eg", asJSON, eg},
		"the root":                          {"/", asJSON, eg},
		"a prefix twice":                    {"/notifications//opay-eg", asJSON, eg},
		"one segment more":                  {toEG + "/1001/2", asJSON, eg},
		"dots":                              {"/x/../notifications/opay-eg", asJSON, eg},
		"an encoded name":                   {"/notifications/opay%2Deg", asJSON, eg},
		"a payment that is none":            {toEG + "/", asJSON, eg},
		"a payment with a space":            {toEG + "/a%20b", asJSON, eg},
		"a payment with a line break":       {toEG + "/a%0Ab", asJSON, eg},
		"a payment that is too long":        {toEG + "/" + strings.Repeat("a", 65), asJSON, eg},
		"the console":                       {"/console/", asJSON, eg},
	} {
		if got := b.post(row[0], row[1], row[2]); got != refused {
			t.Errorf("%s: answered %s", name, got)
		}
	}
	for n := range len(eg) {
		if got := b.post(toEG, asJSON, eg[:n]); got != refused {
			t.Errorf("%d bytes: answered %s", n, got)
		}
	}
	for n := range len(ua) {
		if got := b.post(toUA, asForm, ua[:n]); got != refused {
			t.Errorf("%d bytes: answered %s", n, got)
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, eg)
	z.Close()
	header := http.Header{"Content-Type": {asJSON}, "Content-Encoding": {"gzip"}}
	if got := b.send(http.MethodPost, toEG, &packed, header); got != refused {
		t.Errorf("compressed: answered %s", got)
	}
	requeries, results := b.seen()
	if len(requeries) != 0 {
		t.Errorf("looked at %q", requeries)
	}
	for _, r := range results {
		if !slices.Contains([]string{"unknown", "opay-eg forged", "opay-eg malformed", "opay-ng forged", "tranzzo-ua forged", "tranzzo-ua malformed", "malformed"}, r) {
			t.Errorf("counted %q", r)
		}
	}
	if got := b.post(toEG, asJSON, eg); got != taken { // so the refusals above were for their reasons
		t.Errorf("the genuine one: %s", got)
	}
}

func utf16(text string) string {
	var b strings.Builder
	for _, c := range []byte("\xfe\xff" + text) {
		b.Write([]byte{0, c})
	}
	return b.String()
}

func TestOnlyAPostIsAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodTrace, "PURGE"} {
		for _, path := range []string{"/notifications/opay-eg", "/notifications/nobody", "/"} {
			got := b.send(method, path, strings.NewReader(ofOPay(egKey, "1001", noon())), http.Header{"Content-Type": {asJSON}})
			if want := "405 map[Allow:[POST] Cache-Control:[no-store]"; !strings.HasPrefix(got, want) {
				t.Errorf("%s %s: answered %s", method, path, got)
			}
		}
	}
	if requeries, _ := b.seen(); len(requeries) != 0 {
		t.Errorf("looked at %q", requeries)
	}
}

func TestAnOldNotificationDoesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	now := b.now()
	for _, row := range []struct {
		path, media, body string
		result            notifications.Result
	}{
		{"/notifications/opay-eg", asJSON, ofOPay(egKey, "a", now.Add(-72*time.Hour)), notifications.Accepted},
		{"/notifications/opay-eg", asJSON, ofOPay(egKey, "b", now.Add(-74*time.Hour)), notifications.Stale},
		{"/notifications/opay-eg", asJSON, ofOPay(egKey, "c", now.Add(-5*365*24*time.Hour)), notifications.Stale},
		{"/notifications/opay-eg", asJSON, ofOPay(egKey, "d", now.Add(4*time.Minute)), notifications.Accepted},
		{"/notifications/opay-eg", asJSON, ofOPay(egKey, "e", now.Add(6*time.Minute)), notifications.Stale},
		// Without a zone it may be fourteen hours younger, or older.
		{"/notifications/tranzzo-ua", asForm, ofTranzzo(uaSecret, uaPos, "f", now.Add(-86*time.Hour)), notifications.Accepted},
		{"/notifications/tranzzo-ua", asForm, ofTranzzo(uaSecret, uaPos, "g", now.Add(-88*time.Hour)), notifications.Stale},
		{"/notifications/tranzzo-ua", asForm, ofTranzzo(uaSecret, uaPos, "h", now.Add(13*time.Hour)), notifications.Accepted},
		{"/notifications/tranzzo-ua", asForm, ofTranzzo(uaSecret, uaPos, "i", now.Add(15*time.Hour)), notifications.Stale},
		// So far away that a difference is more than a duration can hold.
		{"/notifications/tranzzo-ua", asForm, ofTranzzo(uaSecret, uaPos, "j", time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC)), notifications.Stale},
		{"/notifications/tranzzo-ua", asForm, ofTranzzo(uaSecret, uaPos, "k", time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)), notifications.Stale},
	} {
		if got := b.post(row.path, row.media, row.body); got != taken {
			t.Errorf("answered %s", got)
		}
		requeries, results := b.seen()
		if !strings.HasSuffix(results[0], " "+string(row.result)) || (len(requeries) == 1) != (row.result == notifications.Accepted) {
			t.Errorf("%s: counted %q, looked at %q, want %s", row.body, results, requeries, row.result)
		}
	}
}

func TestATooLargeBodyIsNotReadThrough(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *notifications.Options) { o.MaxBody = 1024 })
	large := strings.Repeat(" ", 2000)
	for _, path := range []string{"/notifications/opay-eg", "/notifications/nobody"} {
		for _, body := range []io.Reader{strings.NewReader(large), io.MultiReader(strings.NewReader(large))} { // the second says no length
			got := b.send(http.MethodPost, path, body, http.Header{"Content-Type": {asJSON}})
			if !strings.HasPrefix(got, "413 ") && !strings.HasPrefix(got, "cut") {
				t.Errorf("%s: answered %s", path, got)
			}
		}
	}
	body := ofOPay(egKey, "1001", noon())
	padded := body + strings.Repeat(" ", 1024-len(body))
	if got := b.post("/notifications/opay-eg", asJSON, padded); got != taken {
		t.Errorf("as large as allowed: %s", got)
	}
	requeries, results := b.seen()
	if diff := cmp.Diff([]string{"opay-eg too_large", "opay-eg too_large", "too_large", "too_large", "opay-eg accepted"}, results); diff != "" || len(requeries) != 1 {
		t.Errorf("looked at %q: %s", requeries, diff)
	}
}

func TestMoreThanTheRateAreAskedToComeAgainAndThenAct(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *notifications.Options) { o.RatePerSecond = 2 })
	for _, row := range [][2]string{{"a", taken}, {"b", taken}, {"c", tooMany}, {"a", taken}} { // the last is known, and costs nothing
		if got := b.post("/notifications/opay-eg", asJSON, ofOPay(egKey, row[0], noon())); got != row[1] {
			t.Errorf("%s: answered %s", row[0], got)
		}
	}
	if got := b.post("/notifications/opay-ng", asJSON, ofOPay(ngKey, "a", noon())); got != taken {
		t.Errorf("another provider's: %s", got)
	}
	b.set(func() { b.at = b.at.Add(time.Second) })
	if got := b.post("/notifications/opay-eg", asJSON, ofOPay(egKey, "c", noon())); got != taken {
		t.Errorf("a second later: %s", got)
	}
	requeries, _ := b.seen()
	if diff := cmp.Diff([]string{"opay-eg a a", "opay-eg b b", "opay-ng a a", "opay-eg c c"}, requeries); diff != "" {
		t.Error(diff)
	}
}

// Forged ones cannot use up what is left for the genuine.
func TestForgedOnesDoNotCountAgainstTheRate(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *notifications.Options) { o.RatePerSecond = 1 })
	for range 50 {
		if got := b.post("/notifications/opay-eg", asJSON, ofOPay("forged", "a", noon())); got != refused {
			t.Fatalf("answered %s", got)
		}
	}
	if got := b.post("/notifications/opay-eg", asJSON, ofOPay(egKey, "a", noon())); got != taken {
		t.Errorf("the genuine one: %s", got)
	}
}

func TestWhatCouldNotBeLookedUpIsAskedForAgainAndThenActs(t *testing.T) {
	t.Parallel()
	body := ofOPay(egKey, "1001", noon())
	for name, row := range map[string]struct {
		answer func(context.Context) (bool, error)
		first  string
	}{
		"the journal is away":      {func(context.Context) (bool, error) { return false, errors.New("no responders") }, comeAgain},
		"the payment is not known": {func(context.Context) (bool, error) { return false, nil }, taken},
		"a panic":                  {func(context.Context) (bool, error) { panic("of the requerier") }, comeAgain},
	} {
		b := setup(t, nil)
		good := b.answer
		b.set(func() { b.answer = row.answer })
		if got := b.post("/notifications/opay-eg", asJSON, body); got != row.first {
			t.Errorf("%s: answered %s", name, got)
		}
		b.set(func() { b.answer = good })
		for range 2 {
			if got := b.post("/notifications/opay-eg", asJSON, body); got != taken {
				t.Errorf("%s, again: answered %s", name, got)
			}
		}
		if requeries, results := b.seen(); len(requeries) != 2 || !slices.Equal(results[1:], []string{"opay-eg accepted", "opay-eg duplicate"}) {
			t.Errorf("%s: looked %d times, counted %q", name, len(requeries), results)
		}
	}
}

func TestARequeryGoesOnAfterTheAnswerAndIsWaitedForAtTheEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *notifications.Options) { o.Patience = time.Millisecond })
	begun, finish := make(chan context.Context, 1), make(chan struct{})
	b.set(func() {
		b.answer = func(ctx context.Context) (bool, error) { begun <- ctx; <-finish; return true, nil }
	})
	if got := b.post("/notifications/opay-eg", asJSON, ofOPay(egKey, "1001", noon())); got != taken {
		t.Errorf("answered %s", got)
	}
	ctx := <-begun
	b.server.Close() // the request's own context has ended
	if ctx.Err() != nil {
		t.Error("the requery's context ended with the request")
	}
	drained := make(chan struct{})
	go func() { b.receiver.Drain(t.Context()); close(drained) }()
	select {
	case <-drained:
		t.Error("did not wait for the requery")
	case <-time.After(20 * time.Millisecond):
	}
	close(finish)
	<-drained
}

func TestARequeryThatIsNotDoneInTimeIsToldToEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *notifications.Options) { o.Patience = time.Millisecond })
	b.set(func() {
		b.answer = func(ctx context.Context) (bool, error) { <-ctx.Done(); return false, ctx.Err() }
	})
	b.post("/notifications/opay-eg", asJSON, ofOPay(egKey, "1001", noon()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.receiver.Drain(ctx) // returns
	if got := b.post("/notifications/opay-eg", asJSON, ofOPay(egKey, "1002", noon())); got != tooMany {
		t.Errorf("after the end: %s", got)
	}
}

func TestOnlySoManyAreRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *notifications.Options) { o.Remember = 2 })
	for _, reference := range []string{"a", "b", "a", "c", "a", "b"} { // c takes the place of b, which was not heard of for longer
		b.post("/notifications/opay-eg", asJSON, ofOPay(egKey, reference, noon()))
	}
	requeries, _ := b.seen()
	if diff := cmp.Diff([]string{"opay-eg a a", "opay-eg b b", "opay-eg c c", "opay-eg b b"}, requeries); diff != "" {
		t.Error(diff)
	}
}

func TestNothingOfABodyIsLoggedButTheEndOfItsReference(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	const reference = "4111111111111111-secretive"
	b.post("/notifications/opay-eg", asJSON, ofOPay(egKey, reference, noon()))
	b.post("/notifications/opay-eg", asJSON, ofOPay("forged", reference, noon()))
	b.post("/notifications/"+reference, asJSON, ofOPay(egKey, reference, noon()))
	b.set(func() { b.answer = func(context.Context) (bool, error) { panic(reference) } })
	b.post("/notifications/opay-eg/1001", asJSON, ofOPay(egKey, reference+"2", noon()))
	text := b.log.String()
	if !strings.Contains(text, "payment_id=****tive") || strings.Contains(text, "secretive") || strings.Contains(text, "41111111") { // a stack has short numbers of its own
		t.Errorf("logged: %s", text)
	}
}

// A receiver nobody is told of works all the same.
func TestEverythingButTheRequerierIsOptional(t *testing.T) {
	t.Parallel()
	r := notifications.New(instances(t), requerierFunc(func() {}), nil)
	if r == nil {
		t.Error("none")
	}
}

type requerierFunc func()

// Requery implements notifications.Requerier.
func (f requerierFunc) Requery(context.Context, payment.ID, string) (bool, error) {
	f()
	return true, nil
}
