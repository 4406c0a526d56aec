package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// rejectedCommand is "consumer rejected".
type rejectedCommand struct {
	List   rejectedListCommand   `cmd:"" help:"Messages that were no valid commands, in the order they were answered."`
	Show   rejectedShowCommand   `cmd:"" help:"One of them with its faults; its bytes only with --reveal."`
	Replay rejectedReplayCommand `cmd:"" help:"Publish one anew; without --apply it only says what would be done."`
}

// Help is the long help text.
func (rejectedCommand) Help() string {
	return `A message that is no valid command is answered with payment.command.rejected, which says what is wrong and
repeats nothing of it. Its bytes are kept in quarantine for 90 days, for operators alone.
Example: consumer rejected list --since 24h`
}

// rejectedTells is a rejection as machines get it.
type rejectedTells struct {
	Token          string          `json:"token"`
	At             time.Time       `json:"at"`
	Code           payment.Code    `json:"code"`
	Provider       string          `json:"provider,omitempty"` // where the subject names it
	Faults         []payment.Fault `json:"faults"`
	Size           int             `json:"size"`
	SHA256         string          `json:"sha256"`
	OriginSequence uint64          `json:"originSequence"`
	OriginSubject  string          `json:"originSubject,omitempty"`
	CommandID      string          `json:"commandId,omitempty"`
}

func tellRejection(m events.Message) (rejectedTells, error) {
	r, at, err := events.DecodeRejection(m)
	if err != nil {
		return rejectedTells{}, err
	}
	return rejectedTells{
		Token: r.Token, At: at, Code: r.Code, Provider: events.CommandProvider(r.OriginSubject), Faults: r.Faults, Size: r.Size, SHA256: r.SHA256,
		OriginSequence: r.OriginSequence, OriginSubject: r.OriginSubject, CommandID: r.CommandID,
	}, nil
}

// rejectedListCommand is "consumer rejected list".
type rejectedListCommand struct {
	target

	Since    string `help:"Only those answered since: a duration such as 24h, a date, or a time (RFC 3339)." placeholder:"WHEN"`
	Code     string `help:"Only this code." placeholder:"CODE"`
	Provider string `help:"Only those whose subject names this provider; most subjects name none." placeholder:"NAME"`
	JSON     bool   `help:"One rejection a line, then the summary, as JSON."`

	from time.Time // what Since says; zero: all
}

// Help is the long help text.
func (rejectedListCommand) Help() string {
	return `Lists what was answered with payment.command.rejected. What a guard refused (payment.<operation>.rejected) is not
here: it belongs to its payment, see consumer show.
Exit codes: 0 listed, also where there is none; 1 the server could not be read; 2 arguments are wrong.
Example: consumer rejected list --since 24h --code invalid_command`
}

// Run lists.
func (c *rejectedListCommand) Run(w *world) error {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: []string{events.RejectedFilter}, DeliverPolicy: jetstream.DeliverAllPolicy}
	if c.Since != "" {
		var err error
		if c.from, err = sinceWhen(c.Since, time.Now()); err != nil {
			return usageError{err}
		}
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &c.from
	}
	nc, js, cfg, err := c.open(w)
	if err != nil {
		return err
	}
	defer nc.Close()
	consumer, err := js.OrderedConsumer(w.ctx, cfg.Streams.Events, config)
	if err != nil {
		return fmt.Errorf("read rejections: %w", err)
	}
	info, err := consumer.Info(w.ctx)
	if err != nil {
		return fmt.Errorf("read rejections: %w", err)
	}
	return c.read(w, consumer, info.NumPending)
}

// sinceWhen reads a duration back from now, a date or a time.
func sinceWhen(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	return moment("--since", text)
}

// read prints what passes, as it comes: there may be many.
func (c *rejectedListCommand) read(w *world, consumer jetstream.Consumer, total uint64) error {
	table := tabwriter.NewWriter(w.stdout, 0, 4, 2, ' ', 0)
	listed, unreadable := 0, 0
	for range total {
		ctx, cancel := context.WithTimeout(w.ctx, showFor)
		m, err := consumer.Next(jetstream.FetchContext(ctx))
		cancel()
		if err != nil {
			return fmt.Errorf("read rejections: %w", err)
		}
		r, err := tellRejection(events.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
		if err != nil {
			unreadable++
			fmt.Fprintf(w.stderr, "cannot be read: %s\n", m.Subject())
			continue
		}
		if !c.wants(r) {
			continue
		}
		listed++
		if err := c.print(w, table, r, listed == 1); err != nil {
			return err
		}
	}
	if c.JSON {
		return json.NewEncoder(w.stdout).Encode(map[string]any{"summary": map[string]int{"listed": listed, "unreadable": unreadable}})
	}
	if listed == 0 {
		fmt.Fprintln(table, "nothing was rejected that fits")
	}
	return table.Flush()
}

// wants applies the filters. The time is looked at again: a server that is asked
// for what comes after its last message gives that one.
func (c *rejectedListCommand) wants(r rejectedTells) bool {
	return (c.Code == "" || string(r.Code) == c.Code) && (c.Provider == "" || r.Provider == c.Provider) && !r.At.Before(c.from)
}

func (c *rejectedListCommand) print(w *world, table *tabwriter.Writer, r rejectedTells, first bool) error {
	if c.JSON {
		return json.NewEncoder(w.stdout).Encode(r)
	}
	if first {
		fmt.Fprintln(table, "ANSWERED\tTOKEN\tCODE\tBYTES\tSUBJECT\tFAULTS")
	}
	_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", r.At.UTC().Format(time.RFC3339), r.Token, r.Code, r.Size, r.OriginSubject, firstFaults(r.Faults))
	return err
}

// firstFaults is what fits on a line.
func firstFaults(faults []payment.Fault) string {
	const fit = 3
	var parts []string
	for i, f := range faults {
		if i == fit {
			parts = append(parts, fmt.Sprintf("%d more", len(faults)-fit))
			break
		}
		parts = append(parts, faultLine(f))
	}
	return strings.Join(parts, "; ")
}

func faultLine(f payment.Fault) string {
	s := strings.TrimSpace(f.Pointer + " " + f.Rule)
	if f.Detail != "" {
		s += " (" + f.Detail + ")"
	}
	return s
}

// rejectedShowCommand is "consumer rejected show".
type rejectedShowCommand struct {
	deskTarget

	Token  string `arg:"" help:"Names the rejection: the last part of its subject, such as 17-0123456789ab."`
	Reveal bool   `help:"Show the original bytes too; recorded under your name before they are shown."`
	Reason string `help:"Why they have to be seen; needed with --reveal." placeholder:"TEXT"`
	Output string `help:"With --reveal: write the bytes into a new file that only you can read, and do not show them." type:"path" placeholder:"FILE"`
	JSON   bool   `help:"Everything as one JSON object; bytes as base64."`
}

// Help is the long help text.
func (rejectedShowCommand) Help() string {
	return `Shows what is wrong with the message, its size, its SHA-256 and where it came from. The bytes may hold personal
data: they are read from the quarantine only with --reveal, after the running service has recorded who and why.
Where the rejected message was a timer, its bytes are this service's own encoding of the command.
Exit codes: 0 shown, 1 the server or the service could not be asked, 2 arguments are wrong, 3 there is no such rejection,
or its bytes are not kept any more.
Example: consumer rejected show 17-0123456789ab --reveal --reason "shop asks which field"`
}

// Run shows one.
func (c *rejectedShowCommand) Run(w *world) error {
	if c.Reveal == (c.Reason == "") || c.Output != "" && !c.Reveal {
		return usageError{errors.New("--reveal and --reason go together, and --output with them")}
	}
	ctx, cancel := context.WithTimeout(w.ctx, deskFor)
	defer cancel()
	s, err := c.openRejected(ctx, w, c.Token)
	if err != nil {
		return err
	}
	defer s.close()
	out := shownRejection{rejectedTells: s.rejection}
	if c.Reveal {
		if out.Original, err = s.reveal(ctx, c.deskTarget, w, c.Reason); err != nil {
			return err
		}
		if c.Output != "" {
			if err := writeNew(c.Output, out.Original.Data); err != nil {
				return err
			}
			out.Original = nil
		}
	}
	if c.JSON {
		return json.NewEncoder(w.stdout).Encode(out)
	}
	out.tell(w)
	return nil
}

func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usageError{err}
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// shownRejection is what show prints.
type shownRejection struct {
	rejectedTells

	Original *quarantined `json:"original,omitempty"`
}

func (r *shownRejection) tell(w *world) {
	fmt.Fprintf(w.stdout, "rejected %s at %s: %s\n", r.Token, r.At.UTC().Format(time.RFC3339), r.Code)
	for _, f := range r.Faults {
		fmt.Fprintf(w.stdout, "  %s\n", faultLine(f))
	}
	fmt.Fprintf(w.stdout, "came on %s as number %d, %d bytes, SHA-256 %s\n", cmp.Or(r.OriginSubject, "an unknown subject"), r.OriginSequence, r.Size, r.SHA256)
	if r.CommandID != "" {
		fmt.Fprintf(w.stdout, "its event id: %q\n", r.CommandID)
	}
	if r.Original == nil {
		return
	}
	for name, values := range r.Original.Headers {
		fmt.Fprintf(w.stdout, "header %q: %q\n", name, values)
	}
	// Bytes from outside may steer a terminal: they are shown quoted.
	fmt.Fprintf(w.stdout, "data: %q\n", r.Original.Data)
}

// quarantined is a message as the quarantine keeps it.
type quarantined struct {
	Subject  string              `json:"subject"`
	Sequence uint64              `json:"sequence"`
	Headers  map[string][]string `json:"headers"`
	Data     []byte              `json:"data"`
}

// openedRejection is one rejection with the connection it was read by.
type openedRejection struct {
	js        jetstream.JetStream
	stream    string // of the quarantine
	client    *remote.Client
	rejection rejectedTells
	close     func()
}

// openRejected connects and reads one rejection.
func (t deskTarget) openRejected(ctx context.Context, w *world, token string) (*openedRejection, error) {
	token = strings.TrimPrefix(token, events.RejectedSubject(""))
	if !events.ValidRejectionToken(token) {
		return nil, usageError{errors.New("a rejection is named by the last part of payment.command.rejected.<token>, such as 17-0123456789ab; what a guard has rejected (payment.<operation>.rejected) has ended: see consumer show")}
	}
	nc, js, cfg, err := t.open(w)
	if err != nil {
		return nil, err
	}
	s := &openedRejection{js: js, stream: cfg.Streams.Rejected, close: nc.Close}
	m, err := lastOf(ctx, js, cfg.Streams.Events, events.RejectedSubject(token))
	if err == nil {
		s.rejection, err = tellRejection(events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		err = notFoundError{errors.New("there is no payment.command.rejected of this token")}
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return s, nil
}

// desk is how the running service is asked, as the operator.
func (s *openedRejection) desk(t deskTarget, w *world) (*remote.Client, error) {
	client, done, err := t.openDesk(w)
	if err != nil {
		return nil, err
	}
	s.client = client
	before := s.close
	s.close = func() { done(); before() }
	return client, nil
}

// reveal reads the original once the service has recorded it: no audit, no bytes.
func (s *openedRejection) reveal(ctx context.Context, t deskTarget, w *world, reason string) (*quarantined, error) {
	client, err := s.desk(t, w)
	if err != nil {
		return nil, err
	}
	if _, err := client.Audit(ctx, desk.ActionReveal, s.rejection.Token, reason); err != nil {
		return nil, deskError(w, err)
	}
	return s.original(ctx)
}

// original reads the message from the quarantine.
func (s *openedRejection) original(ctx context.Context) (*quarantined, error) {
	m, err := lastOf(ctx, s.js, s.stream, events.QuarantineSubject(s.rejection.Token))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, notFoundError{errors.New("its bytes are not in the quarantine any more")}
	}
	if err != nil {
		return nil, err
	}
	var q quarantined
	if err := json.Unmarshal(m.Data, &q); err != nil {
		return nil, errors.New("read quarantine: the message there cannot be read")
	}
	return &q, nil
}

func lastOf(ctx context.Context, js jetstream.JetStream, stream, subject string) (*jetstream.RawStreamMsg, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	return m, nil
}
