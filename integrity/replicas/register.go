package replicas

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
)

// Options are the optional parts of a Registration; nil and zero mean the defaults.
type Options struct {
	// Version of the program.
	Version string
	// InHand lists known outcomes that could not be appended yet; default: none.
	InHand func() []integrity.InHand
	// Every is the time between two renewals; default one second.
	Every  time.Duration
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: none
}

const (
	renewEvery = time.Second
	ioTimeout  = 2 * time.Second
	// maxInHand and maxInHandBytes bound what one registration lists: the bucket takes
	// small values only, and a process that cannot be registered is taken to be gone.
	maxInHand      = 50
	maxInHandBytes = 8 << 10
	// inHandBytes is what one takes at the most beside its texts.
	inHandBytes = 160
)

// Registration renews what one process says of itself.
type Registration struct {
	js       jetstream.JetStream
	bucket   string
	status   func() keeper.Status
	o        Options
	id       string
	instance string

	revision uint64 // of our newest renewal; 0: none yet
	failing  bool
}

// New returns the registration of a process under an id, such as its host's name
// and process number. status is what the process's keeper of marks knows
// ((*keeper.Keeper).Status). It does no I/O. Characters that a key cannot hold are
// replaced.
func New(js jetstream.JetStream, bucket, id string, status func() keeper.Status, o *Options) *Registration {
	r := &Registration{js: js, bucket: bucket, status: status, id: keyOf(id), instance: randomHex()}
	if o != nil {
		r.o = *o
	}
	r.o.Every = cmp.Or(r.o.Every, renewEvery)
	if r.o.Now == nil {
		r.o.Now = time.Now
	}
	if r.o.Logger == nil {
		r.o.Logger = slog.New(slog.DiscardHandler)
	}
	return r
}

// Run renews the registration until ctx ends, and then says that the process has
// left. It outlives every outage of the server.
func (r *Registration) Run(ctx context.Context) {
	tick := time.NewTicker(r.o.Every)
	defer tick.Stop()
	for {
		r.turn(ctx, false)
		select {
		case <-ctx.Done():
			r.turn(context.WithoutCancel(ctx), true)
			return
		case <-tick.C:
		}
	}
}

// turn renews once. A failure is logged when it begins.
func (r *Registration) turn(ctx context.Context, left bool) {
	bounded, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	err := r.renew(bounded, left)
	if err != nil && !r.failing && ctx.Err() == nil {
		r.o.Logger.Warn("this process cannot be registered", "error", err.Error())
	}
	r.failing = err != nil
}

// renew writes what the process says now. It expects its own newest revision, so
// that two processes of one id notice each other; the later one takes another id.
func (r *Registration) renew(ctx context.Context, left bool) error {
	kv, err := r.js.KeyValue(ctx, r.bucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", r.bucket, err)
	}
	if r.revision == 0 {
		if r.revision, err = r.claim(ctx, kv); err != nil {
			return err
		}
	}
	value, err := json.Marshal(r.says(left))
	if err != nil {
		return fmt.Errorf("encode registration: %w", err)
	}
	var revision uint64
	if r.revision == 0 {
		revision, err = kv.Create(ctx, keyPrefix+r.id, value)
	} else {
		revision, err = kv.Update(ctx, keyPrefix+r.id, value, r.revision)
	}
	if err != nil {
		r.revision = 0 // look again: it may be there all the same
		return fmt.Errorf("register %s: %w", r.id, err)
	}
	r.revision = revision
	return nil
}

// claim returns the revision to expect under our id. If another process that
// runs uses it, the registration takes a new id.
func (r *Registration) claim(ctx context.Context, kv jetstream.KeyValue) (uint64, error) {
	entry, err := kv.Get(ctx, keyPrefix+r.id)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("register %s: %w", r.id, err)
	}
	var there integrity.Replica
	readable := json.Unmarshal(entry.Value(), &there) == nil
	fresh := r.o.Now().Sub(entry.Created()) < integrity.RegistrationFresh
	if !readable || fresh && !there.Left && there.Instance != r.instance {
		r.id += "-" + randomHex()
		return 0, nil
	}
	return entry.Revision(), nil
}

// says is what the process says of itself now.
func (r *Registration) says(left bool) integrity.Replica {
	s := r.status()
	open, reason := s.Ready()
	out := integrity.Replica{
		ID: r.id, Instance: r.instance, Version: r.o.Version, Epoch: s.Record.Epoch, Standing: s.Watch.Standing.String(),
		Shut: !open, Reason: reason, Left: left, At: r.o.Now().UTC(),
	}
	if r.o.InHand != nil {
		all := r.o.InHand()
		n := listed(all)
		out.InHand, out.MoreInHand = all[:n], len(all)-n
	}
	return out
}

// listed is how many of what is in hand a registration has room for.
func listed(all []integrity.InHand) (n int) {
	bytes := 0
	for _, one := range all[:min(len(all), maxInHand)] {
		bytes += inHandBytes + len(one.Provider) + len(one.Payment) + len(one.Operation) + len(one.Outcome)
		if bytes > maxInHandBytes {
			break
		}
		n++
	}
	return n
}

// keyOf replaces what a token of a key cannot hold.
func keyOf(id string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, id)
}

// randomHex tells starts apart.
func randomHex() string {
	var raw [4]byte
	_, _ = rand.Read(raw[:]) // it never fails
	return hex.EncodeToString(raw[:])
}
