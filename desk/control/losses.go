package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/payment"
)

// Kind is a decision about a journal that has lost something.
type Kind string

// The decisions.
const (
	Accept Kind = "accept" // take it for all there is, and begin an epoch, held
	Go     Kind = "go"     // let work begin again, asking before calling
	Trust  Kind = "trust"  // take it for complete
)

// Decision is a person's decision about the journal.
type Decision struct {
	// RequestID is a ULID of the request's own. The same one is carried out once.
	RequestID string `json:"requestId"`
	// Reason is required: one line of at most 200 characters, no personal data.
	Reason string `json:"reason"`
	// Apply carries it out; without it nothing is changed.
	Apply bool `json:"apply,omitempty"`
	// Seen is the fingerprint of the loss that was seen: another one is not accepted.
	Seen string `json:"seen,omitempty"`
	// Lose and LoseCommands are how many messages and commands are given up, typed out.
	Lose         uint64 `json:"lose,omitempty"`
	LoseCommands uint64 `json:"loseCommands,omitempty"`
	// Open is how many operations stay in doubt, WithoutCommands that the commands were
	// not all walked over; both typed out, to trust the journal.
	Open            uint64 `json:"open,omitempty"`
	WithoutCommands bool   `json:"withoutCommands,omitempty"`
	Servers
}

// Servers is what a person has found out of single servers. It can only make a decision
// stricter: what a server holds beyond the leader has to be typed out.
type Servers struct {
	Copies  []acceptance.Copy    `json:"copies,omitempty"`
	Unasked []acceptance.Unasked `json:"unasked,omitempty"`
	// Others are what they hold of the streams beside the journal. A service that does not
	// know of it would accept what a server still holds.
	Others []acceptance.Copy `json:"others,omitempty"`
}

// ServersOf is what a person has found out by asking servers for all streams.
func ServersOf(copies []acceptance.Copy, unasked []acceptance.Unasked) Servers {
	s := Servers{Unasked: unasked}
	for _, c := range copies {
		if c.Stream == "" {
			s.Copies = append(s.Copies, c)
		} else {
			s.Others = append(s.Others, c)
		}
	}
	return s
}

// Decided is what became of a decision.
type Decided struct {
	Done acceptance.Done `json:"done"`
	// Refused is what forbids the decision; nothing was changed then.
	Refused []string `json:"refused,omitempty"`
	// Reading is how far the journal was read. Nothing was decided yet: the same
	// request, made again, goes on from there.
	Reading *Reading `json:"reading,omitempty"`
}

// Reading is how far the journal was read, in sequences.
type Reading struct {
	To   uint64 `json:"to"`
	Last uint64 `json:"last"`
}

// Losses is where decisions about the journal are made.
type Losses struct {
	// Sources opens where each decision is read from anew: stores remember what they
	// have held, and a decision is about what they hold now.
	Sources func() (acceptance.Sources, error)
	Encoder *events.Encoder
	// SecondPerson: a loss is accepted, and the journal trusted after it, once two persons
	// have said the same.
	SecondPerson bool
	// Stored is called once a decision is stored: this process can learn of it at once.
	Stored func()
	Logger *slog.Logger
}

const (
	// mostServers bounds what a person may tell of servers, longestAddress each text.
	mostServers    = 64
	longestAddress = 500
	// streamsBeside is how many streams of a server are told of beside the journal.
	streamsBeside = 8
)

// check looks at what needs no server.
func (s Servers) check() error {
	invalid := len(s.Copies)+len(s.Unasked) > mostServers || len(s.Others) > mostServers*streamsBeside
	for _, c := range slices.Concat(s.Copies, s.Others) {
		invalid = invalid || len(c.Server) > longestAddress || len(c.Stream) > longestAddress
	}
	for _, u := range s.Unasked {
		invalid = invalid || len(u.Address) > longestAddress || len(u.Reason) > longestAddress
	}
	if invalid {
		return &desk.Error{Fault: desk.FaultInvalid, Message: fmt.Sprintf(
			"what single servers hold is told of at most %d, in texts of at most %d bytes", mostServers, longestAddress,
		)}
	}
	return nil
}

// With adds what a person has found out to what the service finds out by itself.
func (s Servers) With(sources acceptance.Sources) acceptance.Sources {
	own := sources.Copies
	sources.Copies = func(ctx context.Context) (copies []acceptance.Copy, unasked []acceptance.Unasked) {
		if own != nil {
			copies, unasked = own(ctx)
		}
		type of struct{ server, stream string }
		known := map[of]bool{}
		for _, c := range copies {
			known[of{c.Server, c.Stream}] = true
		}
		for _, c := range slices.Concat(s.Copies, s.Others) {
			if !known[of{c.Server, c.Stream}] {
				copies = append(copies, c)
			}
		}
		for _, u := range s.Unasked {
			u.Typed = true
			unasked = append(unasked, u)
		}
		return copies, unasked
	}
	return sources
}

// Journal shows how the journal stands. Errors are *desk.Error.
func (d *Desk) Journal(ctx context.Context, s Servers) (*acceptance.Status, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	sources, err := d.o.Losses.Sources()
	if err != nil {
		return nil, unavailable(err)
	}
	sources = s.With(sources)
	v, err := acceptance.Look(ctx, sources)
	if err != nil {
		return nil, unavailable(err)
	}
	v.Lag = acceptance.Lagging(ctx, sources, v)
	out := acceptance.StatusOf(v, acceptance.Missing(ctx, sources, v), sources.Witness != nil)
	return &out, nil
}

// Decide has a decision about the journal made. What forbids it is in what it returns.
// Errors are *desk.Error.
func (d *Desk) Decide(ctx context.Context, who desk.Operator, kind Kind, r Decision) (Decided, error) {
	if err := cmp.Or(desk.CheckActor(who, r.Reason), checkID(r.RequestID), r.check()); err != nil {
		return Decided{}, err
	}
	who, err := d.o.Desk.Who(who)
	if err != nil {
		return Decided{}, err
	}
	sources, err := d.o.Losses.Sources()
	if err != nil {
		return Decided{}, unavailable(err)
	}
	decisions := acceptance.NewDesk(r.With(sources), d.o.Losses.Encoder, &acceptance.Options{Another: d.another(who), Open: d.o.Open, Now: d.o.Now})
	asked := acceptance.Asked{
		Operator: who.Name, Identity: string(who.Identity), Login: who.Login, Reason: r.Reason,
		RequestID: r.RequestID, Seen: r.Seen, Apply: r.Apply,
	}
	var out Decided
	switch kind {
	case Accept:
		out.Done, err = decisions.Accept(ctx, asked, acceptance.Typed{Messages: r.Lose, Commands: r.LoseCommands})
	case Go:
		out.Done, err = decisions.Go(ctx, asked)
	case Trust:
		out, err = d.trust(ctx, decisions, sources, asked, r)
	default:
		return Decided{}, &desk.Error{Fault: desk.FaultInvalid, Message: "a decision about the journal is accept, go or trust"}
	}
	if out.Done.Applied {
		d.o.Losses.Stored()
		d.taken(ctx, sources, &out.Done)
	}
	return d.told(asked, kind, out, err)
}

// trust reads the whole journal for what is left to do, where there is anything to trust,
// and has the decision made.
func (d *Desk) trust(ctx context.Context, decisions *acceptance.Desk, s acceptance.Sources, a acceptance.Asked, r Decision) (out Decided, err error) {
	if out.Done, err = decisions.MayTrust(ctx, a); err != nil {
		return out, err
	}
	var left acceptance.Left
	if left, out.Reading, err = d.left(ctx, s, a.Operator, a.RequestID); err == nil && out.Reading == nil {
		out.Done, err = decisions.Trust(ctx, a, left, r.Open, r.WithoutCommands)
	}
	return out, err
}

// takenFor bounds the wait for processes that run and do not look, such as a frozen one.
// A process that has just begun waits for others first, and one that was killed counts as
// running for a while.
const takenFor = integrity.RegistrationFresh + time.Second

// taken waits until the processes follow the epoch that was stored: a person who goes
// on at once, such as by resuming a provider, is not to be answered by the one before.
// The epoch counts in any case, and the person is told who does not follow.
func (d *Desk) taken(ctx context.Context, sources acceptance.Sources, done *acceptance.Done) {
	ctx, cancel := context.WithTimeout(ctx, takenFor)
	defer cancel()
	var err error
	if done.Idle, done.Following, err = acceptance.Taken(ctx, sources, done.Epoch); err != nil {
		done.Idle = []acceptance.Idle{{Why: "the processes could not be asked whether they follow: " + err.Error()}}
	}
	for _, one := range done.Idle {
		d.o.Losses.Logger.Warn("a process does not follow the epoch of the journal yet", "process", one.ID, "why", one.Why)
	}
}

// another judges the second person as rulings do; nil: one is enough.
func (d *Desk) another(who desk.Operator) acceptance.Another {
	if !d.o.Losses.SecondPerson {
		return nil
	}
	return func(_ acceptance.Asked, matter []payment.OperatorAction, same func(payment.OperatorAction) bool) (payment.OperatorAction, bool, error) {
		return d.o.Desk.Another(who, matter, same)
	}
}

// told puts what became of a decision into the desk's words.
func (d *Desk) told(a acceptance.Asked, kind Kind, out Decided, err error) (Decided, error) {
	if out.Done.Audit == a.RequestID {
		d.o.Losses.Logger.Info("operator acts", "action", "journal "+string(kind), "operator", a.Operator, "identity", a.Identity, "login", a.Login, "audit", out.Done.Audit)
	}
	refusal, refused := errors.AsType[*acceptance.RefusedError](err)
	_, said := errors.AsType[*desk.Error](err)
	switch {
	case err == nil:
		return out, nil
	case refused:
		out.Refused = refusal.Reasons
		return out, nil
	case said:
		return out, err
	case errors.Is(err, acceptance.ErrUnfinished):
		return out, &desk.Error{Fault: desk.FaultUnknown, Message: err.Error()}
	default:
		return out, unavailable(err)
	}
}
