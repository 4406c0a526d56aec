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

// requeries asks the service to requery differences once they are printed.
type requeries struct {
	desk   *remote.Client
	world  *cli.World
	out    *differences
	reason string
	// told counts the events that went out, later the operations to be tried again,
	// and failed those that the desk refused.
	told, later, failed int
}

// emit prints a difference. If one of our operations is behind it, the provider
// is asked about that.
func (l *requeries) emit(d reconcile.Difference) error {
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
	requeried, err := l.desk.Requery(ctx, desk.Requery{
		Provider: d.Provider, Payment: d.Payment, Operation: d.Operation, Key: d.Key, Reason: l.reason,
	})
	var no *desk.Error
	switch {
	case err == nil:
		return l.took(d, requeried)
	case errors.As(err, &no):
		l.failed++
		return l.out.requeried(d, nil, no.Message)
	default:
		return err // Nobody answers: the next one would wait in vain as well.
	}
}

func (l *requeries) took(d reconcile.Difference, requeried *desk.Requeried) error {
	if requeried.Event != "" {
		l.told++
	}
	if requeried.Later {
		l.later++
	}
	return l.out.requeried(d, requeried, "")
}

// end says what is left to do.
func (l *requeries) end() (left []error) {
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

// requeried prints the result of a requery; refused says why there was none.
func (d *differences) requeried(x reconcile.Difference, l *desk.Requeried, refused string) error {
	if d.json != nil {
		return d.json.Encode(map[string]any{"look": struct {
			Payment   string          `json:"payment"`
			Key       string          `json:"idempotencyKey"`
			Requeried *desk.Requeried `json:"looked,omitempty"`
			Refused   string          `json:"refused,omitempty"`
		}{x.Payment, string(x.Key), l, refused}})
	}
	out := d.world.Stdout
	if d.table != nil {
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
