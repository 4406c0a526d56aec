package events

import (
	"context"
	"errors"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
)

// The adapter is unexported; what the SDK's helpers see through it is tested here.
func TestTheSDKSeesAttributesExtensionsAndDataThroughTheAdapter(t *testing.T) {
	t.Parallel()
	f := newFaults()
	e := readEnvelope(newReader(), Message{Data: []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","correlationid":"c","priority":5,"data":{}}`)}, f)
	if len(f.List) > 0 {
		t.Fatal(f.List)
	}
	m := bindingMessage{e}
	ev, err := binding.ToEvent(context.Background(), m, binding.TransformerFunc(
		func(r binding.MessageMetadataReader, w binding.MessageMetadataWriter) error {
			_, id := r.GetAttribute(spec.ID)
			return w.SetExtension("copied", id)
		}))
	if err != nil {
		t.Fatal(err)
	}
	if ev.Extensions()["copied"] != "1" || ev.Extensions()["priority"] != "5" || string(ev.Data()) != "{}" {
		t.Errorf("%s", ev)
	}
	if a, v := m.GetAttribute(spec.Subject); a == nil || v != nil {
		t.Errorf("an attribute that is not there: %v %v", a, v)
	}
	if m.GetExtension("correlationid") != "c" || m.GetExtension("priority") != "5" || m.GetExtension("none") != nil {
		t.Error("extensions")
	}
	if err := m.ReadStructured(context.Background(), nil); !errors.Is(err, binding.ErrNotStructured) || m.Finish(nil) != nil {
		t.Error(err)
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
