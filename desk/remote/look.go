package remote

import (
	"context"

	"github.com/countermand/countermand/desk"
)

// Look has the provider asked once more about an operation.
func (c *Client) Look(ctx context.Context, l desk.Look) (*desk.Looked, error) {
	r, err := c.ask(ctx, actionLook, request{Look: &l})
	if err == nil && r.Looked == nil {
		err = errEmpty
	}
	return r.Looked, err
}

func (s *Service) look(ctx context.Context, who desk.Operator, q request) (response, error) {
	if q.Look == nil {
		return response{}, &desk.Error{Fault: desk.FaultInvalid, Message: "the request names no operation to look at"}
	}
	looked, err := s.desk.Look(ctx, who, *q.Look)
	return response{Looked: looked}, err
}
