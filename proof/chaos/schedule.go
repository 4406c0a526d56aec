//go:build unix

package main

import (
	"math/rand/v2"
	"slices"
	"time"
)

// strike is one thing that is done to the world.
type strike string

// The strikes. Those on servers come one after the other, the others whenever
// their time comes.
const (
	killConsumer strike = "consumer killed"
	stopConsumer strike = "consumer stopped past callUntil"
	killServer   strike = "server killed"
	endServer    strike = "server restarted"
	killLeader   strike = "leader killed"
	killTwo      strike = "leader and another server killed"
	stepDown     strike = "leader stepped down"
	cutNATS      strike = "consumer cut off from a server"
	slowNATS     strike = "way to a server slow or silent"
	cutProvider  strike = "consumers cut off from a provider"
	slowProvider strike = "way to a provider slow or silent"
)

// onServers reports whether servers are struck; they are given time to recover
// before the next one.
func (s strike) onServers() bool {
	return s == killServer || s == endServer || s == killLeader || s == killTwo || s == stepDown
}

// planned is a strike and its time since the beginning.
type planned struct {
	at   time.Duration
	what strike
}

// amount is how much is struck.
type amount struct {
	kills, servers, nodes int
	over                  time.Duration
}

// wakeBefore is how long a process may sleep.
const wakeBefore = 20 * time.Second

// schedule spreads strikes evenly over the time, in random order: besides the
// kills and the strikes on servers that were asked for a tenth as many stops as
// kills, and as many cuts and slow ways as kills.
func schedule(random *rand.Rand, a amount) []planned {
	var all []planned
	spreadOver := func(over time.Duration, n int, pick func(i int) strike) {
		for i := range n {
			slot := float64(over) / float64(n)
			all = append(all, planned{time.Duration((float64(i) + random.Float64()) * slot), pick(i)})
		}
	}
	spread := func(n int, pick func(i int) strike) { spreadOver(a.over, n, pick) }
	spread(a.kills, func(int) strike { return killConsumer })
	// Earlier, so that they wake up while there is still something to do.
	spreadOver(max(a.over-wakeBefore, a.over/4), (a.kills+9)/10, func(int) strike { return stopConsumer })
	spread(a.servers, func(i int) strike {
		if a.nodes > 1 {
			return []strike{killLeader, stepDown, killTwo}[i%3]
		}
		return []strike{killServer, endServer}[i%2]
	})
	ways := []strike{cutNATS, slowNATS, cutProvider, slowProvider}
	spread(a.kills, func(i int) strike { return ways[i%len(ways)] })
	slices.SortFunc(all, func(x, y planned) int { return int(x.at - y.at) })
	return all
}
