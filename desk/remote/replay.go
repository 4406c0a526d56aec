package remote

import (
	"context"

	"github.com/countermand/countermand/desk"
)

// Replayer publishes rejected messages anew (*desk.Replayer).
type Replayer interface {
	Replay(ctx context.Context, who desk.Operator, r desk.Replay) (desk.Replayed, error)
}

// Replay has a rejected message published anew, or with DryRun only checked. An
// answer with faults means that nothing was published.
func (c *Client) Replay(ctx context.Context, r desk.Replay) (desk.Replayed, error) {
	out, err := c.ask(ctx, actionReplay, request{Replay: &r})
	switch {
	case err != nil:
		return desk.Replayed{}, err
	case out.Replayed == nil:
		return desk.Replayed{}, errEmpty
	default:
		return *out.Replayed, nil
	}
}

func (s *Service) replay(ctx context.Context, who desk.Operator, q request) (response, error) {
	if q.Replay == nil {
		return response{}, &desk.Error{Fault: desk.FaultInvalid, Message: "the request holds nothing to replay"}
	}
	out, err := s.o.Replayer.Replay(ctx, who, *q.Replay)
	return response{Replayed: &out}, err
}
