package app

import (
	"context"
	"errors"
	"time"

	"github.com/countermand/countermand/internal/monitor"
)

// monitorFor bounds a question to the monitoring address.
const monitorFor = 5 * time.Second

// syncsAlways asks a server's monitoring address whether it writes to disk
// before it acknowledges. Only the one server is asked; "consumer check" says
// which are left.
func syncsAlways(ctx context.Context, address string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, monitorFor)
	defer cancel()
	page, err := monitor.Ask(ctx, address)
	if err != nil {
		return false, err
	}
	if page.JetStream.Config == nil {
		return false, errors.New("ask monitor: the server has no JetStream")
	}
	return page.JetStream.Config.SyncAlways, nil
}
