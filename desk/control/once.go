package control

import (
	"context"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/countermand/countermand/desk"
)

// checkID takes a ULID in its one form: in lower case it would name another record, and
// be carried out a second time.
func checkID(id string) error {
	if parsed, err := ulid.ParseStrict(id); err != nil || parsed.String() != id {
		return &desk.Error{Fault: desk.FaultInvalid, Message: "requestId is a ULID of the request's own, in capitals"}
	}
	return nil
}

// once refuses a request that was made before, and tells what became of it. The
// journal remembers it for good. Two replicas that are given the same request at
// one moment record it once, and the revision lets one of them store it.
func (d *Desk) once(ctx context.Context, id, provider string) error {
	before, sequence, err := d.o.Journal.OperatorAction(ctx, id)
	switch {
	case err != nil:
		return unavailable(err)
	case sequence == 0:
		return nil
	}
	text := fmt.Sprintf("this request was made before: %s by %s was recorded at %s", before.Action, before.Operator, before.At.UTC().Format(time.RFC3339))
	all, err := d.o.Journal.OperatorActions(ctx, before.Action, sequence)
	if err != nil {
		return unavailable(err)
	}
	for _, a := range all {
		if a.Follows == id {
			text += ", and its outcome is " + a.Outcome
		}
	}
	if provider != "" {
		now, err := d.standing(ctx, provider)
		if err != nil {
			return err
		}
		text += "; now " + now.String()
	}
	return &desk.Error{Fault: desk.FaultRefused, Message: text}
}
