package console

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/countermand/countermand/desk"
)

const (
	// queueWithin and paymentFor bound the questions of a page. The queue has longer,
	// because it reads every open operation.
	queueWithin, paymentFor = 10 * time.Second, 5 * time.Second
	// decideFor bounds a ruling, and a question to a provider. It is shorter than an answer of the
	// admin address may take.
	decideFor = 90 * time.Second
)

// within asks something of NATS for a page, as long as it may take. Without a connection
// it asks nothing. Its own errors say, for the page, what could not be done.
func (c *Console) within(r *http.Request, atMost time.Duration, doing string, ask func(context.Context) error) error {
	if since := c.service.Away(); !since.IsZero() {
		return notAsked("There has been no connection to NATS since %s UTC: the service could not %s.", clockTime(since), doing)
	}
	ctx, cancel := context.WithTimeout(r.Context(), atMost)
	defer cancel()
	err := ask(ctx)
	if err != nil && ctx.Err() != nil && r.Context().Err() == nil {
		return notAsked("NATS has not answered for %d seconds: the service could not %s.", int(atMost/time.Second), doing)
	}
	return err
}

func notAsked(format string, args ...any) error {
	return &desk.Error{Fault: desk.FaultUnavailable, Message: fmt.Sprintf(format, args...)}
}

// askQueue lists what needs a person.
func (c *Console) askQueue(r *http.Request, f desk.Filter) (q *desk.Queue, err error) {
	err = c.within(r, queueWithin, "list what needs a person", func(ctx context.Context) (err error) {
		q, err = c.desk.Queue(ctx, f)
		return err
	})
	return q, err
}
