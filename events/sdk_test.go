package events_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/format"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/countermand/countermand/events"
)

// foreign shows a message to the CloudEvents SDK as another reader would,
// sharing nothing with the package: structured data goes to the SDK's own JSON
// format, headers are decoded by net/url.
type foreign struct{ m events.Message }

func (f foreign) ReadEncoding() binding.Encoding {
	if f.m.Header["ce-specversion"] != nil {
		return binding.EncodingBinary
	}
	return binding.EncodingStructured
}

func (f foreign) ReadStructured(ctx context.Context, w binding.StructuredWriter) error {
	if f.ReadEncoding() != binding.EncodingStructured {
		return binding.ErrNotStructured
	}
	return w.SetStructuredEvent(ctx, format.JSON, bytes.NewReader(f.m.Data))
}

func (f foreign) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	version := spec.WithPrefix("ce-").Version("1.0")
	for name, values := range f.m.Header {
		value, err := url.PathUnescape(values[0])
		if err != nil {
			return err
		}
		if a := version.Attribute(name); a != nil {
			err = w.SetAttribute(a, value)
		} else if ext, ok := strings.CutPrefix(name, "ce-"); ok {
			err = w.SetExtension(ext, value)
		}
		if err != nil {
			return err
		}
	}
	return w.SetData(bytes.NewReader(f.m.Data))
}

func (f foreign) GetAttribute(kind spec.Kind) (spec.Attribute, any) {
	return spec.V1.AttributeFromKind(kind), nil
}
func (f foreign) GetExtension(string) any { return nil }
func (f foreign) Finish(error) error      { return nil }

func sdkEvent(t *testing.T, m events.Message) *event.Event {
	t.Helper()
	ev, err := binding.ToEvent(t.Context(), foreign{m})
	if err != nil {
		t.Fatal(err)
	}
	if err := ev.Validate(); err != nil {
		t.Fatal(err)
	}
	return ev
}

func TestWhatIsWrittenIsAnEventToTheCloudEventsSDK(t *testing.T) {
	t.Parallel()
	for _, binary := range []bool{false, true} {
		e := events.NewEncoder(&events.EncoderOptions{Binary: binary})
		for name, ev := range sampleEvents() {
			m, err := e.EncodeEvent(ev)
			if err != nil {
				t.Fatal(err)
			}
			got := sdkEvent(t, m)
			if got.ID() != m.Subject || got.Subject() != "opay-eg/1001=2E000" || got.DataContentType() != "application/json" {
				t.Errorf("%s: %s", name, got)
			}
			if want := ev.CorrelationID; want != "" && got.Extensions()["correlationid"] != want {
				t.Errorf("%s: correlationid %q, want %q", name, got.Extensions()["correlationid"], want)
			}
			var data events.Result
			if err := json.Unmarshal(got.Data(), &struct {
				Key *string `json:"idempotencyKey"`
			}{(*string)(&data.IdempotencyKey)}); err != nil || data.IdempotencyKey != ev.Key {
				t.Errorf("%s: data %s: %v", name, got.Data(), err)
			}
		}
		m, err := e.EncodeRejection(sampleRejection(), at(0))
		if err != nil {
			t.Fatal(err)
		}
		if got := sdkEvent(t, m); got.Type() != "payment.command.rejected" || got.ID() != m.Subject {
			t.Errorf("rejection: %s", got)
		}
	}
	m, err := events.NewEncoder(nil).EncodeCommand(wantRefund())
	if err != nil {
		t.Fatal(err)
	}
	if got := sdkEvent(t, m); got.Type() != "payment.refund.requested" || got.ID() != "ev-1" {
		t.Errorf("command: %s", got)
	}
}

func TestWhatTheSDKWritesIsACommand(t *testing.T) {
	t.Parallel()
	ev := event.New()
	ev.SetID("ev-1")
	ev.SetSource("/shop")
	ev.SetType("payment.refund.requested")
	if err := ev.SetData("application/json", json.RawMessage(refundJSON)); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	if _, invalid := newDecoder(t).DecodeCommand(events.Message{Subject: "payment.refund.requested", Data: text}); invalid != nil {
		t.Error(invalid)
	}
}
