package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/reconcile"
)

// lookingAgain has the service ask about differences once they are printed.
type lookingAgain struct {
	desk   *remote.Client
	world  *cli.World
	out    *differences
	reason string
	// told counts what went out as events, later what has to be tried again and
	// failed what the desk said no to.
	told, later, failed int
}

// emit prints a difference and, where an operation of ours is behind it, has
// the provider asked about it.
func (l *lookingAgain) emit(d reconcile.Difference) error {
	if err := l.out.emit(d); err != nil {
		return err
	}
	switch d.Kind {
	case reconcile.NotExecuted, reconcile.ExecutedAnyway, reconcile.Returned, reconcile.OpenTooOld:
	default:
		return nil
	}
	if d.Key == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.world.Context, cli.DeskFor)
	defer cancel()
	looked, err := l.desk.Look(ctx, desk.Look{
		Provider: d.Provider, Payment: d.Payment, Operation: d.Operation, Key: d.Key, Reason: l.reason,
	})
	var no *desk.Error
	switch {
	case err == nil:
		return l.took(d, looked)
	case errors.As(err, &no):
		l.failed++
		return l.out.looked(d, nil, no.Message)
	default:
		return err // nobody answers: the next one would wait in vain as well
	}
}

func (l *lookingAgain) took(d reconcile.Difference, looked *desk.Looked) error {
	if looked.Event != "" {
		l.told++
	}
	if looked.Later {
		l.later++
	}
	return l.out.looked(d, looked, "")
}

// end says what is left to do.
func (l *lookingAgain) end() (left []error) {
	if l.out.json == nil {
		fmt.Fprintf(l.world.Stderr, "%d events went out\n", l.told)
	}
	if l.later > 0 {
		left = append(left, fmt.Errorf("%d operations had no answer just now: run it again later", l.later))
	}
	if l.failed > 0 {
		left = append(left, fmt.Errorf("%d operations could not be asked about again", l.failed))
	}
	return left
}

// looked prints what came of asking again; refused says why it was not done.
func (d *differences) looked(x reconcile.Difference, l *desk.Looked, refused string) error {
	if d.json != nil {
		return d.json.Encode(map[string]any{"look": struct {
			Payment string       `json:"payment"`
			Key     string       `json:"idempotencyKey"`
			Looked  *desk.Looked `json:"looked,omitempty"`
			Refused string       `json:"refused,omitempty"`
		}{x.Payment, string(x.Key), l, refused}})
	}
	out := d.world.Stdout
	if d.csv != nil {
		out = d.world.Stderr // the table stays a table
	}
	var what string
	switch {
	case refused != "":
		what = "not asked again: " + refused
	case !l.Asked && l.Later:
		what = "could not be asked just now"
	case !l.Asked:
		what = "nothing to ask, or told before"
	case l.Event != "":
		what = fmt.Sprintf("the provider says %s: payment.%s.%s went out", l.Answer, x.Operation, l.Event)
	default:
		what = fmt.Sprintf("the provider says %s: nothing new", l.Answer)
	}
	_, err := fmt.Fprintf(out, "  payment %s, key %s: %s\n", x.Payment, x.Key, what)
	return err
}
