package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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

// NotPermittedError says which rights Provision lacks: the server refuses publishing
// to the subjects. All else was done.
type NotPermittedError struct {
	// Subjects that may not be published to.
	Subjects []string
}

// Error implements error.
func (e *NotPermittedError) Error() string {
	return "this login may not publish to " + strings.Join(e.Subjects, ", ")
}

// Provision creates the streams and consumers that are missing and brings the
// settings that matter in line where the server lets it. It never deletes a
// stream, a consumer or a message; what cannot be changed is reported as Refused
// and is not an error. Running it again changes nothing. An error means that the
// work is incomplete (no connection, no permission); the changes made until then
// are returned with it. Where only a permission is missing for some of the work, all
// the rest is done, and the error is a *NotPermittedError.
func Provision(ctx context.Context, js jetstream.JetStream, t Topology) ([]Change, error) {
	p := &provisioner{js: js}
	var changes []Change
	for _, want := range t.Streams() {
		made, err := p.stream(ctx, want)
		changes = append(changes, made...)
		if err != nil {
			return changes, fmt.Errorf("provision stream %s: %w", want.Name, err)
		}
	}
	for _, want := range slices.Concat(t.consumers(), t.readers()) {
		made, err := p.consumer(ctx, want)
		changes = append(changes, made...)
		if err != nil {
			return changes, fmt.Errorf("provision consumer %s on %s: %w", want.config.Durable, want.stream, err)
		}
	}
	if len(p.denied) > 0 {
		return changes, fmt.Errorf("provision: %w", &NotPermittedError{p.denied})
	}
	return changes, nil
}

// provisioner is one run.
type provisioner struct {
	js jetstream.JetStream
	// denied are the subjects that this login may not publish to.
	denied []string
}

// answerFor bounds one question about a permission.
const answerFor = 10 * time.Second

// may asks whether a request of the API is permitted, and keeps those that are not.
func (p *provisioner) may(ctx context.Context, subject string) (bool, error) {
	if ok, err := mayPublish(ctx, p.js.Conn(), subject); err != nil || ok {
		return ok, err
	}
	if !slices.Contains(p.denied, subject) {
		p.denied = append(p.denied, subject)
	}
	return false, nil
}

func (p *provisioner) stream(ctx context.Context, want jetstream.StreamConfig) ([]Change, error) {
	object := streamObject(want.Name)
	if ok, err := p.may(ctx, "$JS.API.STREAM.INFO."+want.Name); err != nil || !ok {
		return denied(Change{Object: object}, err)
	}
	stream, err := p.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if ok, err := p.may(ctx, "$JS.API.STREAM.CREATE."+want.Name); err != nil || !ok {
			return denied(Change{Object: object}, err)
		}
		return p.createStream(ctx, want)
	}
	if err != nil {
		return nil, fmt.Errorf("read stream: %w", err)
	}
	info := stream.CachedInfo()
	r := reconciler[jetstream.StreamConfig]{
		object: object,
		empty:  info.State.Msgs == 0,
		may:    func() (bool, error) { return p.may(ctx, "$JS.API.STREAM.UPDATE."+want.Name) },
		update: func(cfg jetstream.StreamConfig) (jetstream.StreamConfig, error) {
			s, err := p.js.UpdateStream(ctx, cfg)
			if err != nil {
				return cfg, err
			}
			return s.CachedInfo().Config, nil
		},
	}
	return r.reconcile(info.Config, want, streamSettings(want, info.State.Bytes))
}

// codeOverlap is the server's code where another stream takes in one of the subjects.
const codeOverlap jetstream.ErrorCode = 10065

// createStream creates a stream. Its subjects may still be another stream's: the
// journal of an older version has to give up the refusals' first.
func (p *provisioner) createStream(ctx context.Context, want jetstream.StreamConfig) ([]Change, error) {
	object := streamObject(want.Name)
	_, err := p.js.CreateStream(ctx, want)
	if refusal, ok := errors.AsType[*jetstream.APIError](err); ok && refusal.ErrorCode == codeOverlap {
		return []Change{{
			Kind: Refused, Object: object, Setting: existence, Is: "missing", Want: "there",
			Reason: "another stream still takes in " + list(want.Subjects) + ": it has to give the subject up first, then run provision again",
		}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("create stream: %w", err)
	}
	return []Change{{Kind: Created, Object: object}}, nil
}

// noRight is why a change is refused that the server does not permit to this login.
const noRight = "the server does not permit it to this login (see below)"

// denied is a change that was not tried.
func denied(c Change, err error) ([]Change, error) {
	if err != nil {
		return nil, err
	}
	c.Kind, c.Setting, c.Is, c.Want, c.Reason = Refused, existence, "unknown", "there", noRight
	return []Change{c}, nil
}

// ProvisionInbox is how the inboxes begin of whoever provisions: a prefix of their own,
// so that their login need not hear what the service is answered.
const ProvisionInbox = "_INBOX_provisioner"

// ProvisionSubjects are the subjects that Provision publishes to where nothing is there
// yet: the rights that its login needs.
func ProvisionSubjects(t Topology) []string {
	var all []string
	for _, s := range t.Streams() {
		all = append(all, "$JS.API.STREAM.INFO."+s.Name, "$JS.API.STREAM.CREATE."+s.Name)
	}
	for _, want := range slices.Concat(t.consumers(), t.readers()) {
		info, create := want.subjects()
		all = append(all, info, create)
	}
	return all
}

// subjects are those that a consumer is read and created by. The name of a consumer is
// followed by its filter, where it has one.
func (c consumerSpec) subjects() (info, create string) {
	path := c.stream + "." + c.config.Durable
	info, create = "$JS.API.CONSUMER.INFO."+path, "$JS.API.CONSUMER.CREATE."+path
	if c.config.FilterSubject != "" {
		create += "." + c.config.FilterSubject
	}
	return info, create
}

func (p *provisioner) consumer(ctx context.Context, want consumerSpec) ([]Change, error) {
	object := consumerObject(want)
	info, create := want.subjects()
	if ok, err := p.may(ctx, info); err != nil || !ok {
		return denied(Change{Object: object}, err)
	}
	is, err := consumerInfo(ctx, p.js, want)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return []Change{{Kind: Refused, Object: object, Setting: existence, Is: "missing", Want: "there", Reason: "its stream is missing (see above)"}}, nil
	}
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if ok, err := p.may(ctx, create); err != nil || !ok {
			return denied(Change{Object: object}, err)
		}
		if err := p.put(ctx, want, want.config); err != nil {
			return nil, fmt.Errorf("create consumer: %w", err)
		}
		return []Change{{Kind: Created, Object: object}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read consumer: %w", err)
	}
	return p.settings(ctx, want, create, is.Config)
}

// settings brings an existing consumer in line.
func (p *provisioner) settings(ctx context.Context, want consumerSpec, create string, is jetstream.ConsumerConfig) ([]Change, error) {
	r := reconciler[jetstream.ConsumerConfig]{
		object: consumerObject(want),
		may:    func() (bool, error) { return p.may(ctx, create) },
		update: func(cfg jetstream.ConsumerConfig) (jetstream.ConsumerConfig, error) {
			return cfg, p.put(ctx, want, cfg)
		},
	}
	return r.reconcile(is, want.config, want.settings())
}

// put creates or updates a consumer; the library has two ways, by delivery.
func (p *provisioner) put(ctx context.Context, want consumerSpec, cfg jetstream.ConsumerConfig) (err error) {
	if cfg.DeliverSubject != "" {
		_, err = p.js.CreateOrUpdatePushConsumer(ctx, want.stream, cfg)
		return err
	}
	_, err = p.js.CreateOrUpdateConsumer(ctx, want.stream, cfg)
	return err
}

// reconciler brings one existing stream or consumer in line, one setting at a
// time, so that one the server refuses does not keep the others from changing.
type reconciler[C any] struct {
	object string
	empty  bool
	// may reports whether this login may update it at all.
	may    func() (bool, error)
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
		case s.byHand != "":
			change.Reason = s.byHand
		case s.put == nil:
			change.Reason = "the server cannot change it on what exists"
		case s.deletes != nil && s.deletes(is, want) && !r.empty:
			change.Reason = "changing it would delete messages"
		default:
			var err error
			if is, err = r.change(&change, is, want, s); err != nil {
				return changes, fmt.Errorf("change %s: %w", s.name, err)
			}
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// change changes one setting, or says why it could not.
func (r reconciler[C]) change(change *Change, is, want C, s setting[C]) (C, error) {
	if ok, err := r.may(); err != nil || !ok {
		change.Reason = noRight
		return is, err
	}
	next := is
	s.put(&next, want)
	updated, err := r.update(next)
	if err != nil && !refusedByServer(err) {
		return is, err
	}
	if err != nil {
		change.Reason = err.Error()
		return is, nil //nolint:nilerr // the server's refusal is told in the change
	}
	change.Kind = Updated
	return updated, nil
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
