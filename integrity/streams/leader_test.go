package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/integrity/streams"
)

// answers is a server that answers each question about a stream alike.
type answers string

func (a answers) RequestMsgWithContext(_ context.Context, m *nats.Msg) (*nats.Msg, error) {
	if strings.Contains(m.Subject, "MSG.GET") {
		return &nats.Msg{Data: []byte(`{"error":{"code":404,"err_code":10037,"description":"no message found"}}`)}, nil
	}
	return &nats.Msg{Data: []byte(a)}, nil
}

func TestALeaderThatWasCutOffSaysNothingAboutTheJournal(t *testing.T) {
	t.Parallel()
	const state = `"state":{"messages":9,"first_seq":1,"last_seq":9}`
	known := integrity.Mark{Journal: integrity.Position{Sequence: 12, Token: "t12"}}
	for name, row := range map[string]struct {
		cluster string
		says    bool
	}{
		"followed": {`{"leader":"n1","replicas":[{"name":"n2","current":true,"active":400000000},{"name":"n3","current":true,"active":9000000000}]}`, true},
		"cut off":  {`{"leader":"n1","replicas":[{"name":"n2","current":true,"active":5000000000},{"name":"n3","current":true,"active":9000000000}]}`, false},
		"alone":    {`{"leader":"n1"}`, true},
		"election": {`{"replicas":[{"name":"n2","active":400000000},{"name":"n3","active":400000000}]}`, false},
	} {
		reader := streams.NewReader(answers(`{"cluster":`+row.cluster+`,`+state+`}`), streams.Plan{Journal: "PAYMENT_EVENTS", TokenHeader: tokenHeader})
		r, err := reader.Glance(t.Context(), known)
		if _, _, readErr := reader.Read(t.Context(), known, nil); (err == nil) != row.says || (readErr == nil) != row.says {
			t.Errorf("%s: a glance says %v, a reading %v", name, err, readErr)
		}
		if row.says && r.Journal.Last != 9 {
			t.Errorf("%s: the journal ends at %d", name, r.Journal.Last)
		}
	}
}

// bucketOf is a server that shows a bucket as it is at each question for its key.
type bucketOf struct {
	records []integrity.Record // what the key holds, the last one for ever
	cluster string
	silent  bool // it answers no question about the bucket itself
}

func (b *bucketOf) RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	if !strings.Contains(m.Subject, "MSG.GET") {
		if b.silent {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return &nats.Msg{Data: []byte(`{"cluster":` + b.cluster + `}`)}, nil
	}
	r := b.records[0]
	b.records = b.records[min(1, len(b.records)-1):]
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	answer, err := json.Marshal(map[string]any{"message": map[string]any{"subject": "$KV.B._mark", "seq": 7, "data": data}})
	return &nats.Msg{Data: answer}, err
}

// A server that was cut off shows the mark that the others have raised since.
func TestALeaderThatWasCutOffDoesNotSetTheBucketBack(t *testing.T) {
	t.Parallel()
	const followed = `{"leader":"n1","replicas":[{"name":"n2","active":400000000},{"name":"n3","active":9000000000}]}`
	const cutOff = `{"leader":"n1","replicas":[{"name":"n2","active":5000000000},{"name":"n3","active":9000000000}]}`
	at := func(n uint64) integrity.Record {
		return integrity.Record{Epoch: integrity.FirstEpoch(), Bucket: "b", Mark: integrity.Mark{Journal: integrity.Position{Sequence: n, Token: "t"}}}
	}
	for name, row := range map[string]struct {
		server  *bucketOf
		setBack bool
		known   bool // it holds what is known after all
	}{
		"cut off":                        {&bucketOf{records: []integrity.Record{at(9), at(5)}, cluster: cutOff}, false, false},
		"followed":                       {&bucketOf{records: []integrity.Record{at(9), at(5)}, cluster: followed}, true, false},
		"no leader":                      {&bucketOf{records: []integrity.Record{at(9), at(5)}, cluster: `{"replicas":[{"name":"n2","active":1}]}`}, false, false},
		"one server":                     {&bucketOf{records: []integrity.Record{at(9), at(5)}, cluster: "null"}, true, false},
		"nothing says who leads":         {&bucketOf{records: []integrity.Record{at(9), at(5)}, silent: true}, true, false},
		"the leader knows it in the end": {&bucketOf{records: []integrity.Record{at(9), at(5), at(10)}, cluster: followed}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := streams.NewBucket(row.server, "B")
			if _, err := b.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			r, err := b.Load(t.Context())
			if errors.Is(err, keeper.ErrSetBack) != row.setBack || (err == nil) != row.known || row.known && r.Mark.Journal.Sequence != 10 {
				t.Errorf("%+v, %v", r.Mark.Journal, err)
			}
		})
	}
}
