package remote

import (
	"context"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/history"
	"github.com/countermand/countermand/payment"
)

// History is what is served of payments' events as they are stored (*history.Reader).
type History interface {
	Page(ctx context.Context, id payment.ID, version uint64) (*history.Page, error)
}

func (s *Service) history(ctx context.Context, _ desk.Operator, q request) (response, error) {
	p, err := s.o.History.Page(ctx, payment.ID{Provider: q.Provider, Native: q.Payment}, q.From)
	return response{History: p}, err
}

// History reads a page of a payment's events from a version on; 0: from the first.
func (c *Client) History(ctx context.Context, id payment.ID, version uint64) (*history.Page, error) {
	r, err := c.ask(ctx, actionHistory, request{Provider: id.Provider, Payment: id.Native, From: version})
	if err == nil && r.History == nil {
		err = errEmpty
	}
	return r.History, err
}
