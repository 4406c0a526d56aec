package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
)

// Finding is one thing on the server that is not as the topology wants it.
type Finding struct {
	// Object is "stream NAME" or "consumer NAME on STREAM".
	Object string
	// Setting is what differs; "existence" where the object is missing.
	Setting string
	Is      string
	Want    string
	// Do says why it matters and what to do.
	Do string
	// Optional: commands are carried out without the object.
	Optional bool
}

// String is the finding as one line for people.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s is %s, want %s: %s", f.Object, f.Setting, f.Is, f.Want, f.Do)
}

// Verify compares the server with the topology and changes nothing. No findings
// and no error mean that everything is as it should be. An error means that it
// could not be found out (no connection, no permission); the findings until then
// are returned with it.
func Verify(ctx context.Context, js jetstream.JetStream, t Topology) ([]Finding, error) {
	var findings []Finding
	for _, want := range t.Streams() {
		found, err := verifyStream(ctx, js, want)
		findings = append(findings, found...)
		if err != nil {
			return findings, fmt.Errorf("verify stream %s: %w", want.Name, err)
		}
	}
	for _, want := range t.consumers() {
		found, err := verifyConsumer(ctx, js, want)
		findings = append(findings, found...)
		if err != nil {
			return findings, fmt.Errorf("verify consumer %s on %s: %w", want.config.Durable, want.stream, err)
		}
	}
	return findings, nil
}

// Older reports whether findings are those of the layout before the stream of refusals:
// the journal still takes rejections in.
func (t Topology) Older(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool {
		return f.Object == streamObject(t.Events) && f.Setting == subjectsSetting && strings.Contains(f.Is, events.RejectedFilter)
	})
}

func verifyStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) ([]Finding, error) {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return []Finding{missing(streamObject(want.Name))}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read stream: %w", err)
	}
	info := stream.CachedInfo()
	return compare(streamObject(want.Name), info.Config, want, streamSettings(want, info.State.Bytes)), nil
}

func verifyConsumer(ctx context.Context, js jetstream.JetStream, want consumerSpec) ([]Finding, error) {
	object := consumerObject(want)
	info, err := consumerInfo(ctx, js, want)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		f := missing(object)
		if f.Optional = want.optional; f.Optional {
			f.Do = "refunds that come back later are not noticed; provision creates it"
		}
		return []Finding{f}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read consumer: %w", err)
	}
	findings := compare(object, info.Config, want.config, consumerSettings())
	if info.Paused {
		findings = append(findings, Finding{
			Object: object, Setting: "pause", Is: "paused for " + info.PauseRemaining.Round(time.Second).String(), Want: "not paused",
			Do: "no message is delivered; resume the consumer",
		})
	}
	return findings, nil
}

// consumerInfo reads a consumer, also one that somebody has made to push.
func consumerInfo(ctx context.Context, js jetstream.JetStream, want consumerSpec) (*jetstream.ConsumerInfo, error) {
	pull, err := js.Consumer(ctx, want.stream, want.config.Durable)
	if err == nil {
		return pull.CachedInfo(), nil
	}
	if !errors.Is(err, jetstream.ErrNotPullConsumer) {
		return nil, err
	}
	push, err := js.PushConsumer(ctx, want.stream, want.config.Durable)
	if err != nil {
		return nil, err
	}
	return push.CachedInfo(), nil
}

func compare[C any](object string, is, want C, table []setting[C]) []Finding {
	var findings []Finding
	for _, s := range table {
		if s.show(is) == s.show(want) {
			continue
		}
		do := s.why + "; provision changes it"
		switch {
		case s.byHand != "":
			do = s.why + "; " + s.byHand
		case s.put == nil:
			do = s.why + "; it cannot be changed on what exists: create it anew and move what it holds"
		case s.deletes != nil && s.deletes(is, want):
			do = s.why + "; changing it may delete messages, so provision does it on an empty stream only: change it by hand"
		}
		findings = append(findings, Finding{Object: object, Setting: s.name, Is: s.show(is), Want: s.show(want), Do: do})
	}
	return findings
}

// existence is the setting of what is not there at all, subjectsSetting what a stream
// takes in.
const (
	existence       = "existence"
	subjectsSetting = "subjects"
)

// Missing reports whether the object is not there at all.
func (f Finding) Missing() bool { return f.Setting == existence }

func missing(object string) Finding {
	return Finding{Object: object, Setting: existence, Is: "missing", Want: "there", Do: "provision creates it"}
}
