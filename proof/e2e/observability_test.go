package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

const (
	givenTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	givenSpan   = "00f067aa0ba902b7"
	traceparent = "00-" + givenTrace + "-" + givenSpan + "-01"
)

// refundTraced publishes a refund that brings a trace.
func (w *world) refundTraced(order string) {
	w.t.Helper()
	if err := w.opay.AddPayment(opaysim.Payment{Reference: order, Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
		w.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": "e-" + order, "source": "/shop", "type": "payment.refund.requested", "traceparent": traceparent,
		"data": map[string]any{
			"idempotencyKey": "k", "provider": "opay-eg", "payment": map[string]any{"orderId": order, "country": "EG"},
			"amount": money{Value: 400, Currency: "EGP"},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.publish(&nats.Msg{Subject: "payment.refund.requested", Data: body})
}

// terminal is what await waits for: n operations have ended.
func terminal(n int) func([]event) string {
	return func(all []event) string {
		ended := 0
		for _, e := range all {
			if e.terminal() {
				ended++
			}
		}
		if ended >= n {
			return ""
		}
		return fmt.Sprintf("%d of %d terminal results", n-ended, n)
	}
}

// metric is the value of a series as it is written on /metrics; "" if absent.
func metric(page, series string) string {
	for line := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// awaitMetric asks /metrics until the series has the value.
func (w *world) awaitMetric(series, want string) {
	w.t.Helper()
	var last string
	w.poll(series+" is not "+want, func() bool {
		_, page := w.ask("/metrics")
		last = metric(page, series)
		return last == want
	})
	if last != want {
		w.t.Errorf("%s %s, want %s", series, last, want)
	}
}

func TestWhatTheServiceDoesIsSeenOnItsMetricsPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	results := w.follow()
	w.serve(nil)
	w.awaitReady(http.StatusOK, "ok")
	w.refundTraced("1001")
	w.publish(command("odd", "refund", map[string]any{
		"idempotencyKey": "k", "provider": "nobody-4111111111111111", "payment": map[string]any{"orderId": "1"}, "full": true,
	}))
	w.publish(&nats.Msg{Subject: "payment.refund.requested", Data: []byte("{")})
	// The answer of this one is lost, and the question after it says "not found" for a while.
	if err := w.opay.Fault(simulator.Fault{Operation: "refund", Mode: simulator.CutAfter, Times: 1}); err != nil {
		t.Fatal(err)
	}
	results.await(terminal(1))
	w.refundTraced("1002")
	results.await(terminal(2))
	const refunds = `countermand_commands_total{operation="refund",outcome="%s",provider="opay-eg"}`
	w.awaitMetric(fmt.Sprintf(refunds, "succeeded"), "2")
	w.awaitMetric(fmt.Sprintf(refunds, "failed"), "0")
	w.awaitMetric(`countermand_commands_total{operation="unknown",outcome="invalid",provider="unknown"}`, "1")
	w.awaitMetric(`countermand_ready`, "1")
	w.awaitMetric(`countermand_topology_fault`, "0")
	w.awaitMetric(`countermand_messages_in_hand{stream="PAYMENT_COMMANDS"}`, "0")
	w.awaitMetric(`countermand_stream_messages{stream="PAYMENT_COMMANDS"}`, "4")
	w.awaitMetric(`countermand_consumer_pending{consumer="commands"}`, "0")

	_, page := w.ask("/metrics")
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	// The whole number: four digits of it stand in a measured time now and then.
	if strings.Contains(page, "nobody") || strings.Contains(page, "4111111111111111") {
		t.Error("a name out of a command is on the page")
	}
	if metric(page, `countermand_command_age_seconds_count{operation="refund",outcome="succeeded",provider="opay-eg"}`) != "2" {
		t.Error("the ages of two results are not there")
	}
	if metric(page, `countermand_provider_call_seconds_count{call="refund",provider="opay-eg",result="indeterminate"}`) != "1" {
		t.Error("the lost answer is not there")
	}
	t.Logf("%s", ours(page))
}

func TestAnOpenOperationIsCountedWhoeverLooks(t *testing.T) {
	t.Parallel()
	w := setupWith(t, opaysim.New(opaysim.Options{FirstStatus: "PENDING", SettleAfter: 1 << 20}))
	results := w.follow()
	first := w.serve(nil)
	w.refundTraced("1001")
	results.await(func(all []event) string {
		if len(all) > 1 {
			return ""
		}
		return "the pending event"
	})
	first() // another process knows nothing of it but what the streams say
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.serve(nil)
	w.awaitMetric(`countermand_open_operations{provider="opay-eg",state="pending"}`, "1")
	w.awaitMetric(`countermand_open_operations_complete`, "1")
	_, page := w.ask("/metrics")
	if age := metric(page, `countermand_oldest_open_operation_seconds{provider="opay-eg",state="pending"}`); age == "" || age == "0" {
		t.Errorf("its age is %q", age)
	}
}

func TestAStreamThatIsSetOtherwiseIsAFault(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.serve(nil)
	w.awaitMetric("countermand_topology_fault", "0")
	s, err := w.js.Stream(t.Context(), "PAYMENT_REJECTED")
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxAge = time.Hour
	if _, err := w.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	w.awaitMetric("countermand_topology_fault", "1")
}

func TestAServerThatAcknowledgesBeforeItWritesIsAFault(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var always atomic.Bool
	monitor := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/varz" {
			fmt.Fprintf(out, `{"server_id":"N","jetstream":{"config":{"sync_always":%t}}}`, always.Load())
		}
	}))
	t.Cleanup(monitor.Close)
	w.cfg.NATS.Monitor = monitor.URL
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.serve(nil)
	w.awaitMetric("countermand_topology_fault", "1")
	always.Store(true)
	w.awaitMetric("countermand_topology_fault", "0")
}

// ours leaves out what is not the service's, and histograms' buckets.
func ours(page string) string {
	var out strings.Builder
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "countermand_") && !strings.Contains(line, "_bucket{") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// stub is a collector that keeps what it is sent.
type stub struct {
	*httptest.Server

	mu    sync.Mutex
	spans []*otlp.Span
	paths []string
	conns int
}

func newStub(t *testing.T) *stub {
	t.Helper()
	s := &stub{}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.conns++
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var in collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paths = append(s.paths, r.Method+" "+r.URL.Path)
	for _, rs := range in.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			s.spans = append(s.spans, ss.GetSpans()...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// tree draws the spans of a trace below one span, in the order they began.
func (s *stub) tree(parent, indent string, times bool) string {
	s.mu.Lock()
	spans := slices.Clone(s.spans)
	s.mu.Unlock()
	slices.SortFunc(spans, func(a, b *otlp.Span) int {
		return int(int64(a.GetStartTimeUnixNano()) - int64(b.GetStartTimeUnixNano()))
	})
	var out strings.Builder
	for _, span := range spans {
		if fmt.Sprintf("%x", span.GetParentSpanId()) != parent || fmt.Sprintf("%x", span.GetTraceId()) != givenTrace {
			continue
		}
		fmt.Fprintf(&out, "%s%s (%s)", indent, span.GetName(), strings.ToLower(strings.TrimPrefix(span.GetKind().String(), "SPAN_KIND_")))
		if times {
			fmt.Fprintf(&out, " %.1f ms %s", float64(span.GetEndTimeUnixNano()-span.GetStartTimeUnixNano())/1e6, attributes(span))
		}
		out.WriteString("\n")
		out.WriteString(s.tree(fmt.Sprintf("%x", span.GetSpanId()), indent+"  ", times))
	}
	return out.String()
}

func attributes(span *otlp.Span) string {
	var words []string
	for _, a := range span.GetAttributes() {
		if v := strings.Trim(strings.SplitN(a.GetValue().String(), ":", 2)[1], `"`); v != "" {
			words = append(words, a.GetKey()+"="+v)
		}
	}
	return strings.Join(words, " ")
}

func TestARefundsTraceGoesFromItsCommandToItsResult(t *testing.T) {
	t.Parallel()
	w := setup(t)
	to := newStub(t)
	w.cfg.Tracing.Endpoint = to.URL
	results := w.follow()
	stop := w.serve(nil)
	w.refundTraced("1001")
	all := results.await(terminal(1))
	w.quiet()
	stop() // sends the last spans
	want := `handle payment.refund.requested (consumer)
  journal append payment.refund.started (producer)
  provider refund opay-eg (client)
  journal append payment.refund.succeeded (producer)
`
	if got := to.tree(givenSpan, "", false); got != want {
		t.Errorf("spans:\n%swant:\n%s", got, want)
	}
	if len(to.paths) == 0 || to.paths[0] != "POST /v1/traces" {
		t.Errorf("asked for %v", to.paths)
	}
	for _, e := range all {
		if e.TraceParent != traceparent {
			t.Errorf("%s carries the trace context %q, want the command's", e.Subject, e.TraceParent)
		}
	}
	t.Logf("trace %s\n%s", givenTrace, to.tree(givenSpan, "", true))
}

// Not parallel: the environment is the exporter's own way to be told an address.
func TestWithoutAnEndpointNoTraceLeaves(t *testing.T) {
	to := newStub(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", to.URL)
	w := setup(t)
	results := w.follow()
	stop := w.serve(nil)
	w.refundTraced("1001")
	results.await(terminal(1))
	w.quiet()
	stop()
	to.mu.Lock()
	defer to.mu.Unlock()
	if to.conns != 0 {
		t.Errorf("%d connections to the collector", to.conns)
	}
}
