package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// monitorFor bounds a question to the monitoring address, maxVarz its answer;
	// a usual one has about 4 KiB.
	monitorFor = 5 * time.Second
	maxVarz    = 4 << 20
)

// syncsAlways asks a server's monitoring address whether it writes to disk
// before it acknowledges; clients of the server cannot be told. The names are
// nats-server 2.15.2's, which leaves sync_always out where it is false. Only
// the one server is asked; "consumer check" says which are left.
func syncsAlways(ctx context.Context, monitor string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, monitorFor)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(monitor, "/")+"/varz", http.NoBody)
	if err != nil {
		return false, fmt.Errorf("ask monitor: %w", err)
	}
	answer, err := new(http.Client).Do(r)
	if err != nil {
		return false, fmt.Errorf("ask monitor: %w", err)
	}
	defer answer.Body.Close()
	var varz struct {
		JetStream struct {
			Config *struct {
				SyncAlways bool `json:"sync_always"`
			} `json:"config"`
		} `json:"jetstream"`
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, maxVarz)).Decode(&varz)
	if err != nil || answer.StatusCode != http.StatusOK || varz.JetStream.Config == nil {
		return false, fmt.Errorf("ask monitor: its answer (%s) does not tell", answer.Status)
	}
	return varz.JetStream.Config.SyncAlways, nil
}
