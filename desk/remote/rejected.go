package remote

import (
	"context"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/rejected"
)

// Rejected is what is served about rejected messages (*rejected.Desk).
type Rejected interface {
	List(ctx context.Context, f rejected.Filter) (*rejected.Page, error)
	Show(ctx context.Context, token string) (*rejected.Rejection, error)
	Original(ctx context.Context, who desk.Operator, token, reason string) (*rejected.Original, error)
	Delete(ctx context.Context, who desk.Operator, r rejected.Delete) (rejected.Deleted, error)
	Replay(ctx context.Context, who desk.Operator, r desk.Replay) (desk.Replayed, error)
}

// rejected are the actions on rejected messages.
func (s *Service) rejected() map[string]answer {
	return map[string]answer{
		actionRejections: s.rejections, actionRejection: s.rejection, actionOriginal: s.original, actionDelete: s.remove,
		actionReplay: s.replay,
	}
}

func (s *Service) rejections(ctx context.Context, _ desk.Operator, q request) (response, error) {
	var f rejected.Filter
	if q.Rejections != nil {
		f = *q.Rejections
	}
	page, err := s.o.Rejected.List(ctx, f)
	return response{Rejections: page}, err
}

func (s *Service) rejection(ctx context.Context, _ desk.Operator, q request) (response, error) {
	r, err := s.o.Rejected.Show(ctx, q.Token)
	return response{Rejection: r}, err
}

func (s *Service) original(ctx context.Context, who desk.Operator, q request) (response, error) {
	o, err := s.o.Rejected.Original(ctx, who, q.Token, q.Reason)
	return response{Original: o}, err
}

func (s *Service) remove(ctx context.Context, who desk.Operator, q request) (response, error) {
	if q.Delete == nil {
		return response{}, &desk.Error{Fault: desk.FaultInvalid, Message: "the request names nothing to delete"}
	}
	out, err := s.o.Rejected.Delete(ctx, who, *q.Delete)
	return response{Deleted: &out}, err
}

func (s *Service) replay(ctx context.Context, who desk.Operator, q request) (response, error) {
	if q.Replay == nil {
		return response{}, &desk.Error{Fault: desk.FaultInvalid, Message: "the request holds nothing to replay"}
	}
	out, err := s.o.Rejected.Replay(ctx, who, *q.Replay)
	return response{Replayed: &out}, err
}

// Rejections reads a page of the list of rejected messages.
func (c *Client) Rejections(ctx context.Context, f rejected.Filter) (*rejected.Page, error) {
	r, err := c.ask(ctx, actionRejections, request{Rejections: &f})
	if err == nil && r.Rejections == nil {
		err = errEmpty
	}
	return r.Rejections, err
}

// Rejection shows one rejected message, without its bytes.
func (c *Client) Rejection(ctx context.Context, token string) (*rejected.Rejection, error) {
	r, err := c.ask(ctx, actionRejection, request{Token: token})
	if err == nil && r.Rejection == nil {
		err = errEmpty
	}
	return r.Rejection, err
}

// Original returns the bytes of one rejected message. Who asks, and why, is recorded
// before.
func (c *Client) Original(ctx context.Context, token, reason string) (*rejected.Original, error) {
	r, err := c.ask(ctx, actionOriginal, request{Token: token, Reason: reason})
	if err == nil && r.Original == nil {
		err = errEmpty
	}
	return r.Original, err
}

// Delete has the bytes of one rejected message deleted, or with DryRun only looked for.
func (c *Client) Delete(ctx context.Context, d rejected.Delete) (rejected.Deleted, error) {
	r, err := c.ask(ctx, actionDelete, request{Delete: &d})
	switch {
	case err != nil:
		return rejected.Deleted{}, err
	case r.Deleted == nil:
		return rejected.Deleted{}, errEmpty
	default:
		return *r.Deleted, nil
	}
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
