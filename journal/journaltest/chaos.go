package journaltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/countermand/countermand/journal"
)

// anyFaults lets writers append to one payment while their requests and answers
// are lost, held up and refused by seeded chance. At the end every accepted
// append must be its version's only one, and the store must hold exactly one
// event a version.
func anyFaults(t *testing.T, s Store) {
	const writers, rounds = 6, 60
	c := &chaos{owners: map[uint64]string{}}
	var running sync.WaitGroup
	for w := range writers {
		chance := rand.New(rand.NewPCG(uint64(w), 7))
		j := s.Writer(t, func(int) Fault { return someFault(chance) })
		running.Go(func() {
			for round := range rounds {
				c.append(t, j, fmt.Sprintf("%d-%d", w, round))
			}
		})
	}
	running.Wait()
	final := last(t, s.Writer(t, nil), one())
	length(t, s, int(final.State.Version))
	if len(c.owners) == 0 || uint64(len(c.owners)) > final.State.Version {
		t.Errorf("%d appends were accepted, %d versions are there", len(c.owners), final.State.Version)
	}
}

// someFault goes wrong in a third of all tries.
func someFault(chance *rand.Rand) Fault {
	list := []Fault{LoseRequest, LoseAnswer, LoseAnswer, InFlight, NoResponders, Disconnected, StoreFull}
	if n := chance.IntN(3 * len(list)); n < len(list) {
		return list[n]
	}
	return None
}

// chaos knows who was told that a version is theirs.
type chaos struct {
	mu     sync.Mutex
	owners map[uint64]string
}

// append adds one event on top of what is there, whatever it takes.
func (c *chaos) append(t *testing.T, j journal.Journal, name string) {
	ctx := bounded(t)
	for {
		seen, err := j.Last(ctx, one())
		if err != nil {
			t.Errorf("read: %v", err)
			return
		}
		if Writer(seen.State) == name {
			t.Errorf("%s is there although its writer was told otherwise", name)
			return
		}
		version := seen.State.Version + 1
		_, err = j.Append(ctx, seen.Sequence, Event(one(), version, name))
		var moved *journal.ConflictError
		switch {
		case err == nil:
			c.own(t, version, name)
			return
		case errors.As(err, &moved) && moved.Last.Sequence > seen.Sequence && Writer(moved.Last.State) != name:
		case errors.Is(err, journal.ErrStoreRefuses):
		default:
			t.Errorf("append %s: %v", name, err)
			return
		}
	}
}

func (c *chaos) own(t *testing.T, version uint64, name string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if other, taken := c.owners[version]; taken {
		t.Errorf("version %d was accepted from %s and from %s", version, other, name)
	}
	c.owners[version] = name
}
