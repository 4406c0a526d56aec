package streams

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/internal/quorum"
)

// Requester sends a request and waits for its one answer; *nats.Conn is one. It
// is safe for concurrent use.
type Requester interface {
	RequestMsgWithContext(ctx context.Context, msg *nats.Msg) (*nats.Msg, error)
}

// Durable names a durable consumer.
type Durable struct{ Stream, Name string }

// Plan says what is read.
type Plan struct {
	// Journal is the journal's stream; Others are the streams beside it.
	Journal string
	Others  []string
	// Durables are read before the streams; one that does not exist is left out.
	Durables []Durable
	// TokenHeader is the header of the journal's messages that tells whose append
	// each is.
	TokenHeader string
	// Acceptances is the filter of the journal's events that record an accepted
	// loss, EpochOf the epoch that one of them begins; empty: there are none.
	Acceptances string
	EpochOf     func(subject string, header map[string][]string, data []byte) uint64
	// Answers are the filters of the journal's events that answer commands.
	Answers []string
	// Aging are those of the other streams whose messages go by their age alone, and how
	// long they are meant to stay. A stream that keeps them for longer is believed no more
	// than that.
	Aging map[string]time.Duration
	// TimerHolds asks the journal's leader whether it still does not show what a timer
	// knew; nil: a timer's finding is not confirmed. Safe for concurrent use.
	TimerHolds func(ctx context.Context, f integrity.Finding) (bool, error)
}

// Reader reads what a plan names. It is safe for concurrent use.
type Reader struct {
	nc   Requester
	plan Plan
}

var _ keeper.Source = (*Reader)(nil)

// NewReader returns a reader. It does no I/O.
func NewReader(nc Requester, p Plan) *Reader { return &Reader{nc: nc, plan: p} }

// Read implements keeper.Source. An answer without a leader, or of one that the
// others do not follow, is no reading: that server answers from what it has, which
// may be far behind.
func (r *Reader) Read(ctx context.Context, m integrity.Mark, open []integrity.Finding) (integrity.Reading, []integrity.Finding, error) {
	out := integrity.Reading{Streams: make(map[string]integrity.StreamReading, len(r.plan.Others))}
	var err error
	if out.Durables, err = r.durables(ctx); err != nil {
		return integrity.Reading{}, nil, err
	}
	others := make([]streamInfo, len(r.plan.Others))
	var info streamInfo
	asks := []func() error{func() (err error) { info, err = r.extent(ctx); return err }}
	stamps := make([]time.Time, len(r.plan.Others))
	for i, name := range r.plan.Others {
		asks = append(asks, func() (err error) { others[i], err = r.info(ctx, name, false); return err })
		if known := m.Streams[name]; known > 0 && !m.Stamps[name].IsZero() && r.plan.Aging[name] > 0 {
			asks = append(asks, func() (err error) { stamps[i], err = r.stamp(ctx, name, known); return err })
		}
	}
	if err := together(asks...); err != nil {
		return integrity.Reading{}, nil, err
	}
	for i, name := range r.plan.Others {
		if out.Streams[name], err = r.beside(ctx, name, others[i], stamps[i]); err != nil {
			return integrity.Reading{}, nil, err
		}
	}
	out.Leader, out.Journal = info.Cluster.Leader, info.journal()
	if err := r.messages(ctx, m, &out); err != nil {
		return integrity.Reading{}, nil, err
	}
	if !out.Journal.Missing && out.Journal.Last > 0 {
		if err := r.said(ctx, m, &out); err != nil {
			return integrity.Reading{}, nil, err
		}
	}
	still, err := r.stillOpen(ctx, open)
	return out, still, err
}

// beside is the extent of a stream beside the journal. The information names the time of
// a newest message that is gone, so that one is asked for where any is missing.
func (r *Reader) beside(ctx context.Context, name string, info streamInfo, atMark time.Time) (integrity.StreamReading, error) {
	out, meant := info.extent(), r.plan.Aging[name]
	if meant == 0 || out.Missing {
		return out, nil
	}
	out.Keeps, out.AtMark, out.Now = meant, atMark, info.Now
	if age := info.Config.MaxAge; age > 0 {
		out.Keeps = min(age, meant)
	}
	if out.Messages == 0 {
		return out, nil
	}
	out.FirstAt, out.LastAt = info.State.FirstAt, info.State.LastAt
	if out.Messages == out.Last-out.First+1 {
		return out, nil
	}
	var err error
	out.LastAt, err = r.stamp(ctx, name, out.Last)
	return out, err
}

// said reads what the journal itself says of its history.
func (r *Reader) said(ctx context.Context, m integrity.Mark, out *integrity.Reading) error {
	if r.plan.Acceptances != "" {
		accepted, err := lastMessage(ctx, r.nc, r.plan.Journal, r.plan.Acceptances)
		if err != nil {
			return err
		}
		if accepted.Seq > 0 {
			header, err := accepted.header()
			if err != nil {
				return fmt.Errorf("read message %d of %s: %w", accepted.Seq, r.plan.Journal, err)
			}
			// One that cannot be read is an acceptance all the same.
			out.Accepted = max(1, r.plan.EpochOf(accepted.Subject, header, accepted.Data))
		}
	}
	for _, filter := range r.plan.Answers {
		if !m.Zero() || out.Answered {
			break
		}
		answer, err := lastMessage(ctx, r.nc, r.plan.Journal, filter)
		if err != nil {
			return err
		}
		out.Answered = answer.Seq > 0
	}
	return nil
}

// stamp reads when the message at a sequence of a stream was stored; the zero time
// where there is none.
func (r *Reader) stamp(ctx context.Context, stream string, sequence uint64) (time.Time, error) {
	m, err := message(ctx, r.nc, stream, `{"seq":`+strconv.FormatUint(sequence, 10)+`}`)
	if err != nil || m.Seq != sequence {
		return time.Time{}, err
	}
	return m.Time, nil
}

// Glance implements keeper.Source: two questions at once, so that a call may wait
// for it. The answer to one of them cannot be older than the mark.
func (r *Reader) Glance(ctx context.Context, m integrity.Mark) (integrity.Reading, error) {
	var info streamInfo
	var at integrity.Position
	var atErr error
	err := together(
		func() (err error) { info, err = r.extent(ctx); return err },
		func() error { at, atErr = r.position(ctx, m.Journal.Sequence); return nil },
	)
	if err == nil && !info.missing { // of a stream that is gone no message can be asked
		err = atErr
	}
	if err != nil {
		return integrity.Reading{}, err
	}
	out := integrity.Reading{Leader: info.Cluster.Leader, Journal: info.journal()}
	out.Journal.Head, out.Journal.AtMark = m.Identity, at
	return out, nil
}

// extent reads how far the journal reaches, and its holes if it has any.
func (r *Reader) extent(ctx context.Context) (streamInfo, error) {
	info, err := r.info(ctx, r.plan.Journal, false)
	if err == nil && info.State.NumDeleted > 0 {
		info, err = r.info(ctx, r.plan.Journal, true)
	}
	return info, err
}

// messages reads the messages by which the journal is recognised. The leader that
// answers for the extent is asked for them as well.
func (r *Reader) messages(ctx context.Context, m integrity.Mark, out *integrity.Reading) error {
	last := out.Journal.Last
	if out.Journal.Missing || last == 0 {
		return nil
	}
	var head stored
	err := together(
		func() (err error) { head, err = r.message(ctx, 1); return err },
		func() (err error) { out.Journal.AtMark, err = r.position(ctx, m.Journal.Sequence); return err },
		func() (err error) { out.Newest, err = r.position(ctx, last); return err },
	)
	if err == nil && head.Seq == 1 {
		out.Journal.Head = integrity.IdentityOf(head.Subject, head.Data)
	}
	return err
}

// together asks several questions at once, and returns the first error by their
// order.
func together(asks ...func() error) error {
	errs := make([]error, len(asks))
	var all sync.WaitGroup
	for i, ask := range asks {
		all.Go(func() { errs[i] = ask() })
	}
	all.Wait()
	return cmp.Or(errs...)
}

// position reads whose append lies at a sequence; the zero Position where nothing does.
func (r *Reader) position(ctx context.Context, sequence uint64) (integrity.Position, error) {
	if sequence == 0 {
		return integrity.Position{}, nil
	}
	m, err := r.message(ctx, sequence)
	if err != nil || m.Seq != sequence {
		return integrity.Position{}, err
	}
	header, err := m.header()
	if err != nil {
		return integrity.Position{}, fmt.Errorf("read message %d of %s: %w", sequence, r.plan.Journal, err)
	}
	return integrity.Position{Sequence: sequence, Token: header.Get(r.plan.TokenHeader)}, nil
}

// streamInfo is what is needed of a stream's information.
type streamInfo struct {
	Error   *jetstream.APIError   `json:"error"`
	Cluster jetstream.ClusterInfo `json:"cluster"`
	Now     time.Time             `json:"ts"`
	Config  struct {
		MaxAge time.Duration `json:"max_age"`
	} `json:"config"`
	State struct {
		Messages   uint64            `json:"messages"`
		FirstSeq   uint64            `json:"first_seq"`
		LastSeq    uint64            `json:"last_seq"`
		FirstAt    time.Time         `json:"first_ts"`
		LastAt     time.Time         `json:"last_ts"`
		NumDeleted int               `json:"num_deleted"`
		Deleted    []uint64          `json:"deleted"`
		Subjects   map[string]uint64 `json:"subjects"`
		Lost       *struct {
			Msgs []uint64 `json:"msgs"`
		} `json:"lost"`
	} `json:"state"`
	missing bool
}

func (i streamInfo) extent() integrity.StreamReading {
	if i.missing {
		return integrity.StreamReading{Missing: true}
	}
	return integrity.StreamReading{First: i.State.FirstSeq, Last: i.State.LastSeq, Messages: i.State.Messages}
}

func (i streamInfo) journal() integrity.JournalReading {
	out := integrity.JournalReading{StreamReading: i.extent(), Deleted: ranges(i.State.Deleted)}
	if i.State.Lost != nil {
		out.Lost = uint64(len(i.State.Lost.Msgs))
	}
	return out
}

// info reads a stream's information from its leader.
func (r *Reader) info(ctx context.Context, stream string, deleted bool) (streamInfo, error) {
	body := "{}"
	if deleted {
		body = `{"deleted_details":true}`
	}
	return r.ask(ctx, "$JS.API.STREAM.INFO."+stream, body)
}

func (r *Reader) ask(ctx context.Context, subject, body string) (streamInfo, error) {
	var info streamInfo
	reply, err := request(ctx, r.nc, subject, body)
	if err != nil {
		return info, fmt.Errorf("ask %s: %w", subject, err)
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		return info, fmt.Errorf("ask %s: decode answer: %w", subject, err)
	}
	switch {
	case info.Error != nil && info.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return streamInfo{missing: true}, nil
	case info.Error != nil:
		return info, fmt.Errorf("ask %s: %w", subject, info.Error)
	}
	if err := quorum.Led(&info.Cluster); err != nil {
		return info, fmt.Errorf("ask %s: %w", subject, err)
	}
	return info, nil
}

// durables reads how far the durable consumers have come, those that exist.
func (r *Reader) durables(ctx context.Context) ([]integrity.DurableReading, error) {
	all := make([]integrity.DurableReading, len(r.plan.Durables))
	found := make([]bool, len(all))
	asks := make([]func() error, len(all))
	for i, d := range r.plan.Durables {
		asks[i] = func() (err error) { all[i], found[i], err = r.durable(ctx, d); return err }
	}
	if err := together(asks...); err != nil {
		return nil, err
	}
	var out []integrity.DurableReading
	for i, d := range all {
		if found[i] {
			out = append(out, d)
		}
	}
	return out, nil
}

// durable reads how far a durable consumer has come; found is false where there
// is none.
func (r *Reader) durable(ctx context.Context, d Durable) (read integrity.DurableReading, found bool, err error) {
	subject := "$JS.API.CONSUMER.INFO." + d.Stream + "." + d.Name
	reply, err := request(ctx, r.nc, subject, "")
	if err != nil {
		return read, false, fmt.Errorf("ask %s: %w", subject, err)
	}
	var info struct {
		Error     *jetstream.APIError `json:"error"`
		Delivered struct {
			Stream uint64 `json:"stream_seq"`
		} `json:"delivered"`
		// Cluster is absent where a single server answers.
		Cluster *jetstream.ClusterInfo `json:"cluster"`
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		return read, false, fmt.Errorf("ask %s: decode answer: %w", subject, err)
	}
	switch {
	case info.Error != nil && (info.Error.ErrorCode == jetstream.JSErrCodeConsumerNotFound || info.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound):
		return read, false, nil
	case info.Error != nil:
		return read, false, fmt.Errorf("ask %s: %w", subject, info.Error)
	}
	if err := quorum.Led(info.Cluster); err != nil {
		return read, false, fmt.Errorf("ask %s: %w", subject, err)
	}
	return integrity.DurableReading{Stream: d.Stream, Name: d.Name, Delivered: info.Delivered.Stream}, true, nil
}

// stored is a message as the leader returns it.
type stored struct {
	Subject string    `json:"subject"`
	Seq     uint64    `json:"seq"`
	Hdrs    []byte    `json:"hdrs"`
	Data    []byte    `json:"data"`
	Time    time.Time `json:"time"`
}

// header are the message's headers.
func (m stored) header() (nats.Header, error) {
	if len(m.Hdrs) == 0 {
		return nats.Header{}, nil
	}
	return nats.DecodeHeadersMsg(m.Hdrs)
}

// message reads the message at a sequence of the journal; the zero one where the
// server says that there is none.
func (r *Reader) message(ctx context.Context, sequence uint64) (stored, error) {
	return message(ctx, r.nc, r.plan.Journal, `{"seq":`+strconv.FormatUint(sequence, 10)+`}`)
}

// lastMessage reads the newest message of a subject; the zero one where the server
// says that there is none.
func lastMessage(ctx context.Context, nc Requester, stream, subject string) (stored, error) {
	question, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return stored{}, fmt.Errorf("ask for subject: %w", err)
	}
	return message(ctx, nc, stream, string(question))
}

func message(ctx context.Context, nc Requester, stream, question string) (stored, error) {
	subject := "$JS.API.STREAM.MSG.GET." + stream
	reply, err := request(ctx, nc, subject, question)
	if err != nil {
		return stored{}, fmt.Errorf("ask %s: %w", subject, err)
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message stored              `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &got); err != nil {
		return stored{}, fmt.Errorf("ask %s: decode answer: %w", subject, err)
	}
	switch {
	case got.Error != nil && got.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return stored{}, nil
	case got.Error != nil:
		return stored{}, fmt.Errorf("ask %s: %w", subject, got.Error)
	}
	return got.Message, nil
}

func request(ctx context.Context, nc Requester, subject, body string) (*nats.Msg, error) {
	return nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Data: []byte(body)})
}

// ranges joins sequences in a row.
func ranges(all []uint64) []integrity.Range {
	slices.Sort(all)
	var out []integrity.Range
	for _, seq := range all {
		if n := len(out); n > 0 && out[n-1].To+1 == seq {
			out[n-1].To = seq
			continue
		}
		out = append(out, integrity.Range{From: seq, To: seq})
	}
	return out
}
