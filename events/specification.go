package events

import (
	"bytes"
	"context"
	"errors"
	"net/url"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/cloudevents/sdk-go/v2/event"
)

// bindingMessage shows an envelope to the CloudEvents SDK. Both modes are shown
// as attributes and data (what the SDK calls binary), since both were read
// strictly before: the SDK's own reading knows no percent-encoding, and takes
// the last of duplicate members.
type bindingMessage struct{ e *envelope }

var (
	_ binding.Message               = bindingMessage{}
	_ binding.MessageMetadataReader = bindingMessage{}
)

// ReadEncoding implements binding.MessageReader.
func (bindingMessage) ReadEncoding() binding.Encoding { return binding.EncodingBinary }

// ReadStructured implements binding.MessageReader.
func (bindingMessage) ReadStructured(context.Context, binding.StructuredWriter) error {
	return binding.ErrNotStructured
}

// ReadBinary implements binding.MessageReader: it hands over every attribute
// that was given and found valid, the extensions, and the data.
func (m bindingMessage) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	for _, a := range spec.V1.Attributes() {
		if v := m.e.values[a.Kind()]; v != "" {
			if err := w.SetAttribute(a, v); err != nil {
				return err
			}
		}
	}
	for a := standardCount; a < attrCount; a++ {
		if v := m.e.values[a]; v != "" {
			if err := w.SetExtension(a.name(), v); err != nil {
				return err
			}
		}
	}
	for _, x := range m.e.extensions {
		if err := w.SetExtension(x.name, x.value); err != nil {
			return err
		}
	}
	if !m.e.hasData {
		return nil
	}
	return w.SetData(bytes.NewBuffer(m.e.data))
}

// GetAttribute implements binding.MessageMetadataReader.
func (m bindingMessage) GetAttribute(kind spec.Kind) (spec.Attribute, any) {
	a := spec.V1.AttributeFromKind(kind)
	if v := m.e.values[kind]; v != "" {
		return a, v
	}
	return a, nil
}

// GetExtension implements binding.MessageMetadataReader.
func (m bindingMessage) GetExtension(name string) any {
	if a := attrNamed(name); a >= standardCount && m.e.values[a] != "" {
		return m.e.values[a]
	}
	for _, x := range m.e.extensions {
		if x.name == name {
			return x.value
		}
	}
	return nil
}

// Finish implements binding.Message. Settling a message is the broker's, in the
// open; nothing hangs on the SDK.
func (bindingMessage) Finish(error) error { return nil }

// toEvent has the SDK build the event and judge it by the specification. Its
// objections are added to the faults unless the attribute has one already.
func toEvent(e *envelope, f *faults) {
	ev, err := binding.ToEvent(context.Background(), bindingMessage{e})
	if err != nil {
		if _, parseErr := url.Parse(e.values[attrDataSchema]); parseErr != nil {
			f.Add(attrDataSchema.pointer(), ruleEnvelope, "a URI")
			return
		}
		f.Add(envelopePointer, ruleEnvelope, "")
		return
	}
	err = ev.Validate()
	var invalid event.ValidationError
	if !errors.As(err, &invalid) {
		if err != nil {
			f.Add(envelopePointer, ruleEnvelope, "")
		}
		return
	}
	for name := range invalid {
		if !f.Covers("ce-" + name) {
			f.Add("ce-"+name, ruleEnvelope, "")
		}
	}
}
