//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
)

// healthStrike is what is done to a ward. Each is done again and again; none loses
// anything that was acknowledged.
type healthStrike string

const (
	killOne      healthStrike = "server killed"
	killTheLead  healthStrike = "journal's leader killed"
	lagBehind    healthStrike = "follower away, then caught up"
	sleepServer  healthStrike = "server put to sleep"
	sleepLead    healthStrike = "journal's leader put to sleep past an election"
	isolateLead  healthStrike = "journal's leader cut off from the others"
	isolateOther healthStrike = "bucket's leader cut off from the others"
	downJournal  healthStrike = "journal's leader stepped down"
	downOthers   healthStrike = "other leaders stepped down"
	scaleStreams healthStrike = "scaled to one replica and back"
	killProcess  healthStrike = "process killed"
	reconnect    healthStrike = "connections moved to other servers"
)

// deck is what is done to so many nodes, each once.
func deck(nodes int) []healthStrike {
	if nodes == 1 {
		return []healthStrike{killOne, killProcess, sleepServer, reconnect}
	}
	return []healthStrike{
		killTheLead, lagBehind, sleepServer, sleepLead, isolateLead, isolateOther, downJournal, downOthers, scaleStreams, killProcess, reconnect,
	}
}

// healthStrikes strikes a ward, one thing at a time, and counts.
type healthStrikes struct {
	ward   *ward
	random *rand.Rand
	only   []string
	counts map[healthStrike]int
	errs   []error
}

func newHealthStrikes(w *ward, random *rand.Rand, only []string) *healthStrikes {
	return &healthStrikes{ward: w, random: random, only: only, counts: map[healthStrike]int{}}
}

// run goes through whole decks, as many as are wanted and until it is enough.
func (s *healthStrikes) run(ctx context.Context, decks int, enough func() bool, tell func(healthStrike)) error {
	for n := 0; n < decks || !enough(); n++ {
		all := s.deck()
		s.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, what := range all {
			if n >= decks && enough() {
				return nil
			}
			tell(what)
			if err := s.strike(ctx, what); err != nil && ctx.Err() == nil {
				s.errs = append(s.errs, fmt.Errorf("%s: %w", what, err))
			} else {
				s.counts[what]++
			}
			if err := s.recovered(ctx); err != nil {
				return fmt.Errorf("after %s: %w", what, err)
			}
			sleep.For(ctx, time.Second)
		}
		if !sleep.For(ctx, 100*time.Millisecond) { // also where there is nothing to do
			return ctx.Err()
		}
	}
	return nil
}

// deck is what is to be done, each once.
func (s *healthStrikes) deck() []healthStrike {
	return slices.DeleteFunc(deck(len(s.ward.servers)), func(what healthStrike) bool {
		named := func(text string) bool { return strings.Contains(string(what), text) }
		return len(s.only) > 0 && !slices.ContainsFunc(s.only, named)
	})
}

func (s *healthStrikes) strike(ctx context.Context, what healthStrike) error {
	t := s.ward.topology
	switch what {
	case killOne:
		return s.away(ctx, s.ward.servers[0], s.between(200*time.Millisecond, 2*time.Second))
	case killTheLead:
		return s.onLeader(ctx, t.Events, func(lead *program.NATSServer) error {
			return s.away(ctx, lead, s.between(200*time.Millisecond, 3*time.Second))
		})
	case lagBehind:
		return s.onFollower(ctx, func(one *program.NATSServer) error { return s.away(ctx, one, s.between(3*time.Second, 6*time.Second)) })
	case sleepServer:
		return s.asleep(ctx, s.ward.servers[s.random.IntN(len(s.ward.servers))], s.between(time.Second, 3*time.Second))
	case sleepLead:
		return s.onLeader(ctx, t.Events, func(lead *program.NATSServer) error {
			return s.asleep(ctx, lead, s.between(8*time.Second, 12*time.Second))
		})
	case isolateLead:
		return s.onLeader(ctx, t.Events, func(lead *program.NATSServer) error { return s.isolate(ctx, lead) })
	case isolateOther:
		return s.onLeader(ctx, t.ControlStream(), func(lead *program.NATSServer) error { return s.isolate(ctx, lead) })
	case downJournal:
		return s.stepDown(ctx, t.Events)
	case downOthers:
		return errors.Join(s.stepDown(ctx, t.ControlStream()), s.stepDown(ctx, t.Commands), s.stepDown(ctx, t.Due))
	case scaleStreams:
		return s.scale(ctx)
	case killProcess:
		return s.ward.kill(ctx, s.random.IntN(len(s.ward.processes)))
	case reconnect:
		return s.reconnect()
	}
	return fmt.Errorf("there is no strike %q", what)
}

func (s *healthStrikes) between(from, to time.Duration) time.Duration {
	return from + time.Duration(s.random.Int64N(int64(to-from)))
}

// away kills a server and starts it again after a while.
func (s *healthStrikes) away(ctx context.Context, one *program.NATSServer, while time.Duration) error {
	one.Kill()
	sleep.For(ctx, while)
	return one.Start()
}

// asleep stops a server's process for a while.
func (s *healthStrikes) asleep(ctx context.Context, one *program.NATSServer, while time.Duration) error {
	one.Signal(syscall.SIGSTOP)
	sleep.For(ctx, while)
	one.Signal(syscall.SIGCONT)
	return nil
}

const (
	// isolatedFor is longer than an election. A leader without followers gives up by
	// itself after ten to twenty seconds.
	isolatedFor = 14 * time.Second
	// Connections move each movedEvery, from movedAfter on: the others may have elected
	// another leader by then.
	movedAfter, movedEvery = 5 * time.Second, 1500 * time.Millisecond
)

// isolate cuts a server off from the others, but not from its clients. Once the others
// have another leader and go on, connections move, so that processes that know what
// the others accepted ask the one that does not.
func (s *healthStrikes) isolate(ctx context.Context, one *program.NATSServer) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for pair, p := range s.ward.routes {
		if s.ward.servers[pair[0]] != one && s.ward.servers[pair[1]] != one {
			continue
		}
		all.Go(func() {
			err := p.cut(ctx, isolatedFor)
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	var moved error
	end := time.Now().Add(isolatedFor)
	for sleep.For(ctx, movedAfter); time.Now().Before(end) && ctx.Err() == nil; sleep.For(ctx, movedEvery) {
		moved = errors.Join(moved, s.reconnect())
	}
	all.Wait()
	return errors.Join(failed, moved)
}

// reconnect has every process connect anew, to the next of its servers.
func (s *healthStrikes) reconnect() error {
	var failed error
	for i := range s.ward.processes {
		failed = errors.Join(failed, s.ward.any(i).nc.ForceReconnect())
	}
	return failed
}

// led returns the server that leads a stream.
func (s *healthStrikes) led(ctx context.Context, stream string) (*program.NATSServer, error) {
	var leads *program.NATSServer
	err := program.Await(ctx, func() bool {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		found, err := s.ward.js.Stream(try, stream)
		if err != nil || found.CachedInfo().Cluster == nil {
			return false
		}
		leads = s.ward.servers.named(found.CachedInfo().Cluster.Leader)
		return leads != nil
	})
	return leads, err
}

func (s *healthStrikes) onLeader(ctx context.Context, stream string, do func(*program.NATSServer) error) error {
	lead, err := s.led(ctx, stream)
	if err != nil {
		return err
	}
	return do(lead)
}

func (s *healthStrikes) onFollower(ctx context.Context, do func(*program.NATSServer) error) error {
	lead, err := s.led(ctx, s.ward.topology.Events)
	if err != nil {
		return err
	}
	for _, one := range s.ward.servers {
		if one != lead {
			return do(one)
		}
	}
	return errors.New("there is no follower")
}

func (s *healthStrikes) stepDown(ctx context.Context, stream string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := s.ward.nc.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil)
	return err
}

// scale takes journal and bucket to one replica and back.
func (s *healthStrikes) scale(ctx context.Context) error {
	for _, replicas := range []int{1, 3} {
		for _, stream := range []string{s.ward.topology.Events, s.ward.topology.ControlStream()} {
			if err := s.scaleTo(ctx, stream, replicas); err != nil {
				return fmt.Errorf("scale %s to %d: %w", stream, replicas, err)
			}
		}
		if err := s.recovered(ctx); err != nil {
			return err
		}
		sleep.For(ctx, 3*time.Second)
	}
	return nil
}

func (s *healthStrikes) scaleTo(ctx context.Context, stream string, replicas int) error {
	var last error
	err := await(ctx, recoverFor, func() bool {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		found, err := s.ward.js.Stream(try, stream)
		if err != nil {
			last = err
			return false
		}
		cfg := found.CachedInfo().Config
		cfg.Replicas = replicas
		_, last = s.ward.js.UpdateStream(try, cfg)
		return last == nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}

// recovered waits until every server is healthy and every replica has caught up: a
// second strike before that may lose what was acknowledged, and then the alarm would
// be right.
func (s *healthStrikes) recovered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := s.ward.servers.ready(ctx); err != nil {
		return err
	}
	t := s.ward.topology
	for _, stream := range []string{t.Events, t.ControlStream(), t.Commands, t.Due, t.Refusals, t.Rejected} {
		if err := program.Await(ctx, func() bool { return s.caughtUp(ctx, stream) }); err != nil {
			return fmt.Errorf("wait for the replicas of %s: %w", stream, err)
		}
	}
	return nil
}

// closeBy is how far a replica may be behind while appends go on.
const closeBy = 1000

func (s *healthStrikes) caughtUp(ctx context.Context, stream string) bool {
	try, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	found, err := s.ward.js.Stream(try, stream)
	if err != nil {
		return false
	}
	info := found.CachedInfo()
	return info.Cluster == nil || led(info) && len(info.Cluster.Replicas) == info.Config.Replicas-1
}

// led reports whether a stream has a leader whose followers are there.
func led(info *jetstream.StreamInfo) bool {
	if info.Cluster.Leader == "" {
		return false
	}
	for _, r := range info.Cluster.Replicas {
		if r.Offline || r.Active > 2*time.Second || r.Lag > closeBy {
			return false
		}
	}
	return true
}
