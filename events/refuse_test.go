package events_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// edit replaces a part of refundJSON, which must be there.
func edit(t *testing.T, from, to string) string {
	t.Helper()
	if !strings.Contains(refundJSON, from) {
		t.Fatalf("%q is not in the sample", from)
	}
	return strings.Replace(refundJSON, from, to, 1)
}

func base64JSON(data string) string { return base64.StdEncoding.EncodeToString([]byte(data)) }

// faultsOf returns the faults as "pointer rule" lines, and fails on a command.
func faultsOf(t *testing.T, m events.Message) []string {
	t.Helper()
	c, err := newDecoder(t).DecodeCommand(m)
	if err == nil {
		t.Fatalf("accepted: %+v", c)
	}
	if diff := cmp.Diff(payment.Command{}, c); diff != "" {
		t.Errorf("a refused message gave a command:\n%s", diff)
	}
	if err.Code != payment.CodeInvalidCommand {
		t.Errorf("code %q", err.Code)
	}
	var lines []string
	for _, f := range err.Faults {
		lines = append(lines, f.Pointer+" "+f.Rule)
	}
	return lines
}

func TestBadDataIsRefusedWithWhereAndWhy(t *testing.T) {
	t.Parallel()
	const amount = `"amount":{"value":400,"currency":"EGP"}`
	const value = `"value":400,`
	const orderID = `"1001000"`
	long := strings.Repeat("a", 256)
	tests := []struct {
		name     string
		from, to string
		want     string
	}{
		{"unknown field", `"reason":`, `"raeson":`, "/raeson unknown"},
		{"misspelt amount", `"amount":`, `"ammount":`, "/ammount unknown,/amount required"},
		{"amount in capitals", `"amount":`, `"AMOUNT":`, "/AMOUNT unknown,/amount required"},
		{"unknown field in payment", `"country":`, `"Country":`, "/payment/Country unknown"},
		{"unknown field in money", value, value + `"x":1,`, "/amount/x unknown"},
		{"amount 0", value, `"value":0,`, "/amount/value min"},
		{"amount -0", value, `"value":-0,`, "/amount/value min"},
		{"amount negative", value, `"value":-5,`, "/amount/value min"},
		{"amount below int64", value, `"value":-99999999999999999999,`, "/amount/value min"},
		{"amount 1.5", value, `"value":1.5,`, "/amount/value type"},
		{"amount 1e3", value, `"value":1e3,`, "/amount/value type"},
		{"amount 400.0", value, `"value":400.0,`, "/amount/value type"},
		{"amount as text", value, `"value":"400",`, "/amount/value type"},
		{"amount 2^53", value, `"value":9007199254740992,`, "/amount/value max"},
		{"amount beyond int64", value, `"value":99999999999999999999,`, "/amount/value max"},
		{"amount without value", value, ``, "/amount/value required"},
		{"amount without currency", amount, `"amount":{"value":400}`, "/amount/currency required"},
		{"amount null", amount, `"amount":null`, "/amount type"},
		{"amount a number", amount, `"amount":400`, "/amount type"},
		{"amount an array", amount, `"amount":[{"value":400,"currency":"EGP"}]`, "/amount type"},
		{"value null", value, `"value":null,`, "/amount/value type"},
		{"amount and full", amount, amount + `,"full":true`, "/full exclusive"},
		{"faulty amount and full", amount, `"amount":"x","full":true`, "/amount type,/full exclusive"},
		{"neither", amount + ",", ``, "/amount required"},
		{"full false", amount, `"full":false`, "/full one_of"},
		{"full null", amount, `"full":null`, "/full type"},
		{"full as text", amount, `"full":"true"`, "/full type"},
		{"full as number", amount, `"full":1`, "/full type"},
		{"currency with space", `400,"currency":"EGP"`, `400,"currency":"EUR "`, "/amount/currency currency"},
		{"currency in lower case", `400,"currency":"EGP"`, `400,"currency":"egp"`, "/amount/currency currency"},
		{"no currency XXX", `400,"currency":"EGP"`, `400,"currency":"XXX"`, "/amount/currency currency"},
		{"gold", `400,"currency":"EGP"`, `400,"currency":"XAU"`, "/amount/currency currency"},
		{"currency empty", `400,"currency":"EGP"`, `400,"currency":""`, "/amount/currency min"},
		{"payment currency", `"currency":"EGP","captured`, `"currency":"ZZZ","captured`, "/payment/currency currency"},
		{"captured amount 0", `40000`, `0`, "/payment/capturedAmount/value min"},
		{"captured amount null", `{"value":40000,"currency":"EGP"}`, `null`, "/payment/capturedAmount type"},
		{"country unknown", `"EG"`, `"ZZ"`, "/payment/country country"},
		{"country in lower case", `"EG"`, `"eg"`, "/payment/country country"},
		{"country alpha-3", `"EG"`, `"EGY"`, "/payment/country country"},
		{"key missing", `"idempotencyKey":"order-1001-return-1",`, ``, "/idempotencyKey required"},
		{"key empty", `order-1001-return-1`, ``, "/idempotencyKey min"},
		{"key too long", `order-1001-return-1`, long, "/idempotencyKey max"},
		{"key with space", `order-1001-return-1`, `a b`, "/idempotencyKey pattern"},
		{"key null", `"order-1001-return-1"`, `null`, "/idempotencyKey type"},
		{"provider missing", `"provider":"opay-eg",`, ``, "/provider required"},
		{"provider in capitals", `opay-eg`, `OPay`, "/provider pattern"},
		{"provider with dot", `opay-eg`, `opay.eg`, "/provider pattern"},
		{"provider starting with dash", `opay-eg`, `-opay`, "/provider pattern"},
		{"provider of 33", `opay-eg`, strings.Repeat("a", 33), "/provider pattern"},
		{"no identifier", `"orderId":"1001000",`, ``, "/payment required"},
		{"identifier empty", orderID, `""`, "/payment/orderId min"},
		{"identifier null", orderID, `null`, "/payment/orderId type"},
		{"identifier a number", orderID, `1001000`, "/payment/orderId type"},
		{"identifier of 65", orderID, `"` + strings.Repeat("a", 65) + `"`, "/payment/orderId max"},
		{"identifier with space", orderID, `"a b"`, "/payment/orderId pattern"},
		{"identifier with line break", orderID, `"a\nb"`, "/payment/orderId pattern"},
		{"identifier with control character", orderID, `"a\u0000b"`, "/payment/orderId pattern"},
		{"identifier with emoji", orderID, `"😀"`, "/payment/orderId pattern"},
		{"second identifier bad", orderID, orderID + `,"transactionId":"a b"`, "/payment/transactionId pattern"},
		{"payment missing", `"payment":`, `"paymint":`, "/paymint unknown,/payment required"},
		{"duplicate name", value, value + value, "/amount/value duplicate"},
		{"duplicate object", amount, amount + "," + amount, "/amount duplicate"},
		{"reason of 201", `item returned`, strings.Repeat("é", 201), "/reason max"},
		{"reason null", `"item returned"`, `null`, "/reason type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data := edit(t, tt.from, tt.to)
			want := strings.Split(tt.want, ",")
			for mode, m := range map[string]events.Message{
				"structured": structuredRefund("", data), "binary": binaryRefund(nil, data),
			} {
				if diff := cmp.Diff(want, faultsOf(t, m)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", mode, diff)
				}
			}
		})
	}
}

func TestBadMessagesAreRefusedWithWhereAndWhy(t *testing.T) {
	t.Parallel()
	with := func(m events.Message, subject string) events.Message { m.Subject = subject; return m }
	raw := func(s string) events.Message {
		return events.Message{Subject: "payment.refund.requested", Data: []byte(s)}
	}
	head := func(name string, values ...string) events.Message {
		return binaryRefund(map[string][]string{name: values}, refundJSON)
	}
	attr := func(extra string) events.Message { return structuredRefund(extra, refundJSON) }
	replaced := func(from, to string) events.Message {
		m := attr("")
		m.Data = []byte(strings.Replace(string(m.Data), from, to, 1))
		return m
	}
	called := func(s string) events.Message {
		m := attr("")
		m.Data = []byte(s)
		return m
	}
	foreign := func(names ...string) events.Message {
		m := raw(refundJSON)
		m.Header = map[string][]string{"content-type": {"application/json"}}
		for _, name := range names {
			m.Header[name] = []string{"1.0"}
		}
		return m
	}
	batch := raw(`[` + string(attr("").Data) + `]`)
	batchType := attr("")
	batchType.Header = map[string][]string{"content-type": {"application/cloudevents-batch+json"}}
	cancel := func(data string) events.Message {
		return events.Message{Subject: "payment.cancel.requested", Data: envelopeJSON("payment.cancel.requested", "", data)}
	}
	tests := []struct {
		name string
		m    events.Message
		want string
	}{
		{"empty", raw(""), "ce json"},
		{"not JSON", raw("hello"), "ce json"},
		{"cut JSON", raw(`{"specversion":"1.0",`), "ce json"},
		{"invalid UTF-8", raw("{\"id\":\"\xff\"}"), "ce json"},
		{"a number", raw("7"), "ce type"},
		{"trailing data", raw(string(attr("").Data) + "{}"), "ce json"},
		{"trailing data behind binary data", binaryRefund(nil, refundJSON+"x"), " json"},
		{"batch", batch, "ce batch"},
		{"batch by content type", batchType, "ce batch"},
		{"JSON but no CloudEvent", raw(`{}`), "ce-specversion required"},
		{"JSON but no CloudEvent, called one", called(`{}`), "ce-id required,ce-source required,ce-specversion required,ce-type required, required"},
		{"bare data", raw(refundJSON), "ce-specversion required"},
		{"an event without its version", replaced(`"specversion":"1.0",`, ``), "ce-specversion required"},
		{"as the Kafka binding writes it", foreign("ce_specversion", "ce_id", "ce_source", "ce_type"), "ce-specversion required"},
		{"as the MQTT binding writes it", foreign("specversion", "id", "source", "type"), "ce-specversion required"},
		{"as the AMQP binding writes it", foreign("cloudEvents:specversion", "cloudEvents:id"), "ce-specversion required"},
		{"as the AMQP binding also writes it", foreign("cloudEvents_specversion", "cloudEvents_id"), "ce-specversion required"},
		{"wrong spec version", replaced(`"1.0"`, `"0.3"`), "ce-specversion specversion"},
		{"spec version a number", replaced(`"1.0"`, `1.0`), "ce-specversion type"},
		{"wrong spec version, binary", head("ce-specversion", "1.1"), "ce-specversion specversion"},
		{"data_base64 of other data", replaced(`"data":`+refundJSON, `"data_base64":"e30="`), "/idempotencyKey required,/provider required,/payment required,/amount required"},
		{"data_base64 of no JSON", replaced(`"data":`+refundJSON, `"data_base64":"aGVsbG8="`), " json"},
		{"data_base64 of nothing", replaced(`"data":`+refundJSON, `"data_base64":""`), " required"},
		{"data_base64 no base64", replaced(`"data":`+refundJSON, `"data_base64":"e30"`), "ce-data_base64 encoding"},
		{"data_base64 no text", replaced(`"data":`+refundJSON, `"data_base64":{}`), "ce-data_base64 type"},
		{"data_base64 beside data", attr(`"data_base64":"e30=",`), "ce-data_base64 exclusive"},
		{"data_base64 twice", attr(`"data_base64":null,"data_base64":"e30=",`), "ce-data_base64 duplicate"},
		{"data_base64 of a type that is not JSON", replaced(`"data":`+refundJSON, `"datacontenttype":"text/plain","data_base64":"`+base64JSON(refundJSON)+`"`), "ce-datacontenttype one_of"},
		{"data_base64, binary", head("ce-data_base64", "e30="), "ce-data_base64 unknown"},
		{"data that is not JSON", attr(`"datacontenttype":"text/plain",`), "ce-datacontenttype one_of"},
		{"data that is not JSON, binary", head("Content-Type", "application/octet-stream"), "ce-datacontenttype one_of"},
		{"data that is not JSON by its attribute, binary", head("ce-datacontenttype", "application/xml"), "ce-datacontenttype one_of"},
		{"data that is several JSON values", attr(`"datacontenttype":"application/json-seq",`), "ce-datacontenttype one_of"},
		{"a byte order mark", raw("\ufeff" + string(attr("").Data)), "ce json"},
		{"a byte order mark, binary", binaryRefund(nil, "\ufeff"+refundJSON), " json"},
		{"data missing", replaced(`,"data":`+refundJSON, ``), " required"},
		{"data null", structuredRefund("", "null"), " required"},
		{"data missing, binary", binaryRefund(nil, ""), " required"},
		{"data a text", structuredRefund("", `"{}"`), " type"},
		{"data null, binary", binaryRefund(nil, "null"), " type"},
		{"data an array", structuredRefund("", `[]`), " type"},
		{"data cut, binary", binaryRefund(nil, refundJSON[:40]), " json"},
		{"data no UTF-8", binaryRefund(nil, strings.Replace(refundJSON, "item", "\xc0\xaf", 1)), " json"},
		{"type and subject disagree", with(attr(""), "payment.cancel.requested"), "ce-type subject"},
		{"type and timer subject disagree", with(attr(""), "payment.due.cancel"), "ce-type subject"},
		{"a subject of something else", with(attr(""), "payment.refund.succeeded.opay-eg.1.1"), "ce-type subject"},
		{"a subject too deep", with(attr(""), "payment.refund.requested.opay-eg.x"), "ce-type subject"},
		{"a subject with an empty provider", with(attr(""), "payment.refund.requested."), "ce-type subject"},
		{"the subject of another provider", with(attr(""), "payment.refund.requested.bento-uk"), "/provider subject"},
		{"type unknown", replaced(`"payment.refund.requested"`, `"payment.refund.done"`), "ce-type one_of"},
		{"type in capitals", replaced(`"type"`, `"Type"`), "ce-Type name,ce-type required"},
		{"type null", replaced(`"payment.refund.requested"`, `null`), "ce-type required"},
		{"type with the provider", replaced(`"payment.refund.requested"`, `"payment.refund.requested.opay-eg"`), "ce-type one_of"},
		{"id missing", replaced(`"id":"ev-1",`, ``), "ce-id required"},
		{"id blank", replaced(`"ev-1"`, `" "`), "ce-id required"},
		{"id too long", replaced(`ev-1`, strings.Repeat("é", 129)), "ce-id max"},
		{"id with line break", replaced(`ev-1`, `a\r\nb`), "ce-id pattern"},
		{"id with Unicode line break", replaced(`ev-1`, `a\u2028b`), "ce-id pattern"},
		{"id with encoded line break", head("ce-id", "a%0d%0aNats-Rollup:%20all"), "ce-id pattern"},
		{"id a number", replaced(`"ev-1"`, `5`), "ce-id type"},
		{"id twice", attr(`"id":"ev-2",`), "ce-id duplicate"},
		{"id twice, binary", head("Ce-Id", "ev-2"), "ce-id duplicate"},
		{"id twice in one header", head("ce-id", "ev-1", "ev-1"), "ce-id duplicate"},
		{"type twice", attr(`"type":"payment.cancel.requested",`), "ce-type duplicate"},
		{"data twice", replaced(`"data":`, `"data":`+refundJSON+`,"data":`), "ce-data duplicate"},
		{"extension twice", attr(`"x":"1","x":"2",`), "ce-x duplicate"},
		{"source too long", replaced(`/shop`, strings.Repeat("a", 256)), "ce-source max"},
		{"source no URI", replaced(`/shop`, `:a%`), "ce-source pattern"},
		{"source missing", replaced(`"source":"/shop",`, ``), "ce-source required"},
		{"correlation id too long", attr(`"correlationid":"` + strings.Repeat("a", 256) + `",`), "ce-correlationid max"},
		{"correlation id with tab", attr(`"correlationid":"a\tb",`), "ce-correlationid pattern"},
		{"expiry no time", attr(`"expirytime":"tomorrow",`), "ce-expirytime time"},
		{"expiry empty", attr(`"expirytime":"",`), "ce-expirytime time"},
		{"expiry without zone", attr(`"expirytime":"2026-09-01T10:00:00",`), "ce-expirytime time"},
		{"expiry at the zero time", attr(`"expirytime":"0001-01-01T00:00:00Z",`), "ce-expirytime range"},
		{"expiry given twice", attr(`"expirytime":"2026-09-01T10:00:00Z","expirytime":"2036-09-01T10:00:00Z",`), "ce-expirytime duplicate"},
		{"time with one digit of hours", attr(`"time":"2026-09-01T1:00:00Z",`), "ce-time time"},
		{"time in the year 10000 of UTC", attr(`"time":"9999-12-31T23:59:59-01:00",`), "ce-time range"},
		{"time with comma", attr(`"time":"2026-09-01T10:00:00,5Z",`), "ce-time time"},
		{"overlong UTF-8", head("ce-id", "%c0%af"), "ce-id encoding"},
		{"percent cut", head("ce-id", "abc%4"), "ce-id encoding"},
		{"percent no hex", head("ce-id", "100%zz"), "ce-id encoding"},
		{"open quote", head("ce-id", `"abc`), "ce-id encoding"},
		{"schema no URI", attr(`"dataschema":"%",`), "ce-dataschema cloudevents"},
		{"content type of data malformed", attr(`"datacontenttype":"/",`), "ce-datacontenttype cloudevents"},
		{"content type malformed, binary", head("Content-Type", "/"), "ce-datacontenttype cloudevents"},
		{"extension an object", attr(`"x":{},`), "ce-x type"},
		{"extension a fraction", attr(`"x":1.5,`), "ce-x type"},
		{"extension with a bad name", attr(`"my-ext":"1",`), "ce-my-ext name"},
		{"cancel with amount", cancel(strings.Replace(cancelJSON, `{`, `{"amount":{"value":1,"currency":"EGP"},`, 1)), "/amount unknown"},
		{"cancel with full", cancel(strings.Replace(cancelJSON, `{`, `{"full":true,`, 1)), "/full unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(strings.Split(tt.want, ","), faultsOf(t, tt.m)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMessageThatAnnouncesNoModeIsToldSoAndNothingElse(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"":                         "no ce-specversion and no CloudEvents Content-Type",
		"ce_specversion":           "no ce-specversion and no CloudEvents Content-Type; ce_specversion is another binding's",
		"SpecVersion":              "no ce-specversion and no CloudEvents Content-Type; specversion is another binding's",
		"cloudEvents:specversion":  "no ce-specversion and no CloudEvents Content-Type; cloudevents:specversion is another binding's",
		"CloudEvents_SpecVersion":  "no ce-specversion and no CloudEvents Content-Type; cloudevents_specversion is another binding's",
		"specversion-of-something": "no ce-specversion and no CloudEvents Content-Type",
	} {
		m := events.Message{Subject: "payment.refund.requested", Header: map[string][]string{header: {"1.0"}}, Data: []byte(refundJSON)}
		_, err := newDecoder(t).DecodeCommand(m)
		if want := []payment.Fault{{Pointer: "ce-specversion", Rule: "required", Detail: want}}; err == nil || cmp.Diff(want, err.Faults) != "" {
			t.Errorf("%s: %v", header, err)
		}
		if len(want) > 100 {
			t.Errorf("%d characters are too long for a detail", len(want))
		}
	}
	// Headers of another binding beside an event that is whole do no harm, whatever the event's faults are.
	whole := structuredRefund("", refundJSON)
	whole.Header = map[string][]string{"ce_specversion": {"1.0"}, "specversion": {"1.0"}}
	if _, err := newDecoder(t).DecodeCommand(whole); err != nil {
		t.Error(err)
	}
}

func TestAByteOrderMarkIsNamedWhereItStands(t *testing.T) {
	t.Parallel()
	event := envelopeJSON("payment.refund.requested", "", refundJSON)
	for name, m := range map[string]events.Message{
		"structured": {Subject: "payment.refund.requested", Data: append([]byte("\ufeff"), event...)},
		"binary":     binaryRefund(nil, "\ufeff"+refundJSON),
		"base64":     structuredRefund(`"data_base64":"`+base64JSON("\ufeff"+refundJSON)+`",`, "null"),
	} {
		_, err := newDecoder(t).DecodeCommand(m)
		if err == nil || len(err.Faults) != 1 || !strings.HasPrefix(err.Faults[0].Detail, "begins with a byte order mark of UTF-8") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAllFaultsComeAtOnceEnvelopeFirst(t *testing.T) {
	t.Parallel()
	m := structuredRefund(`"expirytime":"x",`, `{"provider":"A","payment":{"orderId":"a b","country":"XX"},"amount":{"value":1.5,"currency":"XXX"},"full":false,"note":1}`)
	m.Subject = "payment.refund.requested.opay-eg"
	want := []string{
		"ce-expirytime time",
		"/amount/value type", "/note unknown",
		"/idempotencyKey required", "/provider pattern", "/payment/orderId pattern", "/payment/country country",
		"/amount/currency currency", "/full one_of",
	}
	if diff := cmp.Diff(want, faultsOf(t, m)); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestARefusalKeepsWhatNamesTheCommandAndNoValues(t *testing.T) {
	t.Parallel()
	const secret = "4111111111111111"
	m := structuredRefund(`"correlationid":"corr","traceparent":"`+traceParent+`",`,
		`{"idempotencyKey":"`+secret+` x","provider":"`+secret+`.","`+secret+`":1,"payment":{"orderId":"`+secret+` "}}`)
	_, err := newDecoder(t).DecodeCommand(m)
	if err == nil {
		t.Fatal("accepted")
	}
	if err.CommandID != "ev-1" || err.CorrelationID != "corr" || err.TraceParent != traceParent {
		t.Errorf("identifiers: %+v", err)
	}
	if text := err.Error() + fmt.Sprintf("%+v", err.Faults); strings.Contains(text, secret) {
		t.Errorf("a value of the message is in the error: %s", text)
	}
	_, err = newDecoder(t).DecodeCommand(events.Message{Data: []byte(`{"id":"a\u0000","correlationid":"ok",`)})
	if err == nil || err.CommandID != "" || err.CorrelationID != "ok" {
		t.Errorf("identifiers of a broken text: %+v", err)
	}
}

func TestASuggestionIsMadeForWhatLooksLikeAKnownName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"ammount": "did you mean amount?", "AMOUNT": "did you mean amount?", "Provider": "did you mean provider?", "colour": "",
	} {
		_, err := newDecoder(t).DecodeCommand(structuredRefund("", strings.Replace(refundJSON, `{`, `{"`+name+`":1,`, 1)))
		if err == nil || len(err.Faults) != 1 || err.Faults[0].Detail != want {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

func TestAFloodOfFaultsIsCut(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteByte('{')
	for i := range 5000 {
		fmt.Fprintf(&b, `"x%d":1,`, i)
	}
	b.WriteString(refundJSON[1:])
	_, err := newDecoder(t).DecodeCommand(structuredRefund("", b.String()))
	if err == nil || len(err.Faults) != 100 || err.Faults[99].Rule != "more" || err.Faults[99].Detail != "4901 more" {
		t.Fatalf("%d faults, the last %+v", len(err.Faults), err.Faults[len(err.Faults)-1])
	}
}

func TestALongUnknownNameIsShortenedAndEscaped(t *testing.T) {
	t.Parallel()
	name := "a/b~c" + strings.Repeat("é", 100)
	_, err := newDecoder(t).DecodeCommand(structuredRefund("", strings.Replace(refundJSON, `{`, `{"`+name+`":1,`, 1)))
	want := "/a~1b~0c" + strings.Repeat("é", 59) + "…"
	if err == nil || err.Faults[0].Pointer != want {
		t.Errorf("%+v", err)
	}
}
