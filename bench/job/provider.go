package job

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Paths of the fake provider: OPay's, and one that tells what it counted.
const (
	RefundPath = "/api/v1/international/payment/refund/create"
	QueryPath  = "/api/v1/international/payment/refund/query"
	CallsPath  = "/calls"
)

// Calls is what the fake provider counted: calls that move money, and how often
// each payment was called for more than once.
type Calls struct {
	Total    int `json:"total"`
	Payments int `json:"payments"`
	Queries  int `json:"queries"`
	// Repeated is the calls beyond one for each payment.
	Repeated int `json:"repeated"`
}

// Provider calls the fake provider over connections that are kept.
type Provider struct {
	client *http.Client
	url    string
}

// NewProvider returns a client of the provider at a base address for so many
// calls at a time.
func NewProvider(base string, concurrent int) *Provider {
	return &Provider{
		url:    base + RefundPath,
		client: &http.Client{Transport: &http.Transport{MaxIdleConns: concurrent, MaxIdleConnsPerHost: concurrent}},
	}
}

// Refund makes the one call and returns what moved, in minor units. It retries nothing.
func (p *Provider) Refund(ctx context.Context, c Command) (int64, error) {
	body := fmt.Appendf(nil, `{"amount":{"currency":%q,"total":%d},"country":"EG","originalReference":%q,"reference":%q}`, Currency, c.Amount, c.Payment, c.Payment)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("call provider: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := p.client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("call provider: %w", err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("read provider's answer %s: %w", answer.Status, err)
	}
	moved, err := strconv.ParseInt(string(Between(b, `"total":`, "}")), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read provider's amount: %w", err)
	}
	return moved, nil
}

// Between cuts out what stands between two texts, or nothing. It is how floor and
// provider read JSON whose form they know, so that their own work hardly counts.
func Between(b []byte, before, after string) []byte {
	_, rest, found := bytes.Cut(b, []byte(before))
	inner, _, closed := bytes.Cut(rest, []byte(after))
	if !found || !closed {
		return nil
	}
	return inner
}
