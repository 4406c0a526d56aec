package streams

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
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
	// loss; empty: there are none.
	Acceptances string
}

// Reader reads what a plan names. It is safe for concurrent use.
type Reader struct {
	nc   Requester
	plan Plan
}

var _ keeper.Source = (*Reader)(nil)

// NewReader returns a reader. It does no I/O.
func NewReader(nc Requester, p Plan) *Reader { return &Reader{nc: nc, plan: p} }

// Read implements keeper.Source. An answer without a leader is no reading: during
// an election a server answers from what it has, which may be far behind.
func (r *Reader) Read(ctx context.Context, m integrity.Mark, open []integrity.Finding) (integrity.Reading, []integrity.Finding, error) {
	out := integrity.Reading{Streams: make(map[string]integrity.StreamReading, len(r.plan.Others))}
	for _, d := range r.plan.Durables {
		read, found, err := r.durable(ctx, d)
		if err != nil {
			return integrity.Reading{}, nil, err
		}
		if found {
			out.Durables = append(out.Durables, read)
		}
	}
	for _, name := range r.plan.Others {
		info, err := r.info(ctx, name, false)
		if err != nil {
			return integrity.Reading{}, nil, err
		}
		out.Streams[name] = info.extent()
	}
	if err := r.journal(ctx, m, &out); err != nil {
		return integrity.Reading{}, nil, err
	}
	if m.Zero() && r.plan.Acceptances != "" && !out.Journal.Missing {
		accepted, err := lastMessage(ctx, r.nc, r.plan.Journal, r.plan.Acceptances)
		if err != nil {
			return integrity.Reading{}, nil, err
		}
		out.LossAccepted = accepted.Seq > 0
	}
	still, err := r.stillOpen(ctx, open)
	return out, still, err
}

// journal reads the journal's extent and the messages it is recognised by. The
// leader that answers for the extent is asked for the messages as well.
func (r *Reader) journal(ctx context.Context, m integrity.Mark, out *integrity.Reading) error {
	info, err := r.info(ctx, r.plan.Journal, false)
	if err != nil {
		return err
	}
	if info.State.NumDeleted > 0 {
		if info, err = r.info(ctx, r.plan.Journal, true); err != nil {
			return err
		}
	}
	out.Leader = info.Cluster.Leader
	out.Journal = integrity.JournalReading{StreamReading: info.extent(), Deleted: ranges(info.State.Deleted)}
	if info.State.Lost != nil {
		out.Journal.Lost = uint64(len(info.State.Lost.Msgs))
	}
	if info.missing || info.State.LastSeq == 0 {
		return nil
	}
	head, err := r.message(ctx, 1)
	if err != nil {
		return err
	}
	if head.Seq == 1 {
		sum := sha256.Sum256(head.Data)
		out.Journal.Head = integrity.Identity{Subject: head.Subject, SHA256: hex.EncodeToString(sum[:])}
	}
	if out.Journal.AtMark, err = r.position(ctx, m.Journal.Sequence); err != nil {
		return err
	}
	out.Newest = out.Journal.AtMark
	if info.State.LastSeq != m.Journal.Sequence {
		out.Newest, err = r.position(ctx, info.State.LastSeq)
	}
	return err
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
	header := nats.Header{}
	if len(m.Hdrs) > 0 {
		if header, err = nats.DecodeHeadersMsg(m.Hdrs); err != nil {
			return integrity.Position{}, fmt.Errorf("read message %d of %s: %w", sequence, r.plan.Journal, err)
		}
	}
	return integrity.Position{Sequence: sequence, Token: header.Get(r.plan.TokenHeader)}, nil
}

// streamInfo is what is needed of a stream's information.
type streamInfo struct {
	Error   *jetstream.APIError `json:"error"`
	Cluster struct {
		Leader string `json:"leader"`
	} `json:"cluster"`
	State struct {
		Messages   uint64            `json:"messages"`
		FirstSeq   uint64            `json:"first_seq"`
		LastSeq    uint64            `json:"last_seq"`
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
	case info.Cluster.Leader == "":
		return info, fmt.Errorf("ask %s: %w", subject, errNoLeader)
	}
	return info, nil
}

var errNoLeader = errors.New("the stream has no leader at the moment")

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
		Cluster *struct {
			Leader string `json:"leader"`
		} `json:"cluster"`
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		return read, false, fmt.Errorf("ask %s: decode answer: %w", subject, err)
	}
	switch {
	case info.Error != nil && (info.Error.ErrorCode == jetstream.JSErrCodeConsumerNotFound || info.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound):
		return read, false, nil
	case info.Error != nil:
		return read, false, fmt.Errorf("ask %s: %w", subject, info.Error)
	case info.Cluster != nil && info.Cluster.Leader == "":
		return read, false, fmt.Errorf("ask %s: %w", subject, errNoLeader)
	}
	return integrity.DurableReading{Stream: d.Stream, Name: d.Name, Delivered: info.Delivered.Stream}, true, nil
}

// stored is a message as the leader returns it.
type stored struct {
	Subject string `json:"subject"`
	Seq     uint64 `json:"seq"`
	Hdrs    []byte `json:"hdrs"`
	Data    []byte `json:"data"`
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

// stillOpen looks again at findings that no extent of a stream shows. A record
// is unreadable while the stream's index counts its subject and the leader shows
// no message there. What a timer said is asked again when it comes back.
func (r *Reader) stillOpen(ctx context.Context, open []integrity.Finding) ([]integrity.Finding, error) {
	var still []integrity.Finding
	for _, f := range open {
		if f.Kind != integrity.RecordUnreadable {
			continue
		}
		filter, err := json.Marshal(map[string]string{"subjects_filter": f.Object})
		if err != nil {
			return nil, fmt.Errorf("ask for subject: %w", err)
		}
		info, err := r.ask(ctx, "$JS.API.STREAM.INFO."+r.plan.Journal, string(filter))
		if err != nil {
			return nil, err
		}
		if info.State.Subjects[f.Object] == 0 {
			continue
		}
		m, err := lastMessage(ctx, r.nc, r.plan.Journal, f.Object)
		if err != nil {
			return nil, err
		}
		if m.Seq == 0 {
			still = append(still, f)
		}
	}
	return still, nil
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
