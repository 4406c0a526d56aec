package broker

import (
	"context"
	"sync"
	"sync/atomic"
)

// workers carry out the messages of both sources, each worker one at a time. A
// worker stays until the consumer is told to stop. The first is started with the
// consumer, and the last idle one starts another before it begins with a message.
//
// With all of them started at once, they would take turns, and each message would
// find a worker that was idle for long. The garbage collector would have cut that
// worker's stack, and growing it again costs more than the decision on a message.
type workers struct {
	commands, due *source
	most          int32 // how many there may be

	started, idle atomic.Int32
	ended         sync.WaitGroup
}

// start starts a worker, unless there are enough.
func (w *workers) start(ctx, handling context.Context) {
	if w.started.Add(1) > w.most {
		w.started.Add(-1)
		return
	}
	w.idle.Add(1)
	w.ended.Go(func() { w.work(ctx, handling) })
}

// work takes messages until ctx ends, and carries them out under handling. If
// both queues have messages, select chooses at random, so that neither source
// starves.
func (w *workers) work(ctx, handling context.Context) {
	for {
		var s *source
		var m *inHand
		select {
		case <-ctx.Done():
			return
		case m = <-w.commands.queue:
			s = w.commands
		case m = <-w.due.queue:
			s = w.due
		}
		if w.idle.Add(-1) == 0 {
			w.start(ctx, handling)
		}
		s.begin(ctx, handling, m)
		w.idle.Add(1)
	}
}
