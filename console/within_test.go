package console_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWithoutAConnectionEveryPageSaysSinceWhenAndNothingIsAskedOrDecided(t *testing.T) {
	t.Parallel()
	b := local(t)
	b.away = time.Date(2026, 3, 4, 6, 1, 2, 0, time.UTC)
	for path, status := range map[string]int{
		"/console/": http.StatusOK, "/console/queue": http.StatusOK, "/console/live": http.StatusOK, "/console/rejected": http.StatusOK,
		"/console/state": http.StatusOK, paymentPage: http.StatusServiceUnavailable,
	} {
		body := b.want(b.send(path, nil), status)
		if !strings.Contains(body, "No connection to NATS") || !strings.Contains(body, "2026-03-04 06:01:02") || path != "/console/state" && !strings.Contains(body, `<body class="stale">`) {
			t.Errorf("%s does not say it: %s", path, body)
		}
		if path != "/console/state" && !strings.Contains(body, `<div id="state" role="status"`) {
			t.Errorf("%s does not say it to a screen reader", path)
		}
	}
	if body := b.want(b.send("/console/", nil), http.StatusOK); strings.Contains(body, "nothing waits") || !strings.Contains(body, "not known") || strings.Contains(body, `<span class="figure">0</span> <span>need a person`) {
		t.Errorf("the overview says what nobody knows: %s", body)
	}
	if body := b.want(b.send(paymentPage, nil), http.StatusServiceUnavailable); !strings.Contains(body, "could not read the payment") {
		t.Errorf("the payment's page does not say what could not be asked: %s", body)
	}
	for _, path := range []string{"/console/numbers", "/console/queue/rows"} { // the page keeps what it has
		b.want(b.send(path, nil), http.StatusServiceUnavailable)
	}
	b.want(b.send(resolvePath, ruling()), http.StatusServiceUnavailable)
	b.want(b.send(paymentPage+"/ask", ruling()), http.StatusServiceUnavailable)
	if b.desk.asked != 0 || len(b.desk.by) != 0 {
		t.Errorf("%d questions were asked, %d decided", b.desk.asked, len(b.desk.by))
	}
	b.away = time.Time{}
	if body := b.want(b.send("/console/", nil), http.StatusOK); strings.Contains(body, "No connection") || strings.Contains(body, "stale") {
		t.Error("with a connection the page still says that there is none")
	}
}

func TestAPageOfASilentServerIsAnsweredWithinSeconds(t *testing.T) {
	t.Parallel()
	for path, c := range map[string]struct {
		within time.Duration
		status int
		says   string
	}{
		paymentPage:           {5 * time.Second, http.StatusServiceUnavailable, "has not answered for 5 seconds: the service could not read the payment"},
		"/console/":           {10 * time.Second, http.StatusOK, "has not answered for 10 seconds: the service could not list what needs a person"},
		"/console/queue":      {10 * time.Second, http.StatusOK, "has not answered for 10 seconds"},
		"/console/numbers":    {10 * time.Second, http.StatusServiceUnavailable, "has not answered for 10 seconds"},
		"/console/queue/rows": {10 * time.Second, http.StatusServiceUnavailable, "has not answered for 10 seconds"},
		"/console/state":      {0, http.StatusOK, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := local(t)
			b.desk.silent = true
			began := time.Now()
			body := b.want(b.send(path, nil), c.status)
			if took := time.Since(began); took != c.within {
				t.Errorf("%s was answered after %s, want %s", path, took, c.within)
			}
			if !strings.Contains(body, c.says) || strings.Contains(body, "nothing waits") {
				t.Errorf("%s says %s", path, body)
			}
		})
	}
}
