package console

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/countermand/countermand/internal/safetext"
	"github.com/countermand/countermand/payment"
)

const (
	// beat is how often an open stream sends a sign of life, and checks whether its
	// reader may still read.
	beat = 15 * time.Second
	// nudges are the times after a result at which the page reads the queue again.
	// Once is not enough: the queue is listed from timers, and the timer of an
	// operation is written after its event.
	firstNudge, secondNudge = 100 * time.Millisecond, 1100 * time.Millisecond
	// writeFor bounds one write to a reader who has stopped reading.
	writeFor = 10 * time.Second
)

// events is the stream of server-sent events. "result" carries a row of the feed.
// "queue" says that the queue may have changed. "moved" says that the payment of the
// page (parameters provider and payment) has a new event.
func (c *Console) events(w http.ResponseWriter, r *http.Request) {
	page := payment.ID{Provider: r.FormValue("provider"), Native: r.FormValue("payment")}
	news, stop := c.feed.listen()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	send := func(event, data string) bool {
		_ = out.SetWriteDeadline(time.Now().Add(writeFor)) // the recorder of a test has no deadline
		if event != "" {
			fmt.Fprintf(w, "event: %s\n", event)
		}
		fmt.Fprintf(w, "data: %s\n\n", strings.ReplaceAll(data, "\n", " "))
		return out.Flush() == nil
	}
	if !send("queue", "") {
		return
	}
	heart := time.NewTicker(beat)
	defer heart.Stop()
	first, second := stopped(), stopped()
	defer first.Stop()
	defer second.Stop()
	for ok := true; ok; {
		select {
		case <-r.Context().Done():
			return
		case <-heart.C:
			if _, may := c.recognise(r); !may {
				return
			}
			ok = send("beat", "")
		case <-first.C:
			ok = send("queue", "")
		case <-second.C:
			ok = send("queue", "")
		case one, open := <-news:
			if !open {
				return
			}
			if one.Review || one.Type.Terminal() {
				first.Reset(firstNudge)
				second.Reset(secondNudge)
			}
			ok = send("result", c.row("result", one)) && (one.ID != page || send("moved", c.row("moved", one)))
		}
	}
}

// stopped returns a timer that does not run.
func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// row renders one result.
func (c *Console) row(name string, one Result) string {
	var b bytes.Buffer
	if err := c.pages.ExecuteTemplate(&b, name, one); err != nil {
		c.log.Error("a row of the console could not be made", "error", err.Error())
	}
	return string(safetext.Escape(b.Bytes()))
}
