package check

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/app"
)

// paused names the providers that an operator has paused, and the setting that
// pauses all of them with each start.
func (c *checker) paused(ctx context.Context) {
	if c.cfg.StartPaused {
		c.report(Warning, ProviderPaused, "startPaused", Finding{
			Is: "true", Want: "false once the incident is over",
			Do: "every process that starts takes all providers for paused until consumer resume",
		})
	}
	t := app.Topology(c.cfg)
	if c.lacks(ProviderPaused, "pauses", streamInfo(t.ControlStream()), "$JS.API.STREAM.MSG.GET."+t.ControlStream()) {
		return
	}
	var names []string
	for _, p := range c.cfg.Providers {
		names = append(names, p.Name)
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	all, err := broker.NewControl(c.js, t).Get(ctx, names...)
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound):
		return // the topology reports it
	case err != nil:
		c.notAnswered(ProviderPaused, "pauses", err)
		return
	}
	for _, name := range names {
		if p := all[name]; p.Paused {
			c.report(Warning, ProviderPaused, "provider "+name, Finding{
				Is: p.String(), Want: "running", Do: "its commands wait, and what was begun is asked about: consumer resume " + name,
			})
		}
	}
}
