package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"golang.org/x/time/rate"

	"github.com/countermand/countermand/internal/requests"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/status"
)

// Subject is where requests go, and with ".<provider>" behind it those about
// one provider.
const Subject = "payments.status"

// The names of the schemas, below a prefix.
const (
	RequestSchema  = "payments.status.request.json"
	ResponseSchema = "payments.status.response.json"
)

const (
	// serviceName is what `nats micro` shows.
	serviceName = "payments-status"
	// atOnce bounds the requests in hand.
	atOnce = 64
	// requestFor bounds one request.
	requestFor  = 5 * time.Second
	defaultRate = 1000.0
)

// Reader answers queries (*status.Reader).
type Reader interface {
	Ask(ctx context.Context, q status.Query) (status.Answer, error)
}

// Options are the optional parts of a Service; nil and zero values mean the
// defaults.
type Options struct {
	// Rate is how many requests a second are answered; more are told to come
	// back. Default: 1000.
	Rate float64
	// SchemaPrefix stands before the schemas' names in what `nats micro` shows.
	SchemaPrefix string
	Version      string       // of the program, semantic; default 0.0.0
	Logger       *slog.Logger // default: discards
}

// Service answers until it is stopped.
type Service struct {
	*requests.Service

	reader Reader
	log    *slog.Logger
	rate   *rate.Limiter
}

// Serve begins to answer. Of several replicas one takes each request.
func Serve(nc *nats.Conn, r Reader, o *Options) (*Service, error) {
	if o == nil {
		o = &Options{}
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	served, err := requests.New(nc, requests.Kind{
		Name: serviceName, Description: "Where a payment's cancels and refunds stand; reads, and changes nothing",
		AtOnce: atOnce, For: requestFor,
	}, &requests.Options{Version: o.Version, Logger: log})
	if err != nil {
		return nil, err
	}
	perSecond := cmp.Or(o.Rate, defaultRate)
	s := &Service{Service: served, reader: r, log: log, rate: rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))}
	schemas := micro.WithEndpointMetadata(map[string]string{
		"request-schema": o.SchemaPrefix + RequestSchema, "response-schema": o.SchemaPrefix + ResponseSchema,
	})
	h := requests.Handler{Busy: s.busy, Handle: s.handle}
	for name, subject := range map[string]string{"status": Subject, "status-of-provider": Subject + ".*"} {
		if err := s.Endpoint(name, subject, h, schemas); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	s.Announced()
	return s, nil
}

func (s *Service) busy(r micro.Request) {
	s.refuse(r, &status.Error{Code: status.CodeTooMany, Message: "too many requests: ask again, more slowly"})
}

func (s *Service) handle(ctx context.Context, r micro.Request) func() {
	if !s.rate.Allow() {
		return func() { s.busy(r) }
	}
	a, err := s.one(ctx, r)
	if err != nil {
		return func() { s.refuse(r, err) }
	}
	return func() { s.respond(r, a) }
}

// one reads a request and finds its answer. A panic is contained.
func (s *Service) one(ctx context.Context, r micro.Request) (a status.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %T", p)
		}
	}()
	q, faults := status.DecodeQuery(r.Data())
	if len(faults) > 0 {
		return status.Answer{}, &status.Error{Code: status.CodeInvalid, Message: "the request is not valid", Faults: faults}
	}
	if provider, only := strings.CutPrefix(r.Subject(), Subject+"."); only {
		if q.Provider != "" && q.Provider != provider {
			return status.Answer{}, &status.Error{
				Code: status.CodeWrongProvider, Message: "the request's provider is not that of the subject",
				Faults: []payment.Fault{{Pointer: "/provider", Rule: "subject"}},
			}
		}
		q.Provider = provider
	}
	return s.reader.Ask(ctx, q)
}

func (s *Service) respond(r micro.Request, a status.Answer) {
	data, err := json.Marshal(a)
	if err == nil {
		err = r.Respond(data)
	}
	if err != nil {
		s.log.Warn("a request for a status could not be answered", "error", err.Error())
		s.refuse(r, &status.Error{Code: status.CodeUnavailable, Message: "the answer is too large: ask for one operation"})
	}
}

// refuse says no, with a code after HTTP's.
func (s *Service) refuse(r micro.Request, err error) {
	var no *status.Error
	if !errors.As(err, &no) {
		no = &status.Error{Code: status.CodeUnavailable, Message: "the request could not be carried out: ask again"}
	}
	if no.Code == status.CodeUnavailable {
		s.log.Warn("a status could not be told", "error", errors.Join(err, errors.Unwrap(err)).Error())
	}
	data, err := json.Marshal(struct {
		Error *status.Error `json:"error"`
	}{no})
	if err == nil {
		err = r.Error(number(no.Code), no.Message, data)
	}
	if err != nil {
		s.log.Warn("a request for a status could not be refused", "error", err.Error())
	}
}

func number(c status.Code) string {
	switch c {
	case status.CodeInvalid:
		return "400"
	case status.CodeWrongProvider:
		return "403"
	case status.CodeNotFound:
		return "404"
	case status.CodeTooMany:
		return "429"
	default:
		return "503"
	}
}
