package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/payment"
)

func result(at time.Time, n int) console.Result {
	return console.Result{
		ID: payment.ID{Provider: "opay-eg", Native: fmt.Sprint(n)}, Op: payment.Refund, Type: payment.EventSucceeded,
		Amount: &payment.Money{Value: 1234500, Currency: "EGP"}, At: at,
	}
}

func TestTheOverviewCountsTheLastHourByMinute(t *testing.T) {
	t.Parallel()
	b := local(t)
	for i, age := range []time.Duration{0, 30 * time.Minute, 59 * time.Minute, 61 * time.Minute, 25 * time.Hour, -time.Hour} {
		b.feed.Take(result(b.clock().Add(-age), i))
	}
	said := func() string { return b.want(b.send("/console/numbers", nil), http.StatusOK) }
	if body := said(); !strings.Contains(body, `aria-label="Succeeded: 3 in the last hour, 1 in the busiest minute"`) {
		t.Errorf("counted otherwise: %s", body)
	}
	b.pass(45 * time.Minute)
	if body := said(); !strings.Contains(body, `aria-label="Succeeded: 1 in the last hour`) {
		t.Errorf("45 minutes later counted otherwise: %s", body)
	}
	if strings.Contains(said(), "too small") {
		t.Error("counts are called too small")
	}
	b.feed.Skip()
	if !strings.Contains(said(), "too small") {
		t.Error("nobody says that results were passed over")
	}
}

func TestTheFeedKeepsTheNewestAndNotAll(t *testing.T) {
	t.Parallel()
	b := local(t)
	for i := range 5000 {
		b.feed.Take(result(b.clock(), i))
		b.feed.TakeRejection(console.Rejection{Token: fmt.Sprint("t", i), At: b.clock()})
	}
	live := b.want(b.send("/console/live", nil), http.StatusOK)
	if n := strings.Count(live, "/console/payments/"); n != 30 || !strings.Contains(live, "opay-eg 4999<") {
		t.Errorf("%d results are shown", n)
	}
	if !strings.Contains(live, "12345.00 EGP") {
		t.Error("the amount is not written as people read it")
	}
	rejected := b.want(b.send("/console/rejected", nil), http.StatusOK)
	if n := strings.Count(rejected, "<code>t"); n != 200 || !strings.Contains(rejected, "<code>t4999<") {
		t.Errorf("%d rejections are shown", n)
	}
}

// listener is an open stream.
type listener struct {
	*httptest.ResponseRecorder

	mu   sync.Mutex
	text strings.Builder
	end  chan struct{}
}

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *listener) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// listen opens a stream in a bubble of fake time.
func (b *bundle) listen(ctx context.Context, query string, changes ...change) *listener {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/console/events"+query, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
	r.Header.Set("Accept", "text/event-stream")
	for _, change := range changes {
		change(r)
	}
	l := &listener{ResponseRecorder: httptest.NewRecorder(), end: make(chan struct{})}
	go func() {
		defer close(l.end)
		b.ServeHTTP(l, r)
	}()
	synctest.Wait()
	return l
}

func TestAStreamTellsWhatGoesByAndLooksAtTheQueueAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := local(t)
		ctx, leave := context.WithCancel(t.Context())
		all, one := b.listen(ctx, ""), b.listen(ctx, "?provider=opay-eg&payment=7")
		review := result(b.clock(), 7)
		review.Type, review.Review = payment.EventIndeterminate, true
		b.feed.Take(review)
		b.feed.Take(result(b.clock(), 8))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := all.said(); strings.Count(s, "event: result\n") != 2 || strings.Count(s, "event: queue\n") != 3 || strings.Contains(s, "event: moved") {
			t.Errorf("the stream says %s", s)
		}
		if s := one.said(); strings.Count(s, "event: moved\n") != 1 {
			t.Errorf("the payment's stream says %s", s)
		}
		leave()
		<-all.end
		<-one.end
	})
}

func TestAStreamEndsWithItsSessionAndWithTheService(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, people())
		vera, olaf := b.signIn(viewerToken), b.signIn(operatorToken)
		expired, stays := b.listen(t.Context(), "", with(vera)), b.listen(t.Context(), "", with(olaf))
		b.pass(29 * time.Minute)
		b.want(b.send("/console/", nil, with(olaf)), http.StatusOK)
		b.pass(time.Minute)
		time.Sleep(16 * time.Second)
		synctest.Wait()
		select {
		case <-expired.end:
		default:
			t.Error("a stream outlives its session")
		}
		select {
		case <-stays.end:
			t.Error("a stream ended with another's session")
		default:
		}
		b.feed.Close()
		<-stays.end
		<-b.listen(t.Context(), "", with(olaf)).end // after the end none begins
	})
}

func TestAPageThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := local(t)
		ctx, leave := context.WithCancel(t.Context())
		stuck := b.listen(ctx, "")
		stuck.mu.Lock() // its next write waits
		for i := range 1000 {
			b.feed.Take(result(b.clock(), i))
		}
		stuck.mu.Unlock()
		leave()
		<-stuck.end
	})
}
