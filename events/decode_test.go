package events_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

const refundJSON = `{"idempotencyKey":"order-1001-return-1","provider":"opay-eg",` +
	`"payment":{"orderId":"1001000","country":"EG","currency":"EGP","capturedAmount":{"value":40000,"currency":"EGP"}},` +
	`"amount":{"value":400,"currency":"EGP"},"reason":"item returned"}`

const cancelJSON = `{"idempotencyKey":"order-1001-cancel","provider":"opay-eg","payment":{"orderId":"1001000","country":"EG"}}`

const traceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func newDecoder(t testing.TB) *events.Decoder {
	t.Helper()
	d, err := events.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// envelopeJSON is a structured event around some data; extra is put in front.
func envelopeJSON(typ, extra, data string) []byte {
	return []byte(`{"specversion":"1.0","id":"ev-1","source":"/shop","type":"` + typ + `",` + extra + `"data":` + data + `}`)
}

func structuredRefund(extra, data string) events.Message {
	return events.Message{
		Subject: "payment.refund.requested",
		Header:  map[string][]string{"Content-Type": {"application/cloudevents+json"}},
		Data:    envelopeJSON("payment.refund.requested", extra, data),
	}
}

func binaryRefund(extra map[string][]string, data string) events.Message {
	h := map[string][]string{
		"ce-specversion": {"1.0"}, "ce-id": {"ev-1"}, "ce-source": {"/shop"}, "ce-type": {"payment.refund.requested"},
		"Content-Type": {"application/json"},
	}
	maps.Copy(h, extra)
	return events.Message{Subject: "payment.refund.requested", Header: h, Data: []byte(data)}
}

// wantRefund is refundJSON as a noun.
func wantRefund() payment.Command {
	return payment.Command{
		Op: payment.Refund, Key: "order-1001-return-1", Provider: "opay-eg",
		Payment: payment.Details{
			OrderID: "1001000", Country: "EG", Currency: "EGP",
			CapturedAmount: &payment.Money{Value: 40000, Currency: "EGP"},
		},
		Amount: &payment.Money{Value: 400, Currency: "EGP"}, Reason: "item returned",
		Origin: payment.Origin{CommandID: "ev-1", CommandSource: "/shop"},
	}
}

func TestACommandIsReadInEveryMode(t *testing.T) {
	t.Parallel()
	full := wantRefund()
	full.Time = time.Date(2026, 9, 1, 10, 0, 0, 250_000_000, time.UTC)
	full.Expiry = time.Date(2026, 9, 2, 8, 0, 0, 0, time.UTC)
	full.CorrelationID, full.TraceParent, full.TraceState = `Euro € 😀 100% "q"`, traceParent, "a=b,c=d"

	structured := structuredRefund(`"time":"2026-09-01T12:00:00.25+02:00","expirytime":"2026-09-02T08:00:00Z","subject":"s",`+
		`"correlationid":"Euro € 😀 100% \"q\"","traceparent":"`+traceParent+`","tracestate":"a=b,c=d",`+
		`"priority":5,"urgent":true,"dataschema":"https://example.test/x","datacontenttype":"application/json",`, refundJSON)
	attrs := map[string][]string{
		"ce-time": {"2026-09-01T12:00:00.25+02:00"}, "ce-expirytime": {"2026-09-02T08:00:00Z"}, "ce-subject": {"s"},
		"ce-correlationid": {"Euro%20%e2%82%ac%20%F0%9F%98%80%20100%25%20%22q%22"},
		"ce-traceparent":   {traceParent}, "ce-tracestate": {"a=b,c=d"}, "ce-priority": {"5"},
	}
	titled := binaryRefund(attrs, refundJSON)
	for name, v := range maps.Clone(titled.Header) {
		delete(titled.Header, name)
		titled.Header[strings.ToUpper(name)] = v
	}
	quoted := binaryRefund(attrs, refundJSON)
	quoted.Header["ce-correlationid"] = []string{`"Euro € 😀 100%25 \"q\""`}
	withBoth := structured
	withBoth.Header = map[string][]string{
		"content-type":   {"Application/CloudEvents+json; charset=utf-8"},
		"ce-specversion": {"1.0"}, "ce-id": {"another"}, "ce-type": {"payment.cancel.requested"},
	}
	otherType := structured
	otherType.Header = map[string][]string{"Content-Type": {"text/plain"}, "ce-id": {"another"}}
	bare := structured
	bare.Header = nil
	provider := structured
	provider.Subject = "payment.refund.requested.opay-eg"
	due := structured
	due.Subject = "payment.due.refund"

	bytesOf := structured
	bytesOf.Data = []byte(strings.Replace(string(structured.Data), `"data":`+refundJSON, `"data_base64":"`+base64JSON(refundJSON)+`"`, 1))
	unset := bytesOf
	unset.Data = []byte(strings.Replace(string(bytesOf.Data), `"data_base64":`, `"data":null,"data_base64":`, 1))

	tests := map[string]events.Message{
		"structured, its data as bytes":             bytesOf,
		"structured, its data as bytes, data unset": unset,
		"structured":                                  structured,
		"binary":                                      binaryRefund(attrs, refundJSON),
		"binary, header names in upper case":          titled,
		"binary, a quoted header value":               quoted,
		"a structured content type wins over headers": withBoth,
		"no specversion header: structured, any type": otherType,
		"no headers at all: structured":               bare,
		"on the subject of its provider":              provider,
		"as a timer":                                  due,
	}
	d := newDecoder(t)
	for name, m := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := bytes.Clone(m.Data)
			got, err := d.DecodeCommand(m)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(full, got); diff != "" {
				t.Errorf("command (-want +got):\n%s", diff)
			}
			if !bytes.Equal(before, m.Data) {
				t.Error("the message was changed")
			}
		})
	}
}

func TestACancelAndAFullRefundAreRead(t *testing.T) {
	t.Parallel()
	d := newDecoder(t)
	got, err := d.DecodeCommand(events.Message{
		Subject: "payment.cancel.requested", Data: envelopeJSON("payment.cancel.requested", "", cancelJSON),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := payment.Command{
		Op: payment.Cancel, Key: "order-1001-cancel", Provider: "opay-eg",
		Payment: payment.Details{OrderID: "1001000", Country: "EG"}, Origin: payment.Origin{CommandID: "ev-1", CommandSource: "/shop"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cancel (-want +got):\n%s", diff)
	}
	got, err = d.DecodeCommand(structuredRefund("", `{"idempotencyKey":"k","provider":"p","payment":{"transactionId":"t"},"full":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Full || got.Amount != nil || got.Payment.TransactionID != "t" {
		t.Errorf("full refund: %+v", got)
	}
}

// A client library that traces writes the W3C headers into the NATS message.
func TestATraceInTheMessagesOwnHeadersCountsWhereTheEventHasNone(t *testing.T) {
	t.Parallel()
	const other = "00-11111111111111111111111111111111-2222222222222222-01"
	d := newDecoder(t)
	beside := func(m events.Message, parent string) events.Message {
		headers := map[string][]string{"Traceparent": {parent}, "tracestate": {"a=b"}}
		maps.Copy(headers, m.Header)
		m.Header = headers
		return m
	}
	for name, c := range map[string]struct {
		message events.Message
		want    payment.Trace
	}{
		"structured":                {beside(structuredRefund("", refundJSON), traceParent), payment.Trace{TraceParent: traceParent, TraceState: "a=b"}},
		"binary":                    {beside(binaryRefund(nil, refundJSON), traceParent), payment.Trace{TraceParent: traceParent, TraceState: "a=b"}},
		"the event has its own":     {beside(structuredRefund(`"traceparent":"`+traceParent+`",`, refundJSON), other), payment.Trace{TraceParent: traceParent}},
		"the event's own is broken": {beside(structuredRefund(`"traceparent":"x",`, refundJSON), other), payment.Trace{}},
		"malformed":                 {beside(structuredRefund("", refundJSON), "x"), payment.Trace{}},
	} {
		got, err := d.DecodeCommand(c.message)
		if err != nil || got.Trace != c.want {
			t.Errorf("%s: %+v, %v", name, got.Trace, err)
		}
	}
}

func TestAMalformedTraceContextIsDroppedAndNeverARefusal(t *testing.T) {
	t.Parallel()
	d := newDecoder(t)
	for name, m := range map[string]events.Message{
		"no hex":           structuredRefund(`"traceparent":"00-zaf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=b",`, refundJSON),
		"all zero":         structuredRefund(`"traceparent":"00-00000000000000000000000000000000-b7ad6b7169203331-01",`, refundJSON),
		"a number":         structuredRefund(`"traceparent":7,"tracestate":{},`, refundJSON),
		"broken encoding":  binaryRefund(map[string][]string{"ce-traceparent": {"%zz"}}, refundJSON),
		"given twice":      binaryRefund(map[string][]string{"ce-traceparent": {traceParent, traceParent}}, refundJSON),
		"state without id": structuredRefund(`"tracestate":"a=b",`, refundJSON),
	} {
		got, err := d.DecodeCommand(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(wantRefund(), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	long := structuredRefund(`"traceparent":"`+traceParent+`","tracestate":"`+strings.Repeat("a", 513)+`",`, refundJSON)
	got, err := d.DecodeCommand(long)
	if err != nil || got.TraceParent != traceParent || got.TraceState != "" {
		t.Errorf("too long a tracestate: %q %q %v", got.TraceParent, got.TraceState, err)
	}
}

func TestDataOfEveryMediaTypeForJSONIsRead(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{
		"application/json", "text/json", "application/vnd.shop+json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", " application/json",
	} {
		for mode, m := range map[string]events.Message{
			"structured":                  structuredRefund(`"datacontenttype":"`+contentType+`",`, refundJSON),
			"binary":                      binaryRefund(map[string][]string{"Content-Type": {contentType}}, refundJSON),
			"binary, as an attribute":     binaryRefund(map[string][]string{"ce-datacontenttype": {strings.ReplaceAll(contentType, " ", "%20")}}, refundJSON),
			"structured, as bytes":        structuredRefund(`"datacontenttype":"`+contentType+`","data_base64":"`+base64JSON(refundJSON)+`",`, "null"),
			"binary, without a type":      binaryRefund(map[string][]string{"Content-Type": nil}, refundJSON),
			"structured, null for a type": structuredRefund(`"datacontenttype":null,`, refundJSON),
		} {
			got, err := newDecoder(t).DecodeCommand(m)
			if err != nil {
				t.Errorf("%s in %s mode: %v", contentType, mode, err)
				continue
			}
			if diff := cmp.Diff(wantRefund(), got); diff != "" {
				t.Errorf("%s in %s mode (-want +got):\n%s", contentType, mode, diff)
			}
		}
	}
}

func TestAReasonIsTextOfAnyKind(t *testing.T) {
	t.Parallel()
	for _, reason := range []struct{ sent, kept string }{
		{`two\nlines\r\nand\ttabs`, "two lines  and tabs"},
		{`a line\u2028break of\u0085Unicode`, "a line break of Unicode"},
		{`she said \"no\", l'été \u201cthere\u201d \\ / & <b>`, `she said "no", l'été “there” \ / & <b>`},
		{`returned 👍🏽`, "returned 👍🏽"},
		{`الطلب مرتجع · замовлення · 返品 · ส่งคืน · तक`, "الطلب مرتجع · замовлення · 返品 · ส่งคืน · तक"},
		{`turned \u202eround\u202c, hidden\u200b\ufeff\u2060\u00ad`, "turned round, hidden"},
		{`card 4111\u200b1111\n1111 1111`, "card ******** **** ****"},
		{strings.Repeat("é", 200), strings.Repeat("é", 200)},
		{`\u0000`, " "},
	} {
		got, err := newDecoder(t).DecodeCommand(structuredRefund("", strings.Replace(refundJSON, "item returned", reason.sent, 1)))
		if err != nil {
			t.Errorf("%s: %v", reason.sent, err)
			continue
		}
		if got.Reason != reason.kept {
			t.Errorf("%s is kept as %q, want %q", reason.sent, got.Reason, reason.kept)
		}
	}
}

func TestAReasonIsMaskedOnTheWayIn(t *testing.T) {
	t.Parallel()
	data := strings.Replace(refundJSON, "item returned", "card 4111 1111 1111 1111", 1)
	got, err := newDecoder(t).DecodeCommand(structuredRefund("", data))
	if err != nil {
		t.Fatal(err)
	}
	if got.Reason != "card **** **** **** ****" {
		t.Errorf("reason %q", got.Reason)
	}
}

func TestARefundMayComeYearsAfterItsCurrencyWasWithdrawn(t *testing.T) {
	t.Parallel()
	for code, accepted := range map[string]bool{"BGN": true, "HRK": true, "ANG": true, "SLL": true, "BGM": false, "HKR": false, "DEM": false, "bgn": false} {
		data := fmt.Sprintf(`{"specversion":"1.0","id":"e-1","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"p","payment":{"orderId":"1"},"amount":{"value":400,"currency":%q}}}`, code)
		c, invalid := newDecoder(t).DecodeCommand(events.Message{Subject: "payment.refund.requested", Data: []byte(data)})
		switch {
		case accepted && (invalid != nil || c.Amount.Currency != payment.Currency(code)):
			t.Errorf("%s is refused: %v", code, invalid)
		case !accepted && (invalid == nil || len(invalid.Faults) != 1 || invalid.Faults[0].Rule != "currency" || invalid.Faults[0].Pointer != "/amount/currency"):
			t.Errorf("%s: %+v", code, invalid)
		}
	}
}
