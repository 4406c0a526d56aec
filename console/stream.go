package console

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/countermand/countermand/payment"
)

const (
	// beat is how often an open stream proves that both sides are there, and is
	// asked again whether its reader may still read.
	beat = 15 * time.Second
	// nudges are how long after a result the queue is looked at again. The event
	// comes before the timer the queue is listed from, so once is not enough.
	firstNudge, secondNudge = 100 * time.Millisecond, 1100 * time.Millisecond
	// writeFor bounds one write to a reader who has stopped reading.
	writeFor = 10 * time.Second
)

// events is the stream of what goes by: "result" with a row of the feed,
// "queue" when what needs a person may have changed, and "moved" when it was the
// payment the page shows (the parameters provider and payment).
func (c *Console) events(w http.ResponseWriter, r *http.Request) {
	page := payment.ID{Provider: r.FormValue("provider"), Native: r.FormValue("payment")}
	news, stop := c.feed.listen()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	send := func(event, data string) bool {
		_ = out.SetWriteDeadline(time.Now().Add(writeFor)) // a recorder in a test has none
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

// stopped returns a timer that does not run yet.
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
	return b.String()
}
