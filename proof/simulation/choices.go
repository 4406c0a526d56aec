package simulation

import "math/rand/v2"

// choices hands out what the schedule says. Where it has ended, every choice
// is 0, the one in which nothing goes wrong.
type choices struct {
	schedule []byte
	next     int
	style    style
}

// style is what a schedule spends its choices on: a storm of everything finds
// other things than faults of one sort, one right after another.
type style int

const (
	everything style = iota
	answers          // only what providers and the journal do and answer
	processes        // only what happens to consumers, messages and the clock
)

// answer is a choice of what a provider or the journal does.
func (c *choices) answer(n int) int {
	if c.style == processes {
		return 0
	}
	return c.of(n)
}

// order is a choice of what happens next.
func (c *choices) order(n int) int {
	if c.style == answers {
		return 0
	}
	return c.of(n)
}

// fault is true for one answer in n.
func (c *choices) fault(n int) bool { return c.answer(n) == n-1 }

// of returns a number from 0 to n−1; n is at most 256.
func (c *choices) of(n int) int {
	if c.over() {
		return 0
	}
	b := c.schedule[c.next]
	c.next++
	return int(b) % n
}

// end drops what is left of the schedule.
func (c *choices) end() { c.next = len(c.schedule) }

func (c *choices) over() bool { return c.next >= len(c.schedule) }

// longest is how many choices a schedule of a seed has at most.
const longest = 240

// Schedule makes the schedule of a seed. Schedules differ in length and in how
// much goes wrong: in a third of them most choices are the calm ones, so that
// single faults are met as well as storms.
func Schedule(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0x636f756e7465726d)) // #nosec G404 -- a schedule is to be repeatable
	schedule := make([]byte, 12+random.IntN(longest-12))
	calm := [...]int{0, 40, 85}[random.IntN(3)]
	for i := range schedule {
		b := byte(random.IntN(256))
		if i >= header && random.IntN(100) < calm {
			b = 0
		}
		schedule[i] = b
	}
	return schedule
}

// header is how many choices make the commands, about.
const header = 10
