//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
)

const (
	// stopFor is how long a process may take to end.
	stopFor = 20 * time.Second
	// goneFor is how long the journal is gone before it is made anew under load.
	goneFor = 4 * time.Second
)

// stopped ends servers, does something to their files, and starts them again.
func (w *world) stopped(ctx context.Context, which servers, do func(*program.NATSServer) error) error {
	for _, s := range which {
		s.Terminate(stopFor)
	}
	for _, s := range which {
		if err := do(s); err != nil {
			return err
		}
	}
	for _, s := range which {
		if err := s.Start(); err != nil {
			return err
		}
	}
	if err := which.ready(ctx); err != nil {
		return err
	}
	if err := program.Await(ctx, w.nc.IsConnected); err != nil {
		return fmt.Errorf("connect again: %w", err)
	}
	if len(w.servers) == 1 {
		return nil
	}
	t := topology()
	for _, stream := range []string{t.Events, t.Commands, t.Due} {
		if err := w.led(ctx, stream, nil); err != nil {
			return fmt.Errorf("wait for the leader of %s: %w", stream, err)
		}
	}
	return nil
}

// copyAll copies every server's files, as a backup of volumes does.
func copyAll(ctx context.Context, p *lossPlay) error {
	p.copies = map[string]string{}
	return p.world.stopped(ctx, p.world.servers, func(s *program.NATSServer) error {
		to := filepath.Join(p.world.dir, "copy-of-"+s.Name)
		p.copies[s.Name] = to
		return os.CopyFS(to, os.DirFS(s.Store()))
	})
}

// putBack puts the copy of a part of a server's files in its place.
func (p *lossPlay) putBack(s *program.NATSServer, part string) error {
	to := filepath.Join(s.Store(), part)
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("put copy back: %w", err)
	}
	if err := os.CopyFS(to, os.DirFS(filepath.Join(p.copies[s.Name], part))); err != nil {
		return fmt.Errorf("put copy back: %w", err)
	}
	return nil
}

// restoreAll puts the copies in the place of everything, under the running service.
func restoreAll(ctx context.Context, p *lossPlay) error {
	return p.world.stopped(ctx, p.world.servers, func(s *program.NATSServer) error { return p.putBack(s, ".") })
}

// restoreAllAtRest does so while no process of the service runs.
func restoreAllAtRest(ctx context.Context, p *lossPlay) error {
	p.world.endService()
	if err := restoreAll(ctx, p); err != nil {
		return err
	}
	return p.startService()
}

// endService ends the consumers in an orderly way.
func (w *world) endService() {
	for _, c := range w.consumers {
		c.Terminate(stopFor)
	}
}

func (p *lossPlay) startService() error {
	p.lostAt = time.Now()
	return p.world.serve()
}

// journalDirectory is where a server keeps the journal.
func journalDirectory() string { return filepath.Join("$G", "streams", topology().Events) }

// loseCommands has the commands age for a moment, so that their stream ends where it did,
// and puts an older copy of the journal in its place.
func loseCommands(ctx context.Context, p *lossPlay) error {
	js, commands := p.world.js, topology().CommandsConfig()
	keeps := commands.MaxAge
	commands.MaxAge = time.Second
	if _, err := js.UpdateStream(ctx, commands); err != nil {
		return fmt.Errorf("have commands age: %w", err)
	}
	if err := program.Await(ctx, func() bool {
		s, err := js.Stream(ctx, commands.Name)
		return err == nil && s.CachedInfo().State.Msgs == 0
	}); err != nil {
		return fmt.Errorf("wait until the commands are gone: %w", err)
	}
	commands.MaxAge = keeps
	if _, err := js.UpdateStream(ctx, commands); err != nil {
		return fmt.Errorf("keep commands: %w", err)
	}
	return restoreJournal(ctx, p)
}

// restoreJournal puts an older copy of the journal alone in its place and makes the
// durable consumers anew, while no process runs.
func restoreJournal(ctx context.Context, p *lossPlay) error {
	w := p.world
	w.endService()
	err := w.stopped(ctx, w.servers, func(s *program.NATSServer) error { return p.putBack(s, journalDirectory()) })
	if err != nil {
		return err
	}
	t := topology()
	for _, stream := range []string{t.Commands, t.Due} {
		if err := w.js.DeleteConsumer(ctx, stream, t.Consumer); err != nil {
			return fmt.Errorf("delete consumer of %s: %w", stream, err)
		}
	}
	if err := w.provision(ctx, w.binary); err != nil {
		return err
	}
	return p.startService()
}

// dropJournal deletes the journal's stream and provisions it.
func dropJournal(ctx context.Context, p *lossPlay) error {
	if err := p.world.js.DeleteStream(ctx, topology().Events); err != nil {
		return fmt.Errorf("delete journal: %w", err)
	}
	return p.world.provision(ctx, p.world.binary)
}

// dropJournalForAWhile does so under load, with some time between.
func dropJournalForAWhile(ctx context.Context, p *lossPlay) error {
	if err := p.world.js.DeleteStream(ctx, topology().Events); err != nil {
		return fmt.Errorf("delete journal: %w", err)
	}
	p.forget()
	sleep.For(ctx, goneFor)
	return p.world.provision(ctx, p.world.binary)
}

// dropBucket deletes the bucket of pauses and marks and provisions it.
func dropBucket(ctx context.Context, p *lossPlay) error {
	if err := p.world.js.DeleteKeyValue(ctx, topology().Control); err != nil {
		return fmt.Errorf("delete bucket: %w", err)
	}
	return p.world.provision(ctx, p.world.binary)
}

// led waits until a stream has a leader that answers, and returns it.
func (w *world) led(ctx context.Context, stream string, by *program.NATSServer) error {
	return program.Await(ctx, func() bool {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		s, err := w.js.Stream(try, stream)
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		leader := s.CachedInfo().Cluster.Leader
		return leader != "" && (by == nil || leader == by.Name)
	})
}

// makeLead makes a server lead the journal.
func (w *world) makeLead(ctx context.Context, s *program.NATSServer) error {
	placed := fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, s.Name)
	return program.Await(ctx, func() bool {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_, _ = w.nc.RequestWithContext(try, "$JS.API.STREAM.LEADER.STEPDOWN."+topology().Events, placed) // asked again until it leads
		return w.led(try, topology().Events, s) == nil
	})
}

// damagedLeads damages the journal's files of one server and makes that one lead.
func damagedLeads(ctx context.Context, p *lossPlay) error {
	w := p.world
	if err := w.makeLead(ctx, w.servers[1]); err != nil {
		return err
	}
	sick := w.servers[0]
	if err := w.stopped(ctx, servers{sick}, func(s *program.NATSServer) error {
		return damage(filepath.Join(s.Store(), journalDirectory(), "msgs"))
	}); err != nil {
		return err
	}
	p.began = time.Now()
	if err := w.makeLead(ctx, sick); err != nil {
		return err
	}
	p.lostAt = time.Now()
	return nil
}

// fillBlock fills the journal's first block, so that the next events lie in another:
// damage at the end of the last block a server heals from its peers.
func fillBlock(ctx context.Context, p *lossPlay) error {
	event := fmt.Appendf(nil, `{"data":{"action":"padding","reason":%q}}`, strings.Repeat("x", 60<<10))
	subject := strings.TrimSuffix(events.OperatorFilter("padding"), "*")
	for i := range blockSize/len(event) + 1 {
		if _, err := p.world.js.Publish(ctx, subject+strconv.Itoa(i), event); err != nil {
			return fmt.Errorf("fill a block of the journal: %w", err)
		}
	}
	return nil
}

// blockSize is how much of a stream lies in one file.
const blockSize = 8 << 20

// damage overwrites a part of the first block of a stream, so that the server finds
// messages there that it cannot read, and has it look at all of them.
func damage(messages string) error {
	if err := os.Remove(filepath.Join(messages, "index.db")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("damage journal: %w", err)
	}
	block, err := os.OpenFile(filepath.Join(messages, "1.blk"), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("damage journal: %w", err)
	}
	defer block.Close()
	if _, err := block.WriteAt(make([]byte, 2048), 1<<10); err != nil { // among the first events
		return fmt.Errorf("damage journal: %w", err)
	}
	return nil
}

// leadAnother makes a server lead that holds everything, and rebuilds the damaged
// one from it, as the page says.
func leadAnother(ctx context.Context, p *lossPlay) error {
	w := p.world
	if err := w.makeLead(ctx, w.servers[1]); err != nil {
		return err
	}
	return w.stopped(ctx, w.servers[:1], func(s *program.NATSServer) error { return os.RemoveAll(s.Store()) })
}

// setBackTwo puts older copies in the place of two servers' files while the third is
// away. It comes back without its files and is built anew from the others: with them it
// might hold other messages than they do.
func setBackTwo(ctx context.Context, p *lossPlay) error {
	w := p.world
	for _, s := range w.servers {
		s.Terminate(stopFor)
	}
	for _, s := range w.servers[:2] {
		if err := p.putBack(s, "."); err != nil {
			return err
		}
		if err := s.Start(); err != nil {
			return err
		}
	}
	if err := w.led(ctx, topology().Events, nil); err != nil {
		return err
	}
	p.lostAt = time.Now()
	err := w.stopped(ctx, w.servers[2:], func(s *program.NATSServer) error { return os.RemoveAll(s.Store()) })
	if err != nil {
		return err
	}
	return w.servers.ready(ctx)
}

// firstSince returns when the first message was appended to the journal at or after
// a time; false: none was.
func (w *world) firstSince(ctx context.Context, from time.Time) (time.Time, bool) {
	c, err := w.js.OrderedConsumer(ctx, topology().Events, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from,
	})
	if err != nil {
		return time.Time{}, false
	}
	m, err := c.Next(jetstream.FetchMaxWait(2 * time.Second))
	if err != nil {
		return time.Time{}, false
	}
	meta, err := m.Metadata()
	return meta.Timestamp, err == nil
}
