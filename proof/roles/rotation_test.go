package roles_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/internal/app"
)

// lasting connects as the consumer the way the service does: for ever.
func (w *world) lasting() (nc *nats.Conn, again chan nats.Status) {
	w.t.Helper()
	said := &transcript{}
	log := slog.New(slog.NewJSONHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	nc, err := app.Connect(w.config(consumer()).NATS, "rotation", log, nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		nc.Close()
		// Seeds begin with SU, tokens with eyJ: neither may be logged, nor half of one.
		if text := said.String(); !strings.Contains(text, "nats connected") || regexp.MustCompile(`\bSU[A-Z2-7]{20}|eyJ|PRIVATE KEY`).MatchString(text) {
			w.t.Errorf("the log is empty or holds a credential:\n%s", text)
		}
	})
	w.works(nc)
	again = nc.StatusChanged(nats.CONNECTED)
	return nc, again
}

// transcript is a log in memory.
type transcript struct {
	mu  sync.Mutex
	all strings.Builder
}

// Write implements io.Writer.
func (o *transcript) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(b)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// works asks the server something only the consumer may ask, until it answers: a
// connection that is there may be lost once more, where its login expires just then.
func (w *world) works(nc *nats.Conn) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for {
		_, err := nc.RequestWithContext(ctx, "$JS.API.CONSUMER.INFO.PAYMENT_COMMANDS.payment-consumer", nil)
		if err == nil {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			w.t.Fatalf("ask the server: %v", err)
		}
	}
}

func (w *world) awaitConnected(again chan nats.Status) {
	w.t.Helper()
	select {
	case <-again:
	case <-time.After(patience):
		w.t.Fatal("not connected again")
	}
}

// reload gives the server a new configuration, as an operator's signal would.
func reload(t *testing.T, s *server.Server, dir, text string) {
	t.Helper()
	file := filepath.Join(dir, "nats.conf")
	head, _, _ := cutLines(read(t, file), 2) // address and directory stay
	write(t, file, head+text)
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o.NoLog, o.NoSigs = true, true
	if err := s.ReloadOptions(o); err != nil {
		t.Fatalf("reload the server: %v", err)
	}
}

// cutLines returns the first n lines and the rest.
func cutLines(text string, n int) (head, rest string, found bool) {
	at := 0
	for i := range text {
		if text[i] == '\n' {
			if at++; at == n {
				return text[:i+1], text[i+1:], true
			}
		}
	}
	return text, "", false
}

func TestAKeyThatIsReplacedIsUsedWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	as := byKey(t)
	s := startServer(t, filepath.Join(dir, "nats.conf"), as.configuration())
	w := provisioned(t, s, as)
	nc, again := w.lasting()
	as.pairs[consumer()] = as.newPair()
	as.writeSeed(consumer(), as.pairs[consumer()])
	reload(t, s, dir, as.configuration()) // the server knows the old key no longer, and says so
	w.awaitConnected(again)
	w.works(nc)
}

func TestCredentialsThatExpireAreReplacedWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	as := byCredentials(t, dir)
	s := startServer(t, filepath.Join(dir, "nats.conf"), as.configuration())
	w := provisioned(t, s, as)
	good := read(t, as.file(consumer()))
	as.expiring(consumer(), dir)
	nc, again := w.lasting()
	gone := nc.StatusChanged(nats.RECONNECTING)
	// In the middle of a careless rotation: half a file, then none, then the new one.
	write(t, as.file(consumer()), good[:len(good)/2])
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the server still takes what has expired")
	}
	if err := os.Remove(as.file(consumer())); err != nil {
		t.Fatal(err)
	}
	write(t, as.file(consumer()), good)
	w.awaitConnected(again)
	w.works(nc)
}

func TestCertificatesThatAreReplacedAreUsedWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	as := byCertificate(t)
	s := startServer(t, filepath.Join(dir, "nats.conf"), as.configuration())
	w := provisioned(t, s, as)
	nc, again := w.lasting()
	as.newAuthority() // nothing signed by the old one counts any longer, on either side
	as.issue("server", "localhost")
	as.issue(consumer().name, consumer().name)
	reload(t, s, dir, as.configuration())
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	w.awaitConnected(again)
	w.works(nc)
}
