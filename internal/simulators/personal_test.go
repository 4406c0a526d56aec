package simulators_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/providertest"
	"github.com/countermand/countermand/providers/simulator"
)

// customer is what a provider's careless text might say of one. Each part is looked
// for as letters and digits alone, so that other punctuation hides nothing.
func customer() []string {
	return []string{
		"Brânză", "Çelik", "o.branza@example.net", "4000 00** **** 0119", "5105 1051 0510 5100", "+40 721 555 013",
		"RO49 AAAA 1B31 0075 9384 0000",
	}
}

// careless are the texts: a sentence with everything in it, and each alone, as it
// might stand where a code or a reference belongs. A telephone number without its sign
// and a name of three letters look like identifiers, and are not among them.
func careless() []string {
	all := customer()
	return append([]string{
		"Refund to card 4000 00** **** 0119 of Oksana Brânză-Çelik <o.branza@example.net>, tel. +40 721 555 013, was declined; " +
			"use RO49 AAAA 1B31 0075 9384 0000 or card 5105 1051 0510 5100",
		"Brânză", "RO49AAAA1B31007593840000", "5105105105105100", "4000 00** **** 0119",
	}, all[2], all[5])
}

func TestNothingThatAProviderSaysOfACustomerIsTold(t *testing.T) {
	t.Parallel()
	for _, k := range simulators.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			c := newCareless(t, k)
			c.record()
			for _, recorded := range c.answers {
				c.reworded(recorded)
			}
			for _, text := range careless() {
				c.inAnotherForm(text)
			}
			if c.asked < 300 || len(c.answers) < 4 {
				t.Errorf("%d calls with %d kinds of answer prove little", c.asked, len(c.answers))
			}
			c.judge()
		})
	}
}

// carelessProvider is an adapter in front of its simulator whose answers are reworded.
type carelessProvider struct {
	t       *testing.T
	kind    simulator.Kind
	sim     simulator.Simulated
	adapter providers.Adapter
	asked   int

	mu      sync.Mutex
	shown   bytes.Buffer
	answers []answer // as the simulator gave them
	payment int      // the one that is asked about
	instead *answer
}

// answer is one answer over HTTP, about the payment of that number.
type answer struct {
	payment     int
	status      int
	contentType string
	body        []byte
}

func newCareless(t *testing.T, k simulator.Kind) *carelessProvider {
	t.Helper()
	c := &carelessProvider{t: t, kind: k, sim: k.New(simulator.Manner{})}
	for n := range 3 {
		if err := c.sim.Seed(k.Seed(k.Names()[n], k.Amount, simulator.Paid)); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(c)
	client := providers.NewClient(&providers.ClientOptions{
		Logger: slog.New(slog.NewJSONHandler(c, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	t.Cleanup(func() {
		c.sim.Close()
		client.CloseIdle()
		server.Close()
	})
	var err error
	if c.adapter, err = simulators.Open(k, server.URL, client); err != nil {
		t.Fatal(err)
	}
	return c
}

// ServeHTTP gives the answer that is set, or the simulator's, and keeps the latter.
func (c *carelessProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	instead := c.instead
	c.mu.Unlock()
	if instead == nil {
		recorder := httptest.NewRecorder()
		c.sim.ServeHTTP(recorder, r)
		instead = &answer{c.payment, recorder.Code, recorder.Header().Get("Content-Type"), recorder.Body.Bytes()}
		c.mu.Lock()
		c.answers = append(c.answers, *instead)
		c.mu.Unlock()
	}
	w.Header().Set("Content-Type", instead.contentType)
	w.WriteHeader(instead.status)
	_, _ = w.Write(instead.body)
}

// Write keeps what is logged.
func (c *carelessProvider) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown.Write(line)
}

// record has the simulator answer: to a decline, a refund, its repeat, questions, and
// about a payment that there is not.
func (c *carelessProvider) record() {
	if err := c.sim.Fault(simulator.Fault{Mode: simulator.Decline, Payment: c.kind.Names()[0], Times: 1}); err != nil {
		c.t.Fatal(err)
	}
	for _, n := range []int{0, 1, 1, 9} {
		c.payment = n
		c.ask(c.request(n))
	}
}

// reworded has the adapter read an answer with each of its values in turn replaced by
// the sentence and by one other text, another one each time.
func (c *carelessProvider) reworded(a answer) {
	var words []string
	for _, text := range careless() {
		quoted, err := json.Marshal(text)
		if err != nil {
			c.t.Fatal(err)
		}
		words = append(words, string(quoted))
	}
	for script := range providertest.EveryChange(a.body, len(words)) {
		where, word := int(script[1]), int(script[2])
		if script[0] == 0 && (word == 0 || word == 1+(where+len(a.body))%(len(words)-1)) {
			c.reads(answer{a.payment, a.status, a.contentType, providertest.Reshape(a.body, script, words...)})
		}
	}
}

// inAnotherForm has the adapter read a text that stands alone, in other forms than the
// provider's own.
func (c *carelessProvider) inAnotherForm(text string) {
	for _, status := range []int{200, 202, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503} {
		for contentType, form := range map[string]string{
			"text/plain": "%s", "text/html": "<html><title>%s</title></html>", "application/xml": "<error>%s</error>",
			"application/problem+json": `{"title":%q,"detail":%[1]q,"message":%[1]q,"error":%[1]q}`, "application/json": `{"code":%q`,
		} {
			c.reads(answer{2, status, contentType, fmt.Appendf(nil, form, text)})
		}
	}
}

// reads has the adapter read an answer in all three ways.
func (c *carelessProvider) reads(a answer) {
	c.mu.Lock()
	c.instead = &a
	c.mu.Unlock()
	r := c.request(a.payment)
	c.ask(r)
	r.InDoubt, r.Snapshot = true, &payment.Reading{OK: true, Status: payment.PaymentPaid}
	c.ask(r)
}

// ask calls, queries and reads, and keeps what comes back.
func (c *carelessProvider) ask(r providers.Request) {
	outcomes := []payment.Outcome{c.adapter.Call(c.t.Context(), r), c.adapter.QueryStatus(c.t.Context(), r)}
	reading := c.adapter.Read(c.t.Context(), r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	for i := range outcomes {
		outcomes[i].Moved, outcomes[i].Fee = nil, nil // numbers that are read as amounts
	}
	fmt.Fprintf(&c.shown, "%+v\n%s %s\n", outcomes, reading.Message, reading.Code)
	for _, m := range reading.Movements {
		fmt.Fprintln(&c.shown, m.Reference)
	}
}

// judge looks for the customer in all that was told.
func (c *carelessProvider) judge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range strings.Lines(c.shown.String()) {
		for _, datum := range customer() {
			if strings.Contains(letters(line), letters(datum)) {
				c.t.Fatalf("%q is told: %s", datum, line)
			}
		}
	}
}

// letters is a text in small letters and digits alone.
func letters(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, text)
}

// request is a partial refund of the n-th payment; there are three.
func (c *carelessProvider) request(n int) providers.Request {
	ids := c.kind.Identifiers(c.kind.Names()[n])
	return providers.Request{
		Op: payment.Refund, Amount: &payment.Money{Value: 400, Currency: payment.Currency(c.kind.Currency)},
		Payment: payment.Details{
			OrderID: ids["orderId"], TransactionID: ids["transactionId"], Country: ids["country"], Currency: payment.Currency(c.kind.Currency),
		},
		Key: "key", Reference: fmt.Sprintf("0123456789abcdef0123456789abcde%d", n), Attempt: 1,
	}
}
