// Package requests takes other parties' requests over NATS in hand, as a micro
// service that `nats micro` finds: so many at a time, each in a goroutine of its
// own, answered to inboxes only. What a request means is its users' business
// (packages desk/remote and status/service).
package requests

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Kind says what a Service is. All fields are needed.
type Kind struct {
	// Name and Description are what `nats micro` shows.
	Name, Description string
	// AtOnce bounds the requests in hand, For the time of each.
	AtOnce int
	For    time.Duration
}

// Options are the optional parts of a Service; nil and zero values mean the
// defaults.
type Options struct {
	Version string       // of the program, semantic; default 0.0.0
	Logger  *slog.Logger // default: discards
}

// Service takes requests in hand until it is stopped. It is safe for concurrent use.
type Service struct {
	kind   Kind
	log    *slog.Logger
	nc     *nats.Conn
	micro  micro.Service
	slots  chan struct{}
	inHand sync.WaitGroup
	ctx    context.Context //nolint:containedctx // lives from New to Stop
	cancel context.CancelFunc
}

// Handler answers the requests of an endpoint.
type Handler struct {
	// Busy says that there are too many requests.
	Busy func(r micro.Request)
	// Handle finds the answer and returns what sends it. The request's place is
	// free again before the answer goes out, so that who asks one after the other
	// never meets a place of its own. It must not panic.
	Handle func(ctx context.Context, r micro.Request) (answer func())
}

// New announces a service without endpoints.
func New(nc *nats.Conn, k Kind, o *Options) (*Service, error) {
	if o == nil {
		o = &Options{}
	}
	s := &Service{kind: k, log: o.Logger, nc: nc, slots: make(chan struct{}, k.AtOnce)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	s.micro, err = micro.AddService(nc, micro.Config{
		Name: k.Name, Version: cmp.Or(o.Version, "0.0.0"), Description: k.Description,
		ErrorHandler: func(_ micro.Service, e *micro.NATSError) {
			s.log.Error("requests cannot be taken: look at the permissions of the service", "service", k.Name, "subject", e.Subject, "error", e.Description)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", k.Name, err)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Endpoint begins to take the requests of a subject. Of several replicas one
// takes each.
func (s *Service) Endpoint(name, subject string, h Handler, o ...micro.EndpointOpt) error {
	take := micro.HandlerFunc(func(r micro.Request) { s.take(r, h) })
	if err := s.micro.AddEndpoint(name, take, append(o, micro.WithEndpointSubject(subject))...); err != nil {
		return fmt.Errorf("serve %s: %w", s.kind.Name, err)
	}
	return nil
}

// announceFor bounds the wait for the server to know of the endpoints.
const announceFor = 5 * time.Second

// Announced waits until the server knows of the endpoints: who asks from then on is
// answered. Without a connection they are announced with the next one, and nobody waits.
func (s *Service) Announced() {
	if s.nc.IsConnected() {
		_ = s.nc.FlushTimeout(announceFor)
	}
}

// Stop takes no request any more and waits for those in hand. The others go to
// another replica.
func (s *Service) Stop() error {
	err := s.micro.Stop()
	s.inHand.Wait()
	s.cancel()
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("stop %s: %w", s.kind.Name, err)
	}
	return nil
}

// take takes one request in hand, or says that there are too many.
func (s *Service) take(r micro.Request, h Handler) {
	if !inbox(r.Reply()) {
		s.log.Warn("a request wants its answer where none may go; it is not taken", "service", s.kind.Name, "subject", r.Subject())
		return
	}
	select {
	case s.slots <- struct{}{}:
	default:
		h.Busy(r)
		return
	}
	s.inHand.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.kind.For)
		answer := h.Handle(ctx, async{r, s.nc})
		cancel()
		<-s.slots
		answer()
	})
}

// async is a request that a goroutine of its own answers. The library's Respond and
// Error leave an error in the request, and the library reads it as soon as the
// endpoint's handler has returned. These send the same message and leave nothing.
type async struct {
	micro.Request

	nc *nats.Conn
}

// Respond implements micro.Request.
func (a async) Respond(data []byte, opts ...micro.RespondOpt) error {
	m := &nats.Msg{Subject: a.Reply(), Data: data}
	for _, set := range opts {
		set(m)
	}
	return a.nc.PublishMsg(m)
}

// Error implements micro.Request.
func (a async) Error(code, description string, data []byte, opts ...micro.RespondOpt) error {
	return a.Respond(data, append(opts, micro.WithHeaders(micro.Headers{
		micro.ErrorHeader: {description}, micro.ErrorCodeHeader: {code},
	}))...)
}

// inbox reports whether an answer may go to a subject: an inbox, or what the
// server puts in its place where the asker is in another account. The server
// checks no answer's subject, and another one could lie in the journal.
func inbox(subject string) bool {
	return strings.HasPrefix(subject, "_INBOX") || strings.HasPrefix(subject, "_R_.")
}
