package opaysim

import (
	"context"
	"crypto/hmac"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strconv"
	"time"

	"github.com/countermand/countermand/providers/simulator"
)

// Callback returns the notification of a refund as it would go out now, and
// where to. Every call writes the time anew.
func (s *Simulator) Callback(reference string) (to string, body []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.Refunds[reference]
	if !ok {
		return "", nil, fmt.Errorf("callback: no refund %q", reference)
	}
	named := r.Reference
	if s.options.CallbackNamesPayment {
		named = r.Original
	}
	amount, at, done := strconv.FormatInt(r.Amount, 10), s.Now().Format(time.RFC3339), r.Status == "SUCCESS"
	mark := "f"
	if done {
		mark = "t"
	}
	mac := hmac.New(func() hash.Hash { return sha3.New512() }, []byte(s.options.SecretKey))
	fmt.Fprintf(mac, `{Amount:"%s",Currency:"%s",Reference:"%s",Refunded:%s,Status:"%s",Timestamp:"%s",Token:"%s",TransactionID:"%s"}`,
		amount, r.Currency, named, mark, r.Status, at, r.OrderNo, r.OrderNo)
	body, err = json.Marshal(map[string]any{
		"type": "transaction-status", "sha512": hex.EncodeToString(mac.Sum(nil)),
		"payload": map[string]any{
			"amount": amount, "channel": "Web", "country": s.Payments[r.Original].Country, "currency": r.Currency,
			"displayedFailure": "", "fee": "0", "feeCurrency": r.Currency, "instrumentType": "BankCard",
			"reference": named, "refunded": done, "status": r.Status, "timestamp": at, "token": r.OrderNo,
			"transactionId": r.OrderNo, "updated_at": at,
		},
	})
	if err != nil {
		return "", nil, fmt.Errorf("callback: %w", err)
	}
	return r.Callback, body, nil
}

// Notify sends a refund's notification to the address its request named and
// returns the HTTP status answered. Nothing is sent but by this.
func (s *Simulator) Notify(ctx context.Context, reference string) (status int, err error) {
	to, body, err := s.Callback(reference)
	if err != nil {
		return 0, err
	}
	return simulator.Deliver(ctx, to, "application/json", body)
}
