package providertest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/countermand/countermand/payment"
)

// wordless are bodies that say nothing in any provider's form.
func wordless() []string { return []string{"{}", "<html>oops</html>", "null"} }

// reply answers with exactly this status and body. The server's own writer
// takes a status below 200 for an interim one, so those are written past it.
func reply(w http.ResponseWriter, status int, body string) bool {
	if status >= 200 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // refused for 204 and 304, which have none
		return true
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }() // the caller may be gone
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d Text\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	return true
}

// everyStatus answers the call that moves money with every HTTP status, without
// a body and with one that says nothing. Only these results are honest:
//
//	429            not executed
//	401 403        not executed, unhealthy; or indeterminate
//	anything else  indeterminate
func (s suite) everyStatus(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	calls := int64(0)
	for status := 100; status <= 599; status++ {
		for _, body := range []string{"", wordless()[status%len(wordless())]} {
			calls++
			r.front.answer(func(w http.ResponseWriter, q *http.Request) bool {
				return r.sim.Moves(q) && reply(w, status, body)
			})
			o := r.call(context.Background(), q)
			if !honest(status, o) {
				t.Errorf("HTTP %d with body %q is %s, unhealthy %v (%s)", status, body, o.Result, o.Unhealthy, o.Message)
			}
		}
	}
	if n := r.front.moves.Load(); n != calls {
		t.Errorf("%d requests arrived, want one for each of %d calls", n, calls)
	}
	r.ledger(0)
}

func honest(status int, o payment.Outcome) bool {
	switch status {
	case http.StatusTooManyRequests:
		return o.Result == payment.NotExecuted
	case http.StatusUnauthorized, http.StatusForbidden:
		return o.Result == payment.Indeterminate || (o.Result == payment.NotExecuted && o.Unhealthy)
	default:
		return o.Result == payment.Indeterminate
	}
}

// refusalUnderStatus sends a definite refusal in the provider's own form. Under
// a status that speaks for a gateway, a redirect or nobody it proves nothing.
func (s suite) refusalUnderStatus(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	body := string(r.sim.Refusal(q, "no"))
	failures := 0
	for _, status := range []int{200, 201, 202, 299, 300, 302, 304, 307, 308, 399, 400, 402, 404, 408, 409, 422, 499, 500, 502, 503, 504, 599} {
		r.front.answer(func(w http.ResponseWriter, q *http.Request) bool {
			return r.sim.Moves(q) && reply(w, status, body)
		})
		o := r.call(context.Background(), q)
		word := status/100 == 2 || (status/100 == 4 && status != http.StatusRequestTimeout)
		switch {
		case o.Result == payment.Failed && word:
			failures++
		case o.Result != payment.Indeterminate:
			t.Errorf("a refusal under HTTP %d is %s", status, o.Result)
		}
	}
	if failures == 0 {
		t.Error("the refusal was never believed: it proves nothing")
	}
}

// everyStatusToAQuestion answers every request, tokens included, with every
// status and a body that says nothing. A 404 may mean that there is no such
// payment, where the question is documented; nothing else means anything.
func (s suite) everyStatusToAQuestion(t *testing.T) {
	r := s.rig(t, rigOptions{})
	documented := r.provider.Traits().Asks == payment.AsksDocumented
	q := again(r.request())
	for status := 100; status <= 599; status++ {
		r.front.answer(func(w http.ResponseWriter, _ *http.Request) bool {
			return reply(w, status, wordless()[status%len(wordless())])
		})
		o := r.query(q)
		absent := documented && status == http.StatusNotFound
		if o.Result != payment.Indeterminate && (!absent || o.Result != payment.NotFound) {
			t.Errorf("a query answered with HTTP %d is %s (%s)", status, o.Result, o.Message)
		}
		reading := r.provider.Read(context.Background(), q)
		if reading.OK && (!absent || reading.Status != payment.PaymentAbsent) {
			t.Errorf("a read answered with HTTP %d is OK, status %q", status, reading.Status)
		}
		if !reading.OK && reading.Code == "" {
			t.Errorf("a read answered with HTTP %d shows no cause", status)
		}
	}
	if n := r.front.moves.Load(); n != 0 {
		t.Errorf("questions sent %d requests that move money", n)
	}
}

// nobodyIsAsked: an account that cannot be asked is sent nothing but the call, and
// one that can be asked is.
func (s suite) nobodyIsAsked(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	var asked atomic.Int64
	r.front.answer(func(http.ResponseWriter, *http.Request) bool {
		asked.Add(1)
		return false
	})
	o := r.query(again(q))
	reading := r.provider.Read(context.Background(), q)
	silent := r.provider.Traits().Asks == payment.AsksNone
	if n := asked.Load(); silent != (n == 0) {
		t.Errorf("%d requests were sent, and the account can be asked: %t", n, !silent)
	}
	if silent && (o.Result != payment.Indeterminate || o.Message == "" || reading.OK || reading.Message == "") {
		t.Errorf("not asked, and the query is %s (%s), the reading %+v", o.Result, o.Message, reading)
	}
}
