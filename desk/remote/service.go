package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/requests"
	"github.com/countermand/countermand/payment"
)

const (
	// serviceName is what `nats micro` shows.
	serviceName = "payments-desk"
	// atOnce bounds the requests in hand; more are told to try again.
	atOnce = 16
	// requestFor bounds one request. A retry is a call to a provider, with its own
	// timeout and what has to be appended around it.
	requestFor = time.Minute
	// headRoom is left of the server's largest message for headers.
	headRoom = 4096
)

// Desk is what is served (*desk.Desk).
type Desk interface {
	Queue(ctx context.Context, f desk.Filter) (*desk.Queue, error)
	Payment(ctx context.Context, id payment.ID) (*desk.Story, error)
	Ask(ctx context.Context, who desk.Operator, id payment.ID, op payment.Op, key payment.Key) (*desk.Reply, error)
	Resolve(ctx context.Context, who desk.Operator, r desk.Ruling) (desk.Done, error)
	// Who is the person behind an operator; an error where nobody is.
	Who(o desk.Operator) (desk.Operator, error)
	Requery(ctx context.Context, who desk.Operator, l desk.Requery) (*desk.Requeried, error)
}

// Options are the optional parts of a Service; nil and zero values mean the
// defaults.
type Options struct {
	// SelfAsserted takes an operator's name as it is typed where the server asks
	// nobody who they are. Without it such a server's operators are refused.
	SelfAsserted bool
	Version      string       // of the program, semantic; default 0.0.0
	Logger       *slog.Logger // default: discards
	// History shows payments' events as they are stored; nil: that is not served.
	History History
	// Rejected shows, replays and deletes rejected messages; nil: that is not served.
	Rejected Rejected
	// Control carries out what operators ask of the service itself; nil: that is
	// not served.
	Control Control
}

// Service answers operators until it is stopped.
type Service struct {
	*requests.Service

	nc   *nats.Conn
	desk Desk
	o    Options
}

// Serve begins to answer. Of several replicas one takes each request.
func Serve(nc *nats.Conn, d Desk, opts *Options) (*Service, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	served, err := requests.New(nc, requests.Kind{
		Name: serviceName, Description: "Countermand's operator's desk: what needs a person, and their rulings",
		AtOnce: atOnce, For: requestFor,
	}, &requests.Options{Version: o.Version, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	s := &Service{Service: served, nc: nc, desk: d, o: o}
	actions := map[string]answer{
		actionQueue: s.queue, actionPayment: s.payment, actionAsk: s.ask, actionResolve: s.resolve, actionRequery: s.requery,
	}
	if o.History != nil {
		actions[actionHistory] = s.history
	}
	if o.Rejected != nil {
		maps.Copy(actions, s.rejected())
	}
	if err := s.endpoints(group, actions); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if o.Control != nil {
		if err := s.endpoints(controlGroup, s.controls()); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	s.Announced()
	return s, nil
}

// endpoints begins to take the requests of a group of subjects.
func (s *Service) endpoints(group string, actions map[string]answer) error {
	for action, do := range actions {
		if err := s.Endpoint(action, group+"."+action+".*", s.handler(do)); err != nil {
			return err
		}
	}
	return nil
}

// answer carries one request out.
type answer func(ctx context.Context, who desk.Operator, q request) (response, error)

// handler answers the requests of one action.
func (s *Service) handler(do answer) requests.Handler {
	return requests.Handler{
		Busy: func(r micro.Request) {
			s.respond(r, response{}, &desk.Error{Fault: desk.FaultUnavailable, Message: "too many requests at once: try again"})
		},
		Handle: func(ctx context.Context, r micro.Request) func() {
			out, err := s.one(ctx, r, do)
			return func() { s.respond(r, out, err) }
		},
	}
}

// one reads a request and carries it out. A panic is contained: it may have
// happened after something was done.
func (s *Service) one(ctx context.Context, r micro.Request, do answer) (out response, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Logger.Error("the desk panicked", "subject", r.Subject(), "panic", fmt.Sprintf("%T", p))
			err = &desk.Error{Fault: desk.FaultUnknown, Message: "the desk failed on this request: look at the payment again"}
		}
	}()
	who, err := s.operator(r)
	if err != nil {
		return response{}, err
	}
	var q request
	if err := json.Unmarshal(r.Data(), &q); err != nil {
		return response{}, &desk.Error{Fault: desk.FaultInvalid, Message: "the request is no JSON of this protocol"}
	}
	if q.Protocol < 1 || q.Protocol > protocolNewest {
		return response{}, &desk.Error{Fault: desk.FaultInvalid, Message: fmt.Sprintf("protocol %d is not known here, only up to %d", q.Protocol, protocolNewest)}
	}
	return do(ctx, who, q)
}

// operator is the person who asks: the name in the subject with the login that the
// server names, if it names one. Where people are not named the name alone counts,
// under which the server lets nobody else publish if permissions say so; that it asks
// who somebody is at all is required.
func (s *Service) operator(r micro.Request) (desk.Operator, error) {
	subject := r.Subject()
	name, err := events.ParseToken(subject[strings.LastIndexByte(subject, '.')+1:])
	if err != nil || name == "" {
		return desk.Operator{}, &desk.Error{Fault: desk.FaultInvalid, Message: "the subject does not end with an operator's name"}
	}
	switch {
	case s.nc.AuthRequired():
		return s.desk.Who(desk.Operator{Name: name, Identity: desk.IdentityNATS, Login: requests.Login(s.nc, r)})
	case s.o.SelfAsserted:
		return s.desk.Who(desk.Operator{Name: name, Identity: desk.IdentityAsserted})
	default:
		return desk.Operator{}, &desk.Error{
			Fault: desk.FaultForbidden, Message: "the server asks nobody who they are, and the setting desk.selfAsserted does not allow a name that is only typed",
		}
	}
}

// respond sends an answer, or a no with its code.
func (s *Service) respond(r micro.Request, out response, err error) {
	out.Protocol = Protocol
	var no *desk.Error
	if err != nil && !errors.As(err, &no) {
		no = &desk.Error{Fault: desk.FaultUnavailable, Message: err.Error()}
	}
	out.Error = no
	data, err := json.Marshal(out)
	for err == nil && int64(len(data)) > s.nc.MaxPayload()-headRoom && out.fit() {
		data, err = json.Marshal(out)
	}
	switch {
	case err != nil:
		err = r.Error("500", "the answer cannot be written", nil)
	case no != nil:
		err = r.Error(code(no.Fault), no.Message, data)
	default:
		err = r.Respond(data)
	}
	if err != nil {
		s.o.Logger.Warn("an operator's request could not be answered", "subject", r.Subject(), "error", err.Error())
	}
}

func (s *Service) queue(ctx context.Context, _ desk.Operator, q request) (response, error) {
	var f desk.Filter
	if q.Filter != nil {
		f = *q.Filter
	}
	list, err := s.desk.Queue(ctx, f)
	return response{Queue: list}, err
}

func (s *Service) payment(ctx context.Context, _ desk.Operator, q request) (response, error) {
	story, err := s.desk.Payment(ctx, payment.ID{Provider: q.Provider, Native: q.Payment})
	return response{Story: story}, err
}

func (s *Service) ask(ctx context.Context, who desk.Operator, q request) (response, error) {
	reply, err := s.desk.Ask(ctx, who, payment.ID{Provider: q.Provider, Native: q.Payment}, q.Operation, q.Key)
	return response{Reply: reply}, err
}

func (s *Service) resolve(ctx context.Context, who desk.Operator, q request) (response, error) {
	if q.Ruling == nil {
		return response{}, &desk.Error{Fault: desk.FaultInvalid, Message: "the request holds no ruling"}
	}
	done, err := s.desk.Resolve(ctx, who, *q.Ruling)
	return response{Done: &done}, err
}

func (s *Service) requery(ctx context.Context, who desk.Operator, q request) (response, error) {
	if q.Requery == nil {
		return response{}, &desk.Error{Fault: desk.FaultInvalid, Message: "the request names no operation to look at"}
	}
	requeried, err := s.desk.Requery(ctx, who, *q.Requery)
	return response{Requeried: requeried}, err
}
