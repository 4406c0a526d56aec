package quorum_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/quorum"
)

func TestALeaderIsOneThatAMajorityFollows(t *testing.T) {
	t.Parallel()
	heard := func(name string, ago time.Duration) *jetstream.PeerInfo {
		return &jetstream.PeerInfo{Name: name, Active: ago, Current: true}
	}
	const never, lately, long = 0, 900 * time.Millisecond, 5 * time.Second
	rows := []struct {
		name string
		c    *jetstream.ClusterInfo
		led  bool
	}{
		{"a server alone", nil, true},
		{"one replica in a cluster", &jetstream.ClusterInfo{Leader: "n1"}, true},
		{"an election", &jetstream.ClusterInfo{Replicas: []*jetstream.PeerInfo{heard("n2", lately), heard("n3", lately)}}, false},
		{"all follow", &jetstream.ClusterInfo{Leader: "n1", Replicas: []*jetstream.PeerInfo{heard("n2", lately), heard("n3", lately)}}, true},
		{"one is away", &jetstream.ClusterInfo{Leader: "n1", Replicas: []*jetstream.PeerInfo{heard("n2", long), heard("n3", lately)}}, true},
		{"one was never there", &jetstream.ClusterInfo{Leader: "n1", Replicas: []*jetstream.PeerInfo{heard("n2", never), heard("n3", lately)}}, true},
		{"cut off", &jetstream.ClusterInfo{Leader: "n1", Replicas: []*jetstream.PeerInfo{heard("n2", long), heard("n3", long)}}, false},
		{"nobody was ever heard", &jetstream.ClusterInfo{Leader: "n1", Replicas: []*jetstream.PeerInfo{heard("n2", never), heard("n3", never)}}, false},
		{"two of five", &jetstream.ClusterInfo{Leader: "n1", Replicas: []*jetstream.PeerInfo{
			heard("n2", lately), heard("n3", long), heard("n4", long), heard("n5", long),
		}}, false},
		{"a follower answers", &jetstream.ClusterInfo{Leader: "n2", Replicas: []*jetstream.PeerInfo{heard("n2", lately), heard("n3", lately)}}, false},
	}
	for _, row := range rows {
		if err := quorum.Led(row.c); (err == nil) != row.led {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	if err := quorum.Led(rows[2].c); !errors.Is(err, quorum.ErrNoLeader) {
		t.Errorf("an election: %v", err)
	}
}
