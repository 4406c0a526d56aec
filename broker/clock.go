package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/sleep"
)

const (
	// maxSkew is the difference of two clocks above which due times and deadlines mean
	// nothing any more.
	maxSkew = 2 * time.Second
	// skewInterval is the time between two measurements. Each asks whoever leads the
	// streams then, so that a new leader is measured that soon.
	skewInterval = 15 * time.Second
	// skewTimeout bounds one question. The middle between asking and hearing is taken for
	// the time of the answer, so that a slower one would tell too little.
	skewTimeout = maxSkew
)

// Skew is how far the local clock differs from that of a stream's leader. Each stream may
// have another leader; the times of its messages, and when its timers fire, are by that
// one's clock.
type Skew struct {
	Stream string
	// Leader is the server's name; empty: it stands alone.
	Leader string
	// Ahead is how far the local clock is ahead (behind: negative).
	Ahead time.Duration
	// Doubt is by how much Ahead may be wrong: half the time that the question took.
	Doubt time.Duration
}

// String is the difference as a part of a line for people.
func (s Skew) String() string {
	text := fmt.Sprintf("by %s from that of the server that leads %s", s.Ahead.Round(time.Millisecond), s.Stream)
	if s.Leader != "" {
		text += " (" + s.Leader + ")"
	}
	return text
}

// errNoTime: the server's answer does not say when it was made.
var errNoTime = errors.New("the server's answer has no time")

// Skews compares the local clock with that of each stream's leader. A stream that is not
// there or gives no answer is left out; the error joins what was not answered. It asks
// one after the other, each for two seconds at most.
func Skews(ctx context.Context, js jetstream.JetStream, now func() time.Time, streams ...string) ([]Skew, error) {
	all := make([]Skew, 0, len(streams))
	var unanswered []error
	for _, name := range streams {
		s, err := skewOf(ctx, js, now, name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
		case err != nil:
			unanswered = append(unanswered, fmt.Errorf("measure clock skew at %s: %w", name, err))
		default:
			all = append(all, s)
		}
	}
	return all, errors.Join(unanswered...)
}

func skewOf(ctx context.Context, js jetstream.JetStream, now func() time.Time, name string) (Skew, error) {
	ctx, cancel := context.WithTimeout(ctx, skewTimeout)
	defer cancel()
	asked := now()
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return Skew{}, err //nolint:wrapcheck // the caller says what it was for
	}
	doubt := now().Sub(asked) / 2
	info := stream.CachedInfo()
	if info.TimeStamp.IsZero() {
		return Skew{}, errNoTime
	}
	s := Skew{Stream: name, Ahead: asked.Add(doubt).Sub(info.TimeStamp), Doubt: doubt}
	if info.Cluster != nil {
		s.Leader = info.Cluster.Leader
	}
	return s, nil
}

// Worst is the skew that is largest in either direction; false: there is none.
func Worst(all []Skew) (worst Skew, ok bool) {
	for i, s := range all {
		if i == 0 || s.Ahead.Abs() > worst.Ahead.Abs() {
			worst = s
		}
	}
	return worst, len(all) > 0
}

// Measured is every stream of which the clock of its leader matters.
func (t Topology) Measured() []string {
	return []string{t.Commands, t.Events, t.Due, t.Refusals, t.Rejected, t.ControlStream()}
}

// Skew is the largest difference that was last measured; false: none was yet.
func (c *Consumer) Skew() (Skew, bool) {
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	return c.health.skew, c.health.measured
}

// watchSkew measures the skew now and then. A measurement without any answer changes
// nothing: being disconnected is reported by itself.
func (c *Consumer) watchSkew(ctx context.Context) {
	for {
		all, _ := Skews(ctx, c.js, c.now, c.topology.Measured()...)
		worst, ok := Worst(all)
		next := skewInterval
		if !ok {
			next = pause
		} else if news := c.health.setSkew(worst); news {
			c.log.Error("the clock differs from the server's", "stream", worst.Stream, "leader", worst.Leader, "ahead_by", worst.Ahead.String())
		}
		if !sleep.For(ctx, next) {
			return
		}
	}
}
