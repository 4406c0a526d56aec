package notifications_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/notifications"
)

// say writes bytes to the server as they are and returns the answers' statuses.
func (b *bundle) say(text string) (statuses []int) {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.server.Listener.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		b.t.Fatal(err)
	}
	if half, ok := conn.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
	for in := bufio.NewReader(conn); ; {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		statuses = append(statuses, response.StatusCode)
	}
}

// Bytes that a proxy in front could read as one request and this server as two,
// or the other way round, are refused, and nothing behind them is read.
func TestRequestsWithTwoReadingsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	body := ofOPay(egKey, "1001", noon())
	head := "POST /notifications/opay-eg HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	whole := head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	for name, text := range map[string]string{
		"two lengths":             head + fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n", len(whole)) + whole,
		"a length with a sign":    head + fmt.Sprintf("Content-Length: +%d\r\n\r\n%s", len(body), body),
		"an unknown encoding":     head + "Transfer-Encoding: xchunked\r\n\r\n" + chunk,
		"a space before a colon":  strings.Replace(head, "Content-Type:", "Content-Length : 5\r\nContent-Type:", 1) + "\r\n" + whole,
		"a bare line of a header": strings.Replace(head, "Content-Type:", " folded\r\nContent-Type:", 1) + "\r\n" + whole,
		"no host":                 strings.Replace(whole, "Host: x\r\n", "", 1),
		"headers without end":     head + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
	} {
		if got := b.say(text); len(got) != 1 || got[0] < 400 || got[0] == 403 {
			t.Errorf("%s: answered %d", name, got)
		}
	}
	if requeries, _ := b.seen(); len(requeries) != 0 {
		t.Errorf("looked at %q", requeries)
	}
	// A length beside an encoding: the encoding counts, and what follows is not read.
	both := head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
	if got := b.say(both + whole); len(got) != 1 {
		t.Errorf("a length beside an encoding: %d", got)
	}
	if got := b.say(whole + whole); len(got) != 2 || got[0] != http.StatusNoContent || got[1] != http.StatusNoContent {
		t.Errorf("two in a row: %d", got)
	}
	if got := b.say("OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); len(got) != 1 || got[0] != http.StatusMethodNotAllowed {
		t.Errorf("OPTIONS *: %d", got)
	}
}

func TestTheServerWaitsForNobodyForEver(t *testing.T) {
	t.Parallel()
	s := notifications.NewServer(http.NotFoundHandler())
	for name, limit := range map[string]time.Duration{
		"header": s.ReadHeaderTimeout, "request": s.ReadTimeout, "answer": s.WriteTimeout, "silence": s.IdleTimeout,
	} {
		if limit <= 0 || limit > time.Minute {
			t.Errorf("%s: %s", name, limit)
		}
	}
	if s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 16<<10 {
		t.Errorf("headers of %d bytes", s.MaxHeaderBytes)
	}
}
