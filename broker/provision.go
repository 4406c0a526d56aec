package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// ChangeKind says what Provision did about a difference.
type ChangeKind string

// The kinds of change.
const (
	Created ChangeKind = "created"
	Updated ChangeKind = "updated"
	// Refused: the difference stays, because the server cannot change it on what
	// exists or because changing it would delete messages. A person must act.
	Refused ChangeKind = "refused"
)

// Change is one thing Provision did, or could not do.
type Change struct {
	Kind ChangeKind
	// Object is "stream NAME" or "consumer NAME on STREAM".
	Object string
	// Setting, Is and Want are empty for what was created.
	Setting string
	Is      string
	Want    string
	// Reason says why it was refused.
	Reason string
}

// String is the change as one line for people.
func (c Change) String() string {
	switch c.Kind {
	case Created:
		return "created " + c.Object
	case Updated:
		return fmt.Sprintf("updated %s: %s from %s to %s", c.Object, c.Setting, c.Is, c.Want)
	default:
		return fmt.Sprintf("cannot change %s: %s is %s, want %s: %s", c.Object, c.Setting, c.Is, c.Want, c.Reason)
	}
}

// Provision creates the streams and consumers that are missing and brings the
// settings that matter in line where the server lets it. It never deletes a
// stream, a consumer or a message; what cannot be changed is reported as Refused
// and is not an error. Running it again changes nothing. An error means that the
// work is incomplete (no connection, no permission); the changes made until then
// are returned with it.
func Provision(ctx context.Context, js jetstream.JetStream, t Topology) ([]Change, error) {
	var changes []Change
	for _, want := range t.Streams() {
		made, err := provisionStream(ctx, js, want)
		changes = append(changes, made...)
		if err != nil {
			return changes, fmt.Errorf("provision stream %s: %w", want.Name, err)
		}
	}
	for _, want := range t.consumers() {
		made, err := provisionConsumer(ctx, js, want)
		changes = append(changes, made...)
		if err != nil {
			return changes, fmt.Errorf("provision consumer %s on %s: %w", want.config.Durable, want.stream, err)
		}
	}
	return changes, nil
}

func provisionStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) ([]Change, error) {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, err := js.CreateStream(ctx, want); err != nil {
			return nil, fmt.Errorf("create stream: %w", err)
		}
		return []Change{{Kind: Created, Object: streamObject(want.Name)}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read stream: %w", err)
	}
	info := stream.CachedInfo()
	r := reconciler[jetstream.StreamConfig]{
		object: streamObject(want.Name),
		empty:  info.State.Msgs == 0,
		update: func(cfg jetstream.StreamConfig) (jetstream.StreamConfig, error) {
			s, err := js.UpdateStream(ctx, cfg)
			if err != nil {
				return cfg, err
			}
			return s.CachedInfo().Config, nil
		},
	}
	return r.reconcile(info.Config, want, streamSettings(want.AllowMsgSchedules))
}

func provisionConsumer(ctx context.Context, js jetstream.JetStream, want consumerSpec) ([]Change, error) {
	object := consumerObject(want)
	consumer, err := js.Consumer(ctx, want.stream, want.config.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if _, err := js.CreateConsumer(ctx, want.stream, want.config); err != nil {
			return nil, fmt.Errorf("create consumer: %w", err)
		}
		return []Change{{Kind: Created, Object: object}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read consumer: %w", err)
	}
	r := reconciler[jetstream.ConsumerConfig]{
		object: object,
		update: func(cfg jetstream.ConsumerConfig) (jetstream.ConsumerConfig, error) {
			c, err := js.UpdateConsumer(ctx, want.stream, cfg)
			if err != nil {
				return cfg, err
			}
			return c.CachedInfo().Config, nil
		},
	}
	return r.reconcile(consumer.CachedInfo().Config, want.config, consumerSettings())
}

// reconciler brings one existing stream or consumer in line, one setting at a
// time, so that one the server refuses does not keep the others from changing.
type reconciler[C any] struct {
	object string
	empty  bool
	update func(C) (C, error)
}

func (r reconciler[C]) reconcile(is, want C, table []setting[C]) ([]Change, error) {
	var changes []Change
	for _, s := range table {
		if s.show(is) == s.show(want) {
			continue
		}
		change := Change{Kind: Refused, Object: r.object, Setting: s.name, Is: s.show(is), Want: s.show(want)}
		switch {
		case s.put == nil:
			change.Reason = "the server cannot change it on what exists"
		case s.deletes != nil && s.deletes(is, want) && !r.empty:
			change.Reason = "changing it would delete messages"
		default:
			next := is
			s.put(&next, want)
			updated, err := r.update(next)
			if err != nil && !refusedByServer(err) {
				return changes, fmt.Errorf("change %s: %w", s.name, err)
			}
			if err != nil {
				change.Reason = err.Error()
				break
			}
			is, change.Kind = updated, Updated
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// refusedByServer tells an answer of the server from not reaching it.
func refusedByServer(err error) bool {
	var answer jetstream.JetStreamError
	return errors.As(err, &answer) && answer.APIError() != nil
}

func streamObject(name string) string { return "stream " + name }

func consumerObject(c consumerSpec) string {
	return "consumer " + c.config.Durable + " on " + c.stream
}
