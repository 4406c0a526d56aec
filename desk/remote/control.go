package remote

import (
	"context"
	"errors"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/integrity/acceptance"
)

// Control is what is served on payments.control (*control.Desk).
type Control interface {
	Standings(ctx context.Context) ([]control.Standing, error)
	Say(ctx context.Context, who desk.Operator, r control.Say) (control.Said, error)
	Rearm(ctx context.Context, who desk.Operator, r control.Rearm) (control.Rearmed, error)
	Journal(ctx context.Context, s control.Servers) (*acceptance.Status, error)
	Decide(ctx context.Context, who desk.Operator, kind control.Kind, r control.Decision) (control.Decided, error)
}

// controls are the actions on the service itself.
func (s *Service) controls() map[string]answer {
	return map[string]answer{
		actionStandings: s.standings, actionPause: s.say(true), actionResume: s.say(false), actionRearm: s.rearm,
		actionJournal: s.journal,
		actionAccept:  s.decide(control.Accept), actionGo: s.decide(control.Go), actionTrust: s.decide(control.Trust),
	}
}

func (s *Service) standings(ctx context.Context, _ desk.Operator, _ request) (response, error) {
	all, err := s.o.Control.Standings(ctx)
	return response{Standings: all}, err
}

// say answers the requests of one of the two subjects: a person may be granted one only.
func (s *Service) say(paused bool) answer {
	return func(ctx context.Context, who desk.Operator, q request) (response, error) {
		if q.Say == nil || q.Say.Paused != paused {
			return response{}, &desk.Error{Fault: desk.FaultInvalid, Message: "the request does not say what its subject says"}
		}
		out, err := s.o.Control.Say(ctx, who, *q.Say)
		return response{Said: &out}, err
	}
}

func (s *Service) rearm(ctx context.Context, who desk.Operator, q request) (response, error) {
	if q.Rearm == nil {
		return response{}, &desk.Error{Fault: desk.FaultInvalid, Message: "the request does not say what to restore"}
	}
	out, err := s.o.Control.Rearm(ctx, who, *q.Rearm)
	return response{Rearmed: &out}, err
}

func (s *Service) journal(ctx context.Context, _ desk.Operator, q request) (response, error) {
	var servers control.Servers
	if q.Servers != nil {
		servers = *q.Servers
	}
	status, err := s.o.Control.Journal(ctx, servers)
	return response{Journal: status}, err
}

// decide answers the requests of one decision: a person may be granted one only.
func (s *Service) decide(kind control.Kind) answer {
	return func(ctx context.Context, who desk.Operator, q request) (response, error) {
		if q.Decision == nil {
			return response{}, &desk.Error{Fault: desk.FaultInvalid, Message: "the request does not say what is decided"}
		}
		out, err := s.o.Control.Decide(ctx, who, kind, *q.Decision)
		return response{Decided: &out}, err
	}
}

// Journal shows how the journal stands. The error is ErrNobody or ErrOlder where nobody
// takes such requests.
func (c *Client) Journal(ctx context.Context, servers control.Servers) (*acceptance.Status, error) {
	r, err := c.journal(ctx, actionJournal, request{Servers: &servers})
	if err == nil && r.Journal == nil {
		err = errEmpty
	}
	return r.Journal, err
}

// Decide has a decision about the journal made. After an error that is no *desk.Error,
// ErrNobody, ErrOlder or ErrDenied it may have been: make the same request again.
func (c *Client) Decide(ctx context.Context, kind control.Kind, d control.Decision) (control.Decided, error) {
	actions := map[control.Kind]string{control.Accept: actionAccept, control.Go: actionGo, control.Trust: actionTrust}
	r, err := c.journal(ctx, actions[kind], request{Decision: &d})
	switch {
	case err != nil:
		return control.Decided{}, err
	case r.Decided == nil:
		return control.Decided{}, errEmpty
	default:
		return *r.Decided, nil
	}
}

// ErrOlder: a service answers that knows no requests about the journal.
var ErrOlder = errors.New("the running service is of an earlier version, which takes no requests about the journal")

// journal sends a request about the journal, and tells a service of an earlier version
// from none at all.
func (c *Client) journal(ctx context.Context, action string, q request) (response, error) {
	r, err := c.control(ctx, action, q)
	if errors.Is(err, ErrNobody) {
		if _, known := c.Standings(ctx); !errors.Is(known, ErrNobody) {
			return r, ErrOlder
		}
	}
	return r, err
}

// Standings lists which providers are paused.
func (c *Client) Standings(ctx context.Context) ([]control.Standing, error) {
	r, err := c.control(ctx, actionStandings, request{})
	return r.Standings, err
}

// Say pauses a provider or ends its pause. After an error that is no *desk.Error it
// may have been done: ask again with the same identifier.
func (c *Client) Say(ctx context.Context, say control.Say) (control.Said, error) {
	action := actionResume
	if say.Paused {
		action = actionPause
	}
	r, err := c.control(ctx, action, request{Say: &say})
	switch {
	case err != nil:
		return control.Said{}, err
	case r.Said == nil:
		return control.Said{}, errEmpty
	default:
		return *r.Said, nil
	}
}

// Rearm restores the lost timers of one part of the journal. After an error it may be
// asked for again.
func (c *Client) Rearm(ctx context.Context, rearm control.Rearm) (control.Rearmed, error) {
	r, err := c.control(ctx, actionRearm, request{Rearm: &rearm})
	switch {
	case err != nil:
		return control.Rearmed{}, err
	case r.Rearmed == nil:
		return control.Rearmed{}, errEmpty
	default:
		return *r.Rearmed, nil
	}
}

// control sends one request to the service itself.
func (c *Client) control(ctx context.Context, action string, q request) (response, error) {
	return c.send(ctx, ControlSubject(action, c.operator), q)
}
