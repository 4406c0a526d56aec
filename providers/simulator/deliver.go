package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// Deliver posts a notification once and returns the receiver's HTTP status. It
// goes to an address of this machine only: a simulator must not be able to
// reach anybody else, whatever it was given.
func Deliver(ctx context.Context, to, contentType string, body []byte) (status int, err error) {
	u, err := url.Parse(to)
	if err != nil {
		return 0, errors.New("deliver notification: the address is no URL")
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return 0, errors.New("deliver notification: the address is not on loopback")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("deliver notification: %w", err)
	}
	request.Header.Set("Content-Type", contentType)
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("deliver notification: %w", err)
	}
	response.Body.Close()
	return response.StatusCode, nil
}
