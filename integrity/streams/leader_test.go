package streams_test

import (
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/integrity"
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
