package inbound_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/inbound"
)

const most = 4

// serve answers GET / at once, and GET /slow once release is closed.
func serve(t *testing.T) (address string, slow <-chan struct{}, release chan struct{}) {
	t.Helper()
	return serveAtMost(t, most, 0)
}

func serveAtMost(t testing.TB, most int, fresh time.Duration) (address string, slow <-chan struct{}, release chan struct{}) {
	t.Helper()
	s := start(t, most, fresh)
	return s.address, s.entered, s.release
}

// server is what a test knows of its server.
type server struct {
	address          string
	entered, release chan struct{}
	closed           atomic.Int64
	idle             chan struct{} // one for each answer after which the server took its connection for idle
}

func start(t testing.TB, most int, fresh time.Duration) *server {
	t.Helper()
	entered, release, idle := make(chan struct{}, 100), make(chan struct{}), make(chan struct{}, 1000)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /slow", func(http.ResponseWriter, *http.Request) { entered <- struct{}{}; <-release })
	running := &http.Server{Handler: mux}
	s := &server{entered: entered, release: release, idle: idle}
	inbound.Bound(running, most, fresh, func() { s.closed.Add(1) })
	bound := running.ConnState
	running.ConnState = func(c net.Conn, state http.ConnState) {
		bound(c, state)
		if state == http.StateIdle {
			select {
			case idle <- struct{}{}:
			default: // a benchmark's
			}
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- running.Serve(l) }()
	t.Cleanup(func() { running.Close(); <-done })
	s.address = l.Addr().String()
	return s
}

// get is a request of a client and its answer, and the server has seen the end of it:
// that comes a moment after the client has its answer.
func (s *server) get(c *client) error {
	if err := c.get(); err != nil {
		return err
	}
	<-s.idle
	return nil
}

// client is one connection that stays.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return wrap(c)
}

func wrap(c net.Conn) *client { return &client{c, bufio.NewReader(c)} }

func (c *client) ask(path string) error {
	if _, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path); err != nil {
		return err
	}
	return nil
}

func (c *client) answer() error {
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err
}

// get is a request and its answer.
func (c *client) get() error {
	if err := c.ask("/"); err != nil {
		return err
	}
	return c.answer()
}

// gone waits for the end of the connection, and not for ever.
func (c *client) gone() bool {
	_ = c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err := c.in.ReadByte()
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func TestANewConnectionTakesThePlaceOfTheOneThatIsIdleForLongest(t *testing.T) {
	t.Parallel()
	s := start(t, most, 0)
	var kept []*client
	for range most {
		c := dial(t, s.address)
		if err := s.get(c); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, c)
	}
	if err := s.get(kept[0]); err != nil { // so that the second is idle for longest
		t.Fatal(err)
	}
	if err := s.get(dial(t, s.address)); err != nil {
		t.Errorf("one more: %v", err)
	}
	if !kept[1].gone() {
		t.Error("the one that was idle for longest is still there")
	}
	if n := s.closed.Load(); n != 1 {
		t.Errorf("%d connections were said to be closed, not 1", n)
	}
	for _, i := range []int{0, 2, 3} {
		if err := kept[i].get(); err != nil {
			t.Errorf("number %d was cut off: %v", i, err)
		}
	}
}

// Those who connect without a word would push a probe out before its request is read.
func TestWhoComesLaterWaitsUntilANewConnectionHadItsAnswer(t *testing.T) {
	t.Parallel()
	address, _, _ := serveAtMost(t, most, time.Hour)
	var all []*client
	for range 4 * most {
		all = append(all, dial(t, address))
	}
	for i, c := range all {
		if err := c.get(); err != nil {
			t.Errorf("number %d was cut off: %v", i, err)
		}
	}
}

func TestConnectionsThatSayNothingGiveWay(t *testing.T) {
	t.Parallel()
	address, _, _ := serveAtMost(t, most, 20*time.Millisecond)
	var mute []*client
	for range 3 * most {
		mute = append(mute, dial(t, address))
	}
	if err := dial(t, address).get(); err != nil {
		t.Errorf("a probe among them: %v", err)
	}
	for _, c := range mute[:2*most+1] {
		if !c.gone() {
			t.Error("more are kept than may be")
		}
	}
}

func TestARequestInHandGoesOnWhileAnyConnectionIsIdle(t *testing.T) {
	t.Parallel()
	s := start(t, most, 0)
	slow := dial(t, s.address)
	if err := slow.ask("/slow"); err != nil {
		t.Fatal(err)
	}
	<-s.entered
	for range 3 * most {
		if err := s.get(dial(t, s.address)); err != nil {
			t.Fatal(err)
		}
	}
	close(s.release)
	if err := slow.answer(); err != nil {
		t.Errorf("its request was cut off: %v", err)
	}
}

func TestWhereAllAreBusyTheOldestGivesWay(t *testing.T) {
	t.Parallel()
	address, entered, release := serve(t)
	defer close(release)
	var busy []*client
	for range most {
		c := dial(t, address)
		if err := c.ask("/slow"); err != nil {
			t.Fatal(err)
		}
		<-entered
		busy = append(busy, c)
	}
	if err := dial(t, address).get(); err != nil {
		t.Errorf("a probe: %v", err)
	}
	if !busy[0].gone() {
		t.Error("the oldest request is still there")
	}
}
