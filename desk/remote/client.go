package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/payment"
)

// Client asks the running service, as one operator. It is safe for concurrent use.
type Client struct {
	nc       *nats.Conn
	operator string
	server   string // its address, for errors
}

// NewClient returns a client for the operator of that name; no I/O.
func NewClient(nc *nats.Conn, operator string) *Client {
	return &Client{nc: nc, operator: operator, server: nc.ConnectedUrlRedacted()}
}

// Operator is the name that the client acts under.
func (c *Client) Operator() string { return c.operator }

// Queue lists what needs a person.
func (c *Client) Queue(ctx context.Context, f desk.Filter) (*desk.Queue, error) {
	r, err := c.ask(ctx, actionQueue, request{Filter: &f})
	if err == nil && r.Queue == nil {
		err = errEmpty
	}
	return r.Queue, err
}

// Payment tells the story of one payment.
func (c *Client) Payment(ctx context.Context, id payment.ID) (*desk.Story, error) {
	r, err := c.ask(ctx, actionPayment, request{Provider: id.Provider, Payment: id.Native})
	if err == nil && r.Story == nil {
		err = errEmpty
	}
	return r.Story, err
}

// Ask asks the provider about one open operation.
func (c *Client) Ask(ctx context.Context, id payment.ID, op payment.Op, key payment.Key) (*desk.Reply, error) {
	r, err := c.ask(ctx, actionAsk, request{Provider: id.Provider, Payment: id.Native, Operation: op, Key: key})
	if err == nil && r.Reply == nil {
		err = errEmpty
	}
	return r.Reply, err
}

// Resolve has a ruling carried out. After an error that is no *desk.Error
// (nobody answered in time) it may have been: look at the payment again.
func (c *Client) Resolve(ctx context.Context, r desk.Ruling) (desk.Done, error) {
	out, err := c.ask(ctx, actionResolve, request{Ruling: &r})
	if err != nil || out.Done == nil {
		return desk.Done{}, errors.Join(err)
	}
	return *out.Done, nil
}

// Requery has the provider asked again about an operation.
func (c *Client) Requery(ctx context.Context, q desk.Requery) (*desk.Requeried, error) {
	r, err := c.ask(ctx, actionRequery, request{Requery: &q})
	if err == nil && r.Requeried == nil {
		err = errEmpty
	}
	return r.Requeried, err
}

// ErrNobody: no service takes such requests.
var ErrNobody = errors.New("no running service answers")

// ErrUnanswered: the server or the service has not answered in time. What was asked may
// have been done.
var ErrUnanswered = errors.New("no answer")

// ErrDenied: the server does not let this user ask.
var ErrDenied = errors.New("the server does not let this user act")

var errEmpty = errors.New("the desk's answer is empty")

// ask sends one request to the desk. A no of the desk is a *desk.Error.
func (c *Client) ask(ctx context.Context, action string, q request) (response, error) {
	return c.send(ctx, Subject(action, c.operator), q)
}

func (c *Client) send(ctx context.Context, subject string, q request) (response, error) {
	q.Protocol = Protocol
	if q.Ruling != nil && q.Ruling.Effect != "" {
		q.Protocol = protocolEffect
	}
	if q.Ruling != nil && q.Ruling.Bulk {
		q.Protocol = protocolBulk
	}
	if q.Decision != nil && len(q.Decision.Others) > 0 {
		q.Protocol = protocolCopies
	}
	data, err := json.Marshal(q)
	if err != nil {
		return response{}, fmt.Errorf("write request: %w", err)
	}
	m, err := c.request(ctx, subject, data)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		group := subject[:strings.LastIndexByte(subject, '.')]
		group = group[:strings.LastIndexByte(group, '.')] + ".*.*"
		return response{}, fmt.Errorf("%w: is there one, of this version, on this server? does this login's account import %s (permissions/people.conf)?", ErrNobody, group)
	case errors.Is(err, ErrDenied):
		return response{}, fmt.Errorf("%w as operator %q", ErrDenied, c.operator)
	case err != nil && !c.nc.IsConnected():
		return response{}, fmt.Errorf("ask the desk: the connection to %s is lost", c.server)
	case err != nil:
		return response{}, fmt.Errorf("ask the desk: %w", err)
	}
	var r response
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return response{}, fmt.Errorf("read the desk's answer: %w", err)
	}
	if r.Error != nil {
		return response{}, r.Error
	}
	if r.Protocol != Protocol {
		return response{}, fmt.Errorf("the desk speaks protocol %d, this program %d", r.Protocol, Protocol)
	}
	return r, nil
}

// flushFor bounds the wait for the server to have taken a request.
const flushFor = 10 * time.Second

// request sends one request and waits for its answer. The server says that it does not
// let somebody publish before it answers the flush behind it, so nobody waits for that.
func (c *Client) request(ctx context.Context, subject string, data []byte) (*nats.Msg, error) {
	inbox := c.nc.NewRespInbox()
	answers, err := c.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }() // ends with the connection at the latest
	if err := c.nc.PublishRequest(subject, inbox, data); err != nil {
		return nil, err
	}
	sent, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	if err := c.nc.FlushWithContext(sent); err != nil {
		if errors.Is(err, context.DeadlineExceeded) && c.nc.IsConnected() {
			return nil, fmt.Errorf("%w from %s: the connection stands, and the server says nothing on it", ErrUnanswered, c.server)
		}
		return nil, err
	}
	if c.denied(subject) {
		return nil, ErrDenied
	}
	if c.denied(inbox) {
		return nil, fmt.Errorf("the server does not let this user hear answers on %s.>", inbox[:strings.IndexByte(inbox, '.')])
	}
	asked := time.Now()
	m, err := answers.NextMsgWithContext(ctx)
	if errors.Is(err, context.DeadlineExceeded) && c.nc.IsConnected() {
		return nil, fmt.Errorf("%w within %s: %s has passed the request on, and the service that heard it may hang, or may not answer: its login needs allow_responses, as in permissions/consumer.conf", ErrUnanswered, time.Since(asked).Round(time.Second), c.server)
	}
	if err == nil && len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		err = nats.ErrNoResponders
	}
	return m, err
}

// denied reports whether the server has said that this user may not publish to a
// subject, or listen to it: it tells so beside the request, which would wait in vain.
func (c *Client) denied(subject string) bool {
	err := c.nc.LastError()
	return err != nil && strings.Contains(strings.ToLower(err.Error()), "permissions violation for ") &&
		strings.Contains(err.Error(), `"`+subject+`"`)
}
