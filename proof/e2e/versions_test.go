package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

// nextVersion stands between today's program and the server, and makes the next
// version of it: whatever that writes says a format one higher, and what it reads
// in that format reads to it as its own. Formats have as many digits, so nothing
// else of the protocol changes.
type nextVersion struct{ url string }

// The journal begins with a message that has no state: a journal is recognised by
// the bytes of its first message, which both must read alike.
func (w *world) startNextVersion() *nextVersion {
	t := w.t
	t.Helper()
	if _, err := w.js.Publish(t.Context(), "payment.operator.note.01JDZZZZZZZZZZZZZZZZZZZZZZ", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	return &nextVersion{url: natstest.Relay(
		t, w.server.URL(),
		func(to io.Writer, from io.Reader) { translate(to, from, toNext) },
		func(to io.Writer, from io.Reader) { translate(to, from, toThis) },
	)}
}

// written is the format of the states in these tests.
func written() int { return payment.State{}.WrittenFormat() }

func formatIs(n int) []byte { return fmt.Appendf(nil, `"format":%d`, n) }

func toNext(payload []byte) []byte {
	return bytes.ReplaceAll(payload, formatIs(written()), formatIs(payment.StateFormat+1))
}

// toThis translates events, and those inside the answer to a read.
func toThis(payload []byte) []byte {
	payload = bytes.ReplaceAll(payload, formatIs(payment.StateFormat+1), formatIs(written()))
	return regexp.MustCompile(`"data":"[A-Za-z0-9+/=]+"`).ReplaceAllFunc(payload, func(member []byte) []byte {
		data, err := base64.StdEncoding.DecodeString(string(member[len(`"data":"`) : len(member)-1]))
		if err != nil {
			return member
		}
		return []byte(`"data":"` + base64.StdEncoding.EncodeToString(bytes.ReplaceAll(data, formatIs(payment.StateFormat+1), formatIs(written()))) + `"`)
	})
}

// translate passes a connection's bytes on, with every message's payload changed.
func translate(to io.Writer, from io.Reader, change func([]byte) []byte) {
	in := bufio.NewReader(from)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		out := line
		words := strings.Fields(string(line))
		if len(words) > 0 && slices.Contains([]string{"PUB", "HPUB", "MSG", "HMSG"}, words[0]) {
			size, err := strconv.Atoi(words[len(words)-1])
			if err != nil {
				return
			}
			payload := make([]byte, size+2)
			if _, err := io.ReadFull(in, payload); err != nil {
				return
			}
			out = append(out, change(payload)...)
		}
		if _, err := to.Write(out); err != nil {
			return
		}
	}
}

// alerts is a log that tells of records of level error.
type alerts struct {
	slog.Handler
	mu   sync.Mutex
	says []string
	news chan struct{} // closed and replaced with each
}

func newAlerts() *alerts {
	return &alerts{Handler: slog.DiscardHandler, news: make(chan struct{})}
}

// Enabled takes errors.
func (*alerts) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

// WithAttrs keeps the handler: the text is what matters.
func (a *alerts) WithAttrs([]slog.Attr) slog.Handler { return a }

// Handle keeps what was said.
func (a *alerts) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(attr slog.Attr) bool { text += " " + attr.String(); return true })
	a.mu.Lock()
	defer a.mu.Unlock()
	a.says = append(a.says, text)
	close(a.news)
	a.news = make(chan struct{})
	return nil
}

// await waits until it was said so often.
func (a *alerts) await(t *testing.T, text string, times int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		a.mu.Lock()
		found, news := strings.Count(strings.Join(a.says, "\n"), text), a.news
		said := strings.Join(a.says, "\n")
		a.mu.Unlock()
		if found >= times {
			return
		}
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("%q was said %d times, want %d, in:\n%s", text, found, times, said)
		}
	}
}

// as is the world with its service at another address, and another log; what waits
// for the other version is tried again soon.
func (w *world) as(url string, log *slog.Logger) (stop func()) {
	w.t.Helper()
	cfg := *w.cfg
	cfg.NATS.URL = url
	return w.run(&cfg, &app.Options{Logger: log, Wrap: comeBackSoon})
}

func TestWhatANewerVersionBeganWaitsForItAndIsNeverGuessedAt(t *testing.T) {
	t.Parallel()
	sim := opaysim.New(opaysim.Options{FirstStatus: "PENDING"})
	w := setupWith(t, sim)
	next := w.startNextVersion()
	results := w.follow()
	const begun = 5
	stopNewer := w.as(next.url, slog.New(slog.DiscardHandler))
	for n := range begun {
		w.opayPayment(n, "SUCCESS")
		w.refundAgain(n, "newer")
	}
	references := map[string]bool{}
	results.await(func(all []event) string {
		for _, e := range all {
			if e.Data.Status == "pending" {
				references[e.Data.ClientReference] = true
			}
		}
		if len(references) < begun {
			return "operations that the newer version began"
		}
		return ""
	})
	stopNewer()
	before, _ := results.all()
	for _, e := range before {
		if format := w.format(e.Subject); format != payment.StateFormat+1 {
			t.Fatalf("%s has format %d: the newer version is none", e.Subject, format)
		}
	}

	// Rolled back: the older version alone. Timers, repeats and new commands of
	// these payments wait, with an alert; others are carried out.
	seen := newAlerts()
	stopOlder := w.as(w.server.URL(), slog.New(seen))
	for n := range begun {
		w.refundAgain(n, "newer") // a repeat
		w.refundAgain(n, "another")
	}
	w.opayPayment(begun, "SUCCESS")
	w.refundAgain(begun, "older")
	seen.await(t, "newer format", 2*begun) // a repeat's timer takes the place of the operation's own
	for reference := range references {
		if err := sim.Settle(reference); err != nil {
			t.Fatal(err)
		}
	}
	results.await(func(all []event) string {
		for _, e := range all[len(before):] {
			if e.Data.IdempotencyKey == "older" && e.Data.Status == "pending" {
				if err := sim.Settle(e.Data.ClientReference); err != nil {
					t.Fatal(err)
				}
				return ""
			}
		}
		return "what the older version began itself"
	})
	after, _ := results.all()
	for _, e := range after[len(before):] {
		if e.rejection() || e.Data.IdempotencyKey != "older" {
			t.Errorf("the older version wrote %s (%s %s)", e.Subject, e.Data.IdempotencyKey, e.Data.Code)
		}
	}

	// Rolled out again: all of it ends, what the older version began too.
	stopOlder()
	w.as(next.url, slog.New(slog.DiscardHandler))
	results.await(func(all []event) string {
		for _, e := range all {
			if e.Data.IdempotencyKey == "another" && e.Data.Status == "pending" {
				_ = sim.Settle(e.Data.ClientReference) // again and again
			}
		}
		return unsettled(all, 2*begun+1)
	})
	for n := range begun {
		if moved := sim.Ledger().Count(string(payment.Refund), fmt.Sprintf("order-%d", n)); moved != 2 {
			t.Errorf("payment %d was refunded %d times, want twice: once for each key", n, moved)
		}
	}
}

// format is the format of the state in an event.
func (w *world) format(subject string) int {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), w.cfg.Streams.Events)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(w.t.Context(), subject)
	if err != nil {
		w.t.Fatal(err)
	}
	found := regexp.MustCompile(`"format":([0-9]+)`).FindSubmatch(m.Data)
	if found == nil {
		w.t.Fatalf("%s has no state", subject)
	}
	format, err := strconv.Atoi(string(found[1]))
	if err != nil {
		w.t.Fatal(err)
	}
	return format
}

// refundAgain publishes another refund of a payment there is.
func (w *world) refundAgain(n int, key string) {
	w.t.Helper()
	w.publish(command(fmt.Sprintf("again-%d-%s", n, key), "refund", map[string]any{
		"idempotencyKey": key, "provider": "opay-eg", "payment": map[string]any{"orderId": fmt.Sprintf("order-%d", n), "country": "EG", "capturedAmount": egp(40000)},
		"amount": egp(400),
	}))
}

func TestTwoVersionsSideBySideUnderLoadMoveMoneyOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	next := w.startNextVersion()
	results := w.follow()
	quiet := slog.New(slog.DiscardHandler)
	const payments, early = 60, 20
	ended := func(n int) []event {
		return results.await(func(all []event) string { return unsettled(all, n) })
	}
	// The rollout begins: the newer version comes first to some payments, the
	// older to others, and either to more of both.
	stopNewer := w.as(next.url, quiet)
	for n := range early {
		w.opayPayment(n, "SUCCESS")
		w.refundAgain(n, "a")
	}
	ended(early)
	stopNewer()
	stopOlder := w.as(w.server.URL(), quiet)
	for n := early; n < 2*early; n++ {
		w.opayPayment(n, "SUCCESS")
		w.refundAgain(n, "a")
	}
	ended(2 * early)
	w.as(next.url, quiet)
	for n := range payments {
		if n >= 2*early {
			w.opayPayment(n, "SUCCESS")
			w.refundAgain(n, "a")
		}
		w.refundAgain(n, "b")
		w.refundAgain(n, "c")
	}
	results.await(func(all []event) string {
		if len(all) < 4*payments {
			return "the first results of both"
		}
		return ""
	})
	stopOlder() // the rollout ends; what waited for the newer version goes on
	all := ended(3 * payments)
	formats := map[int]int{}
	for _, e := range all {
		formats[w.format(e.Subject)]++
		if e.terminal() && e.Data.Status != "succeeded" || e.rejection() {
			t.Errorf("%s: %s %s", e.Subject, e.Data.Status, e.Data.Code)
		}
	}
	if formats[written()] == 0 || formats[payment.StateFormat+1] == 0 {
		t.Errorf("events by format: %v; one version did nothing", formats)
	}
	for n := range payments {
		if moved := w.opay.Ledger().Count(string(payment.Refund), fmt.Sprintf("order-%d", n)); moved != 3 {
			t.Errorf("payment %d was refunded %d times, want 3", n, moved)
		}
	}
	t.Logf("%d operations, events by format: %v", 3*payments, formats)
}
