package events

import (
	"errors"
	"net/url"

	"github.com/cloudevents/sdk-go/v2/event"
)

// checkSpecification has the CloudEvents SDK judge the attributes and the names
// of the extensions. Its objections are added to the faults unless the attribute
// has one already.
func checkSpecification(e *envelope, f *faults) {
	var invalid event.ValidationError
	if !errors.As(sdkEvent(e).Validate(), &invalid) {
		return
	}
	for name := range invalid {
		detail := ""
		if _, err := url.Parse(e.values[attrDataSchema]); name == attrDataSchema.name() && err != nil {
			detail = "a URI"
		}
		if !f.Covers("ce-" + name) {
			f.Add("ce-"+name, ruleEnvelope, detail)
		}
	}
}

// sdkEvent gives the SDK every attribute that was given and found valid, and the
// extensions. The event remembers what the SDK does not take.
func sdkEvent(e *envelope) *event.Event {
	ev := event.New(e.values[attrSpecVersion])
	ev.SetID(e.values[attrID])
	ev.SetSource(e.values[attrSource])
	ev.SetType(e.values[attrType])
	ev.SetSubject(e.values[attrSubject])
	ev.SetTime(e.time)
	ev.SetDataContentType(e.values[attrDataContentType])
	ev.SetDataSchema(e.values[attrDataSchema])
	for _, x := range e.extensions {
		ev.SetExtension(x.name, x.value)
	}
	return &ev
}
