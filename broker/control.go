package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/quorum"
)

// Pause is what the bucket says of one provider instance: that somebody paused
// it, or ended a pause.
type Pause struct {
	Paused bool   `json:"paused"`
	Reason string `json:"reason,omitempty"`
	// By is the person, as they named themselves.
	By    string    `json:"by,omitempty"`
	Since time.Time `json:"since"`

	// Revision orders the values of the bucket; 0: nothing was ever said.
	Revision uint64 `json:"-"`
	// Stored is when the server stored it.
	Stored time.Time `json:"-"`

	erased bool // somebody has deleted the key by hand
}

// String is what it says as a part of a line for people.
func (p Pause) String() string {
	if !p.Paused {
		return "running"
	}
	s := "paused since " + p.Since.UTC().Format(time.RFC3339)
	if p.By != "" {
		s += " by " + strconv.Quote(p.By)
	}
	if p.Reason != "" {
		s += ": " + strconv.Quote(p.Reason)
	}
	return s
}

// Control is the bucket of pauses, with a key for each provider instance. It is
// safe for concurrent use, and tries everything once.
type Control struct {
	js     jetstream.JetStream
	bucket string
	stream string
}

// NewControl returns the topology's bucket. It does no I/O.
func NewControl(js jetstream.JetStream, t Topology) *Control {
	return &Control{js: js, bucket: t.Control, stream: t.ControlStream()}
}

// ErrChanged: something else was said of the instance since it was read.
var ErrChanged = errors.New("it has changed since it was read")

// Set says that a provider instance is paused, or no longer, to whoever has seen the
// revision that is newest there, and returns the next one once the server has
// confirmed it. Where another one is newest, nothing is stored: ErrChanged.
func (c *Control) Set(ctx context.Context, provider string, p Pause, seen uint64) (revision uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	value, err := json.Marshal(p)
	if err != nil {
		return 0, fmt.Errorf("encode pause: %w", err)
	}
	bucket, err := c.js.KeyValue(ctx, c.bucket)
	if err != nil {
		return 0, fmt.Errorf("open bucket %s: %w", c.bucket, err)
	}
	revision, err = bucket.Update(ctx, provider, value, seen)
	switch {
	case alreadyThere(err):
		return 0, fmt.Errorf("store pause of %s: %w", provider, ErrChanged)
	case err != nil:
		return 0, fmt.Errorf("store pause of %s: %w", provider, err)
	}
	return revision, nil
}

// At returns what the bucket says of one provider instance, with the revision that
// Set expects: also that of a key that was deleted by hand.
func (c *Control) At(ctx context.Context, provider string) (Pause, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	bucket, err := c.js.Stream(ctx, c.stream)
	if err != nil {
		return Pause{}, fmt.Errorf("open bucket %s: %w", c.bucket, err)
	}
	return c.at(ctx, bucket, provider)
}

func (c *Control) at(ctx context.Context, bucket jetstream.Stream, provider string) (Pause, error) {
	m, err := bucket.GetLastMsgForSubject(ctx, "$KV."+c.bucket+"."+provider)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return Pause{}, nil
	case err != nil:
		return Pause{}, fmt.Errorf("read pause of %s: %w", provider, err)
	case m.Header.Get("KV-Operation") != "":
		return Pause{Revision: m.Sequence, Stored: m.Time, erased: true}, nil
	}
	return pauseOf(m.Data, m.Time, m.Sequence), nil
}

// newest returns what the bucket's leader shows of each provider instance, also that
// a key was deleted by hand: all of them or an error.
func (c *Control) newest(ctx context.Context, bucket jetstream.Stream, providers []string) (map[string]Pause, error) {
	all := make(map[string]Pause, len(providers))
	for _, name := range providers {
		p, err := c.at(ctx, bucket, name)
		if err != nil {
			return nil, err
		}
		all[name] = p
	}
	return all, nil
}

// Get returns what the bucket says of each of the provider instances, all of
// them or an error. A value that cannot be read is a pause: what was meant
// nobody knows, and a pause loses nothing.
func (c *Control) Get(ctx context.Context, providers ...string) (map[string]Pause, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	bucket, err := c.js.KeyValue(ctx, c.bucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", c.bucket, err)
	}
	all := make(map[string]Pause, len(providers))
	for _, name := range providers {
		entry, err := bucket.Get(ctx, name)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			all[name] = Pause{} // never said, or the key was deleted by hand
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read pause of %s: %w", name, err)
		}
		all[name] = pauseOf(entry.Value(), entry.Created(), entry.Revision())
	}
	return all, nil
}

func pauseOf(value []byte, stored time.Time, revision uint64) Pause {
	var p Pause
	if err := json.Unmarshal(value, &p); err != nil {
		p = Pause{Paused: true, Reason: "what the bucket holds cannot be read", Since: stored}
	}
	p.Revision, p.Stored = revision, stored
	return p
}

// errNoBucket: the server says that the bucket does not exist.
var errNoBucket = errors.New("it does not exist")

// last is the sequence of the newest value; it grows with each. An answer without
// a leader, or of one that the others do not follow, is an error: it may lie far behind.
func (c *Control) last(ctx context.Context) (uint64, jetstream.Stream, error) {
	s, err := c.js.Stream(ctx, c.stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return 0, nil, fmt.Errorf("read bucket %s: %w", c.bucket, errNoBucket)
	case err != nil:
		return 0, nil, fmt.Errorf("read bucket %s: %w", c.bucket, err)
	}
	info := s.CachedInfo()
	if err := quorum.Led(info.Cluster); err != nil {
		return 0, nil, fmt.Errorf("read bucket %s: %w", c.bucket, err)
	}
	return info.State.LastSeq, s, nil
}

// changed reports whether anything was said of a provider after a sequence. What
// the service keeps for itself there, such as how far the journal has come, begins
// with an underscore and changes all the time.
func (c *Control) changed(ctx context.Context, s jetstream.Stream, after uint64) (bool, error) {
	prefix := "$KV." + c.bucket + "."
	for {
		m, err := s.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(prefix+"*"))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("read bucket %s: %w", c.bucket, err)
		case !strings.HasPrefix(m.Subject, prefix+"_"):
			return true, nil
		}
		after = m.Sequence
	}
}
