package streams

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	randomness "math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/internal/quorum"
	"github.com/countermand/countermand/internal/sleep"
)

// MarkKey is the key of the record in the bucket. No provider's name begins
// with an underscore.
const MarkKey = "_mark"

// Bucket keeps the record in a key-value bucket: beside the pauses, or in
// another NATS as a witness. It is safe for concurrent use by many processes.
// Loading is one request to the leader, raising one publish as long as nobody
// else raises, so that neither needs a right to ask for the bucket itself.
type Bucket struct {
	nc   Requester
	name string
	id   string // of a bucket that has none; empty: it is drawn

	mu sync.Mutex
	// last is what the key is known to hold, at its revision; 0: not known.
	last     integrity.Record
	revision uint64
	// known is the highest record that the key was seen to hold, and its bucket.
	known integrity.Record
}

var (
	_ keeper.Store    = (*Bucket)(nil)
	_ keeper.Restorer = (*Bucket)(nil)
)

// NewBucket returns the store in a bucket. It does no I/O.
func NewBucket(nc Requester, name string) *Bucket {
	return &Bucket{nc: nc, name: name}
}

// Load implements keeper.Store. A bucket that does not exist is keeper.ErrNoStore. One
// that holds less than it did is keeper.ErrSetBack, unless it is a server without
// followers that says so.
func (b *Bucket) Load(ctx context.Context) (integrity.Record, error) {
	before := b.highest() // an answer may come after that of a later raise
	r, revision, err := b.read(ctx)
	if err == nil && setBack(before, r) {
		if err = b.led(ctx); err == nil {
			r, revision, err = b.read(ctx) // of the one that leads
		}
	}
	switch {
	case err != nil:
		return integrity.Record{}, fmt.Errorf("read mark in bucket %s: %w", b.name, err)
	case setBack(before, r):
		return r, fmt.Errorf("read mark in bucket %s: %w", b.name, keeper.ErrSetBack)
	default:
		return b.remember(r, revision), nil
	}
}

// read reads the key: what it holds, and its revision; 0: nothing is there.
func (b *Bucket) read(ctx context.Context) (r integrity.Record, revision uint64, err error) {
	m, err := lastMessage(ctx, b.nc, "KV_"+b.name, b.subject())
	if failed, ok := errors.AsType[*jetstream.APIError](err); ok && failed.ErrorCode == jetstream.JSErrCodeStreamNotFound {
		err = keeper.ErrNoStore
	}
	if err == nil && len(m.Data) > 0 { // nothing there, or a deletion by hand
		err = json.Unmarshal(m.Data, &r)
	}
	return r, m.Seq, err
}

// ledFor bounds the question who leads the bucket. It may not be permitted, as in another
// NATS; then it has no answer.
const ledFor = 500 * time.Millisecond

// led returns an error if the server that answers for the bucket is known to be followed by
// too few: it has been cut off, and shows what the others had before. Who says nothing
// is believed.
func (b *Bucket) led(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ledFor)
	defer cancel()
	reply, err := request(ctx, b.nc, "$JS.API.STREAM.INFO.KV_"+b.name, "")
	if err != nil {
		return nil // what cannot be asked excuses nothing
	}
	var info struct {
		// Cluster is absent where a single server answers, and where the stream is gone.
		Cluster *jetstream.ClusterInfo `json:"cluster"`
	}
	if json.Unmarshal(reply.Data, &info) != nil {
		return nil
	}
	return quorum.Led(info.Cluster)
}

// setBack reports whether the key held more before than it does now, or the bucket
// is another one. A later epoch begins anew.
func setBack(before, now integrity.Record) bool {
	if now.Epoch.Number > before.Epoch.Number {
		return false
	}
	return before.Bucket != "" && now.Bucket != before.Bucket || !now.Reaches(before)
}

func (b *Bucket) highest() integrity.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known
}

func (b *Bucket) subject() string { return "$KV." + b.name + "." + MarkKey }

// remember takes in what the key holds at a revision, unless a later answer is
// known already, and returns what is known then.
func (b *Bucket) remember(r integrity.Record, revision uint64) integrity.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	if setBack(b.known, r) {
		return b.known
	}
	b.last, b.revision = r, revision
	if revision > 0 {
		b.known = r
	}
	return r
}

// forget has the next raise read the key first.
func (b *Bucket) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.revision = integrity.Record{}, 0
}

func (b *Bucket) remembered() (integrity.Record, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, b.revision
}

const (
	// maxTries bounds how often a rival may be first.
	maxTries = 20
	// firstPause and lastPause bound the random pause after a rival was first, which
	// doubles: without it all processes come back in the same moment.
	firstPause, lastPause = 2 * time.Millisecond, 64 * time.Millisecond
)

// Raise implements keeper.Store: compare and set by the revision that is known.
func (b *Bucket) Raise(ctx context.Context, want integrity.Record) (integrity.Record, error) {
	pause := firstPause
	for range maxTries {
		stored, revision := b.remembered()
		if revision == 0 || stored.Covers(want) {
			if now, err := b.Load(ctx); err != nil || now.Covers(want) {
				return now, err
			}
			stored, revision = b.remembered()
		}
		merged := stored.Merge(want)
		merged.Bucket = cmp.Or(stored.Bucket, b.id, rand.Text())
		next, err := b.set(ctx, merged, revision)
		switch {
		case err == nil:
			b.remember(merged, next)
			return merged, nil
		case !errors.Is(err, errRival):
			return integrity.Record{}, err
		}
		b.forget()
		if !sleep.For(ctx, randomness.N(pause)) { //nolint:gosec // no secret
			return integrity.Record{}, fmt.Errorf("store mark in bucket %s: others were first: %w", b.name, ctx.Err())
		}
		pause = min(2*pause, lastPause)
	}
	return integrity.Record{}, fmt.Errorf("store mark in bucket %s: others were first %d times", b.name, maxTries)
}

// Restore implements keeper.Restorer: a bucket that was made anew gets the name of the
// one that it replaces, so that other processes raise it as well.
func (b *Bucket) Restore(ctx context.Context, want integrity.Record) (integrity.Record, error) {
	known := b.highest()
	anew := &Bucket{nc: b.nc, name: b.name, id: known.Bucket}
	stored, err := anew.Load(ctx)
	switch {
	case err != nil:
		return integrity.Record{}, err
	case stored.Bucket != known.Bucket && !stored.Zero():
		return integrity.Record{}, fmt.Errorf("store mark in bucket %s: it holds the mark of another: %w", b.name, keeper.ErrSetBack)
	}
	now, err := anew.Raise(ctx, want)
	if err != nil {
		return integrity.Record{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.revision = anew.remembered()
	b.known = now
	return now, nil
}

// Probe writes what the key holds once more, to see whether it may be written. A key
// that holds nothing yet is left.
func (b *Bucket) Probe(ctx context.Context) error {
	r, err := b.Load(ctx)
	if err != nil {
		return err
	}
	if _, revision := b.remembered(); revision > 0 {
		_, err = b.set(ctx, r, revision)
	}
	if errors.Is(err, errRival) {
		return nil // another process can write it
	}
	return err
}

// errRival: somebody has written the key since it was read.
var errRival = errors.New("the key has been written meanwhile")

// set writes the key if it still has the revision, and returns its new one.
func (b *Bucket) set(ctx context.Context, r integrity.Record, revision uint64) (uint64, error) {
	value, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("encode mark: %w", err)
	}
	reply, err := b.nc.RequestMsgWithContext(ctx, &nats.Msg{
		Subject: b.subject(), Data: value,
		Header: nats.Header{jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(revision, 10)}},
	})
	if err != nil {
		return 0, fmt.Errorf("store mark in bucket %s: %w", b.name, err)
	}
	var ack struct {
		Sequence uint64              `json:"seq"`
		Error    *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return 0, fmt.Errorf("store mark in bucket %s: decode answer: %w", b.name, err)
	}
	switch {
	case ack.Error == nil && ack.Sequence > 0:
		return ack.Sequence, nil
	case ack.Error == nil:
		return 0, fmt.Errorf("store mark in bucket %s: the answer has no sequence", b.name)
	case ack.Error.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence,
		ack.Error.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return 0, errRival
	default:
		return 0, fmt.Errorf("store mark in bucket %s: %w", b.name, ack.Error)
	}
}
