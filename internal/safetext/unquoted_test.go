package safetext_test

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/countermand/countermand/internal/safetext"
)

// TestWhatALibraryQuotesIsLeftOut is not parallel: the log is the process's.
func TestWhatALibraryQuotesIsLeftOut(t *testing.T) { //nolint:paralleltest // see above
	lines := make(chan string, 1)
	log.SetOutput(safetext.Unquoted(writer(func(b []byte) { lines <- string(b) })))
	defer log.SetOutput(os.Stderr)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	answered := make(chan struct{})
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		<-answered
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nDeclined for Olena Kovalenko")
	}()
	response, err := new(http.Transport).RoundTrip(mustRequest(t, "http://"+listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	close(answered)
	if line := <-lines; strings.Contains(line, "Olena") || !strings.Contains(line, "Unsolicited response") || !strings.HasSuffix(line, "\n") {
		t.Errorf("the log says %q", line)
	}
}

func TestALineWithoutAQuotationStays(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if n, err := safetext.Unquoted(&out).Write([]byte("a line\n")); n != 7 || err != nil || out.String() != "a line\n" {
		t.Errorf("%d, %v, %q", n, err, out.String())
	}
}

func mustRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type writer func(b []byte)

func (w writer) Write(b []byte) (int, error) {
	w(bytes.Clone(b))
	return len(b), nil
}
