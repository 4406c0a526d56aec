package replicas

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
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
	// maxInHand, maxInHandBytes and maxFound bound what one registration lists: the bucket takes
	// small values only, and a process that cannot be registered is taken to be gone.
	maxInHand      = 50
	maxFound       = 8
	maxInHandBytes = 8 << 10
	maxFault       = 500
	// inHandBytes is what one takes at the most beside its texts.
	inHandBytes = 160
)

// Keeper is what a process knows of the journal (*keeper.Keeper).
type Keeper interface {
	Status() keeper.Status
	// Changed is closed with the next change of the status.
	Changed() <-chan struct{}
}

// Registration renews what one process says of itself. Others may be called while
// it runs.
type Registration struct {
	js       jetstream.JetStream
	bucket   string
	o        Options
	id       string
	instance string

	key      string // behind the prefix; empty: none is claimed
	revision uint64 // of the key's newest value; 0: it has none
	failing  bool
	met      atomic.Bool // another process has ever registered
}

// New returns the registration of a process under an id for people, such as its
// host's name and process number. It does no I/O.
func New(js jetstream.JetStream, bucket, id string, o *Options) *Registration {
	r := &Registration{js: js, bucket: bucket, id: id, instance: randomHex()}
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

// Others implements the keeper's option of that name. It may be called while the
// registration runs.
func (r *Registration) Others(ctx context.Context) (live []integrity.Registered, ever bool, err error) {
	entries, now, err := list(ctx, r.js, r.bucket)
	if err != nil {
		return nil, false, err
	}
	return integrity.Live(r.meet(entries), now), r.met.Load(), nil
}

// meet returns what is registered of other processes, and remembers that there was
// something: this one may take its key over.
func (r *Registration) meet(entries []entry) []integrity.Registered {
	var others []integrity.Registered
	for _, e := range entries {
		if e.Instance != r.instance {
			others = append(others, e.Registered)
		}
	}
	if len(others) > 0 {
		r.met.Store(true)
	}
	return others
}

// Run renews the registration until ctx ends, and then says that the process has
// left. It outlives every outage of the server. A change is told at once.
func (r *Registration) Run(ctx context.Context, of Keeper) {
	tick := time.NewTicker(r.o.Every)
	defer tick.Stop()
	for {
		changed := of.Changed()
		r.turn(ctx, of.Status(), false)
		select {
		case <-changed:
		case <-ctx.Done():
			r.turn(context.WithoutCancel(ctx), of.Status(), true)
			return
		case <-tick.C:
		}
	}
}

// turn renews once. A failure is logged when it begins.
func (r *Registration) turn(ctx context.Context, s keeper.Status, left bool) {
	bounded, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	err := r.renew(bounded, s, left)
	if err != nil && !r.failing && ctx.Err() == nil {
		r.o.Logger.Warn("this process cannot be registered", "error", err.Error())
	}
	r.failing = err != nil
}

// renew writes what the process says now. It expects the newest revision of its
// key, so that two processes that have claimed the same one notice each other.
func (r *Registration) renew(ctx context.Context, s keeper.Status, left bool) error {
	kv, err := r.js.KeyValue(ctx, r.bucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", r.bucket, err)
	}
	if r.key == "" {
		entries, now, err := list(ctx, r.js, r.bucket)
		if err != nil {
			return err
		}
		r.meet(entries)
		r.key, r.revision = claim(entries, now, r.instance)
	}
	value, err := json.Marshal(r.says(s, left))
	if err != nil {
		return fmt.Errorf("encode registration: %w", err)
	}
	var revision uint64
	if r.revision == 0 {
		revision, err = kv.Create(ctx, keyPrefix+r.key, value)
	} else {
		revision, err = kv.Update(ctx, keyPrefix+r.key, value, r.revision)
	}
	if err != nil {
		key := r.key
		r.key = "" // look again: it may be there all the same
		return fmt.Errorf("register as %s: %w", key, err)
	}
	r.revision = revision
	return nil
}

// claim returns the key that a process takes, and its revision: the one that it has
// written, else the lowest that nobody renews, else a new one.
func claim(all []entry, now time.Time, instance string) (key string, revision uint64) {
	byKey := make(map[string]entry, len(all))
	for _, e := range all {
		if e.Instance == instance {
			return e.key, e.revision
		}
		byKey[e.key] = e
	}
	for n := 1; ; n++ {
		key = strconv.Itoa(n)
		e, taken := byKey[key]
		if !taken || len(integrity.Live([]integrity.Registered{e.Registered}, now)) == 0 {
			return key, e.revision
		}
	}
}

// says is what the process says of itself now.
func (r *Registration) says(s keeper.Status, left bool) integrity.Replica {
	open, reason := s.Ready()
	out := integrity.Replica{
		ID: r.id, Instance: r.instance, Version: r.o.Version, Epoch: s.Record.Epoch, Standing: s.Watch.Standing.String(), Known: s.Record.Mark.Journal.Sequence,
		Shut: !open, Reason: reason, Left: left, At: r.o.Now().UTC(),
	}
	out.Recovered = s.Recovered.UTC()
	out.WitnessSince, out.WitnessSetBack = s.WitnessSince.UTC(), s.WitnessSetBack.UTC()
	if s.Witness != nil {
		out.WitnessFault = shortened(s.Witness.Error())
	}
	own := integrity.Own(s.Watch.Findings)
	for _, f := range own[:min(len(own), maxFound)] {
		f.Text = "" // the reason has the first ones
		out.Found = append(out.Found, f)
	}
	out.MoreFound = len(own) - len(out.Found)
	if r.o.InHand != nil {
		all := r.o.InHand()
		n := listed(all)
		out.InHand, out.MoreInHand = all[:n], len(all)-n
	}
	return out
}

// shortened bounds a text of somebody else's, such as an API server's.
func shortened(text string) string {
	if len(text) <= maxFault {
		return text
	}
	return strings.ToValidUTF8(text[:maxFault], "") + "…"
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

// randomHex tells starts apart.
func randomHex() string {
	var raw [4]byte
	_, _ = rand.Read(raw[:]) // it never fails
	return hex.EncodeToString(raw[:])
}
