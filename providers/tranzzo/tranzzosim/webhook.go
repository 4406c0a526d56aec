package tranzzosim

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/countermand/countermand/providers/simulator"
)

// Webhook returns the notification of an order's newest void or refund as it
// would go out now, and where to (empty: its request named no server_url).
func (s *Simulator) Webhook(orderID string) (to string, body []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.Orders[orderID]
	if o == nil || len(o.Operations) < 2 {
		return "", nil, fmt.Errorf("webhook of order %s: no void or refund of it", orderID)
	}
	op := o.Operations[len(o.Operations)-1]
	encoded, err := json.Marshal(s.view(o, op, true))
	if err != nil {
		return "", nil, fmt.Errorf("webhook of order %s: %w", orderID, err)
	}
	data := base64.URLEncoding.EncodeToString(encoded)
	sum := sha1.Sum([]byte(s.options.APISecret + data + s.options.APISecret))
	form := url.Values{"data": {data}, "signature": {base64.URLEncoding.EncodeToString(sum[:])}}
	return op.ServerURL, []byte(form.Encode()), nil
}

// Notify sends the notification of an order's newest void or refund to the
// address its request named and returns the HTTP status answered. Nothing is
// sent but by this.
func (s *Simulator) Notify(ctx context.Context, orderID string) (status int, err error) {
	to, body, err := s.Webhook(orderID)
	if err != nil {
		return 0, err
	}
	return simulator.Deliver(ctx, to, "application/x-www-form-urlencoded", body)
}
