// Package monitor asks a NATS server's monitoring address for what the server
// tells no client: whether it writes to disk before it acknowledges. It judges
// nothing. It only reads.
package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxPage bounds the answer; a usual one has about 4 KiB.
const maxPage = 4 << 20

// Page is what /varz tells. The names are nats-server 2.15.2's; a server that
// reports jetstream.config at all leaves sync_always out where it is false.
type Page struct {
	Name string `json:"server_name"`
	// ID is the server's; never empty.
	ID      string `json:"server_id"`
	Cluster struct {
		// Name is empty where the server is in none.
		Name string `json:"name"`
	} `json:"cluster"`
	JetStream struct {
		// Config is nil where the server has no JetStream.
		Config *Storage `json:"config"`
		// Meta is nil where it is in no cluster.
		Meta *struct {
			ClusterSize int `json:"cluster_size"`
		} `json:"meta"`
	} `json:"jetstream"`
}

// Storage says when the server writes to disk, and how much.
type Storage struct {
	// SyncAlways: before each acknowledgement; else every SyncInterval.
	SyncAlways   bool          `json:"sync_always"`
	SyncInterval time.Duration `json:"sync_interval"`
	// MaxStore is what all streams may take of the disk, in bytes; 0: it does not say.
	MaxStore int64 `json:"max_storage"`
}

// Ask reads the page of the one server at address (http://HOST:8222); ctx bounds
// it. An error says that there is no answer, or none of a server's.
func Ask(ctx context.Context, address string) (Page, error) {
	var p Page
	if err := ask(ctx, address, "/varz", &p); err != nil {
		return Page{}, err
	}
	if p.ID == "" {
		return Page{}, errNoServer
	}
	return p, nil
}

var errNoServer = errors.New("ask monitor: its answer is not a server's")

// ask reads one page into v.
func ask(ctx context.Context, address, page string, v any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+page, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask monitor: %w", err)
	}
	answer, err := new(http.Client).Do(r)
	if err != nil {
		return fmt.Errorf("ask monitor: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask monitor: it answers %s", answer.Status)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxPage)).Decode(v); err != nil {
		return errNoServer
	}
	return nil
}
