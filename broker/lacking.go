package broker

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
)

// Lacking names what the server does not let a login do: hear answers on an inbox, and
// publish to each of the subjects. A refused request is never answered, so it would be
// waited for in vain. What it sends is no request: where it is permitted, the server
// changes nothing. The connection is not used by others meanwhile. An error means that
// the server could not be asked.
func Lacking(ctx context.Context, nc *nats.Conn, inbox string, subjects ...string) ([]string, error) {
	var lacking []string
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // ends with the connection at the latest
	if ok, err := accepted(ctx, nc, inbox); err != nil {
		return nil, err
	} else if !ok {
		lacking = append(lacking, "hear answers on "+inbox[:strings.IndexByte(inbox+".", '.')]+".>")
	}
	for _, subject := range subjects {
		ok, err := mayPublish(ctx, nc, subject)
		if err != nil {
			return nil, err
		}
		if !ok {
			lacking = append(lacking, "publish to "+subject)
		}
	}
	return lacking, nil
}

// ErrSilent: a server has accepted the connection, and answers nothing on it. It has
// refused nothing.
var ErrSilent = errors.New("the connection stands, and the server says nothing on it")

// mayPublish asks whether a subject may be published to.
func mayPublish(ctx context.Context, nc *nats.Conn, subject string) (bool, error) {
	if err := nc.Publish(subject, []byte("probe")); err != nil {
		return false, err
	}
	return accepted(ctx, nc, subject)
}

// accepted reports whether the server has let pass what was just sent: it says what it
// refuses before it answers the flush.
func accepted(ctx context.Context, nc *nats.Conn, subject string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerFor)
	defer cancel()
	err := nc.FlushWithContext(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && nc.IsConnected():
		return false, ErrSilent
	case err != nil:
		return false, err
	}
	err = nc.LastError()
	return !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `"`+subject+`"`), nil
}
