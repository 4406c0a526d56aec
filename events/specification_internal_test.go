package events

import (
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding/spec"
)

// The SDK's event is unexported; what the SDK is shown is tested here.
func TestTheSDKSeesAttributesAndExtensions(t *testing.T) {
	t.Parallel()
	f := newFaults()
	e := readEnvelope(newReader(), Message{Data: []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"u",` +
		`"time":"2026-09-01T12:00:00Z","datacontenttype":"text/json","dataschema":"urn:s","priority":5,"data":{}}`)}, f)
	e.check(f)
	ev := sdkEvent(e)
	if len(f.List) > 0 || ev.Validate() != nil {
		t.Fatal(f.List, ev.Validate())
	}
	if ev.ID() != "1" || ev.Source() != "/s" || ev.Type() != "t" || ev.Subject() != "u" || ev.Time().Hour() != 12 ||
		ev.DataContentType() != "text/json" || ev.DataSchema() != "urn:s" || ev.Extensions()["priority"] != "5" {
		t.Errorf("%s", ev)
	}
}

func TestEveryAttributeHasOneName(t *testing.T) {
	t.Parallel()
	for a := range attrCount {
		if attrNamed(a.name()) != a {
			t.Errorf("attribute %d is named %q, which is %d", a, a.name(), attrNamed(a.name()))
		}
		if a < standardCount && spec.Kind(a).String() != a.name() {
			t.Errorf("attribute %d is %q to the SDK and %q here", a, spec.Kind(a), a.name())
		}
	}
}
