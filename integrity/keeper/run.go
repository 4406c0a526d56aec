package keeper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/internal/sleep"
)

// Run reads the streams and raises the stores until ctx ends, then raises the
// stores once more. It outlives every outage of the server and runs once.
func (k *Keeper) Run(ctx context.Context) error {
	if unmarked {
		k.takeForWhole()
		<-ctx.Done()
		return nil
	}
	var all sync.WaitGroup
	all.Go(func() { k.keepReading(ctx) })
	all.Go(func() { k.keepRaising(ctx) })
	all.Go(func() { k.keepLearning(ctx) })
	all.Go(func() { k.keepWitness(ctx) })
	all.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), ioTimeout)
	defer cancel()
	k.raise(last)
	k.raiseWitness(last)
	return nil
}

// takeForWhole is all that a program without marks does.
func (k *Keeper) takeForWhole() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Record.Epoch, k.status.Settled = integrity.FirstEpoch(), true
	k.set(integrity.Watch{Standing: integrity.Whole})
}

// keepReading makes readings until ctx ends. While something is found they are a
// second apart: three readings in one moment say no more than one. Between them it
// makes the glances that are asked for.
func (k *Keeper) keepReading(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		next := readEvery
		if err := k.read(ctx); err != nil || k.found() || k.isYoung() {
			next = readAgain
		}
		if k.glanceUntil(ctx, began.Add(next)) && (k.found() || k.Status().Reading != nil) {
			sleep.For(ctx, readAgain-time.Since(began))
		}
	}
}

// glanceUntil waits for the time of the next reading, and makes the glances that
// are asked for meanwhile. It returns at once when one finds something or fails,
// and reports whether a whole reading is wanted before its time.
func (k *Keeper) glanceUntil(ctx context.Context, next time.Time) (early bool) {
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	glances := k.glanceNow
	if k.Status().Watch.Standing != integrity.Whole {
		glances = nil // only a whole reading can say what has become of a finding
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return false
		case <-k.readNow:
			return true
		case <-glances:
			if err := k.glance(ctx); err != nil || k.Status().Watch.Standing != integrity.Whole {
				return true
			}
		}
	}
}

// glance looks at the journal alone and takes in what that says.
func (k *Keeper) glance(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	number, mark, _ := k.begin()
	began := k.now()
	r, err := k.source.Glance(ctx, mark)
	if err != nil {
		return k.unread(err)
	}
	r.Began = began
	k.take(number, mark, r, nil)
	return nil
}

// begin numbers a reading, and returns by which mark and findings it is made.
func (k *Keeper) begin() (number uint64, mark integrity.Mark, open []integrity.Finding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begun++
	return k.begun, k.status.Record.Mark, openQuestions(k.status.Watch.Findings)
}

// isYoung is young for whoever does not hold the lock.
func (k *Keeper) isYoung() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.young()
}

// found reports whether the newest readings have found something.
func (k *Keeper) found() bool {
	standing := k.Status().Watch.Standing
	return standing == integrity.Suspect || standing == integrity.Broken
}

// read makes one reading and takes it in.
func (k *Keeper) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	if err := k.load(ctx); err != nil {
		return k.unread(err)
	}
	k.askAgain(ctx)
	number, mark, open := k.begin()
	began := k.now()
	r, still, err := k.source.Read(ctx, mark, open)
	if err != nil {
		k.glanceInstead(context.WithoutCancel(ctx), number, mark)
		return k.unread(err)
	}
	if r.Journal.Missing && mark.Journal.Sequence == 0 {
		// Nothing was ever known to lie in it: a first start, and no loss.
		return k.unread(fmt.Errorf("stream %s does not exist: run consumer provision", k.names.Journal))
	}
	others, ever, err := k.others(ctx)
	if err != nil {
		return k.unread(err)
	}
	k.mu.Lock()
	k.alone = k.alone || k.firstAt.IsZero() && !ever
	k.mu.Unlock()
	r.Began = began
	if mark.Zero() {
		k.storeFirst(ctx, r)
	}
	k.take(number, mark, r, append(still, integrity.FoundByOthers(mark.Epoch, others)...))
	return nil
}

// glanceInstead looks at the journal alone where a whole reading failed: after an
// election the streams beside it may have no leader for longer. Only what it finds
// counts; that it finds nothing does not make a reading.
func (k *Keeper) glanceInstead(ctx context.Context, number uint64, mark integrity.Mark) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	began := k.now()
	r, err := k.source.Glance(ctx, mark)
	if err != nil || mark.Zero() || len(integrity.Judge(mark, r, k.names)) == 0 {
		return
	}
	r.Began = began
	k.take(number, mark, r, nil)
}

// askAgain asks the bucket again if it was found set back, so that each reading
// that says so has seen it; and while nothing is known, since another process may
// have stored the first mark meanwhile.
func (k *Keeper) askAgain(ctx context.Context) {
	k.mu.Lock()
	ask := k.bucketLost || k.status.Record.Mark.Zero() && k.status.Watch.Standing != integrity.Unread
	k.mu.Unlock()
	if ask {
		k.learnBucket(ctx)
	}
}

// storeFirst stores the first mark that there ever was, before anything is carried
// out. A process that dies with a command in hand before its first append would leave
// an empty journal and a consumer that was sent something, which looks like a loss to
// the next one. Where the bucket cannot be written, work begins all the same.
func (k *Keeper) storeFirst(ctx context.Context, r integrity.Reading) {
	adopted, _ := integrity.Adopt(r, integrity.Judge(integrity.Mark{}, r, k.names))
	if !adopted {
		return
	}
	k.raising.Lock()
	defer k.raising.Unlock()
	k.mu.Lock()
	record := k.status.Record
	k.mu.Unlock()
	record.Mark = integrity.MarkOf(r, r.Newest, record.Mark.Epoch)
	_ = k.store(ctx, record) // it is in the status
}

// openQuestions are the findings that no extent of a stream shows.
func openQuestions(all []integrity.Finding) []integrity.Finding {
	var open []integrity.Finding
	for _, f := range all {
		switch f.Kind {
		case integrity.RecordUnreadable, integrity.TimerAhead, integrity.TimerUnknown:
			open = append(open, f)
		default:
		}
	}
	return open
}

// unread takes in that there is no reading.
func (k *Keeper) unread(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.whole, k.status.Recovered = 0, time.Time{}
	if k.status.Reading == nil || k.status.Reading.Error() != err.Error() {
		k.status.Reading = err
		k.log.Warn("the journal cannot be read to see whether it is whole", "error", err.Error())
		k.tell()
	}
	return err
}

// take takes a reading in.
func (k *Keeper) take(number uint64, mark integrity.Mark, r integrity.Reading, still []integrity.Finding) {
	findings := append(integrity.Judge(mark, r, k.names), still...)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rivals != nil {
		findings = append(findings, *k.rivals)
	}
	if k.status.Record.Mark.Epoch != mark.Epoch {
		signal(k.readNow) // it was judged by the mark of an epoch that has ended
		return
	}
	k.recover(r, findings)
	if k.bucketLost {
		findings = append(findings, k.lostBucket())
	}
	k.status.Reading = nil
	if mark.Zero() {
		findings = k.adopt(r, findings)
	}
	if len(findings) == 0 {
		k.raiseTo(r)
		whole := r.Streams != nil // a glance has seen the journal alone
		if whole && k.firstAt.IsZero() {
			k.firstAt = k.now()
		}
		if r.Leader == k.leader && (whole || !k.young()) {
			k.sure = number
		}
	}
	k.set(k.status.Watch.Read(r.Began, findings))
	if !k.status.Settled && !k.firstAt.IsZero() && (k.alone || k.now().Sub(k.firstAt) >= settleFor) {
		k.status.Settled = true
		k.tell()
	}
	if r.Leader != k.leader {
		k.leader = r.Leader
		signal(k.readNow) // what a new leader says counts once it has said it twice
	}
	k.wake()
}

// remembering is how many readings in a row have to show all that is remembered: as many
// as it takes to be sure of a loss.
const remembering = 3

// recover takes in whether a reading of a broken journal shows all that this process
// remembers. What another one has found does not count, or two would wait for each other.
// What lies in the bucket alone is asked of the bucket. The lock is held.
func (k *Keeper) recover(r integrity.Reading, findings []integrity.Finding) {
	broken := k.status.Watch.Standing == integrity.Broken
	if !broken || r.Streams == nil || len(integrity.Own(findings)) > 0 || k.bucketBehind || k.appendedBehind {
		k.whole, k.status.Recovered = 0, time.Time{}
		return
	}
	k.whole++
	if k.whole >= remembering && k.status.Recovered.IsZero() && k.stored.Covers(k.withoutBucket(k.status.Record)) {
		k.status.Recovered = r.Began
		k.log.Info("all that this process remembers of the journal is there again; nothing is sent all the same: consumer journal status")
		k.tell()
	}
}

// adopt says what is found in a journal for which there is no mark anywhere.
func (k *Keeper) adopt(r integrity.Reading, findings []integrity.Finding) []integrity.Finding {
	findings = integrity.Unadopted(r, findings, k.names)
	if len(findings) == 0 && r.Journal.Last > 0 {
		k.log.Info("no mark of the journal was kept before; it is taken as it is", "ends_at", r.Journal.Last)
	}
	return findings
}

// raiseTo takes the extents of a whole reading into the mark. The lock is held.
func (k *Keeper) raiseTo(r integrity.Reading) {
	m := &k.status.Record.Mark
	at := m.Journal
	switch {
	case k.heard.Sequence > at.Sequence: // to be compared by the next reading
		at, r.Began = k.heard, k.heardAt
		signal(k.glanceNow)
	case r.Newest.Sequence > at.Sequence:
		at = r.Newest
	}
	next := integrity.MarkOf(r, at, m.Epoch)
	next.Holes = m.Holes
	*m = m.Merge(next)
}

// load takes in what the stores know, once, before the first reading.
func (k *Keeper) load(ctx context.Context) error {
	k.mu.Lock()
	loaded := k.loaded
	k.mu.Unlock()
	if loaded {
		return nil
	}
	bucket, err := k.bucket.Load(ctx)
	if err != nil && !errors.Is(err, ErrNoStore) {
		return err
	}
	low, high := bucket, integrity.Record{}
	if k.witness != nil {
		if high, err = k.witness.Load(ctx); err != nil {
			return err
		}
		if lost := integrity.JudgeWitness(bucket, high); len(lost) > 0 {
			return errors.New(lost[0].Text) // whoever starts without it cannot know what was lost
		}
		if high.Mark.Journal.Sequence < low.Mark.Journal.Sequence && !high.Zero() {
			low, high = high, low
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	defer func() { k.loaded = true }() // what is learned from then on is news
	k.stored = bucket
	if low.Zero() && high.Zero() {
		low.Epoch = integrity.FirstEpoch()
	}
	// The lower mark is judged first: the higher one may be of a journal that has
	// lost something and grown again.
	k.status.Record = k.status.Record.Merge(low)
	k.learn(high)
	return nil
}

// ErrSetBack: the store holds less than it did, or is another one.
var ErrSetBack = errors.New("the place of the marks was set back or made anew")

// ErrNoStore: the store itself does not exist. Nothing can be known of it, and
// whether it ever existed the other marks say.
var ErrNoStore = errors.New("the place of the marks does not exist")
