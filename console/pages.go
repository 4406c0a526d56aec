package console

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// shown is how many results a page shows when it opens.
const shown = 30

// numbersData is the part of the overview that is refreshed.
type numbersData struct {
	Charts   []chart
	Standing []Standing
	Waiting  int
	Complete bool
	// Oldest is the time since which the oldest operation in the queue needs a
	// person; nil: the queue is empty.
	Oldest *desk.Item
	// Fault says why the queue could not be read.
	Fault    string
	Rejected int
	// Partial: not every result of the hour was counted.
	Partial bool
	Per     float64 // terminal results a minute, over the last five
	At      time.Time
}

func (c *Console) numbersNow(r *http.Request) numbersData {
	n := numbersData{Charts: c.feed.charts(), Standing: c.service.Standing(), Rejected: len(c.feed.rejected()), Partial: c.feed.partial(), At: c.now()}
	for _, t := range []payment.EventType{payment.EventSucceeded, payment.EventFailed, payment.EventRejected} {
		each, _ := c.feed.series(t)
		for _, count := range each[minutes-5:] {
			n.Per += float64(count) / 5
		}
	}
	q, err := c.askQueue(r, desk.Filter{})
	if err != nil {
		n.Fault = c.said("list the queue", err)
		return n
	}
	n.Waiting, n.Complete = len(q.Items), q.Complete
	for i := range q.Items {
		if n.Oldest == nil || q.Items[i].Since.Before(n.Oldest.Since) {
			n.Oldest = &q.Items[i]
		}
	}
	return n
}

// overview is the first page.
func (c *Console) overview(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, page{Name: "overview", Title: "Overview", Data: map[string]any{
		"Numbers": c.numbersNow(r), "Results": c.feed.newest(10),
	}})
}

func (c *Console) numbers(w http.ResponseWriter, r *http.Request) {
	n := c.numbersNow(r)
	c.fragment(w, "numbers", n.Fault, n)
}

// queueData is the queue with its filter.
type queueData struct {
	Queue    *desk.Queue
	Provider string
	Names    []string
	Fault    string
}

func (c *Console) queueNow(r *http.Request) queueData {
	d := queueData{Provider: r.FormValue("provider")}
	for _, s := range c.service.Standing() {
		d.Names = append(d.Names, s.Provider)
	}
	var err error
	if d.Queue, err = c.askQueue(r, desk.Filter{Provider: d.Provider}); err != nil {
		d.Fault = c.said("list the queue", err)
	}
	return d
}

// queue shows the operations that need a person.
func (c *Console) queue(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, page{Name: "queue", Title: "Review queue", Data: c.queueNow(r)})
}

func (c *Console) queueRows(w http.ResponseWriter, r *http.Request) {
	d := c.queueNow(r)
	c.fragment(w, "rows", d.Fault, d)
}

// find redirects from the form to the page of a payment.
func (c *Console) find(w http.ResponseWriter, r *http.Request) {
	id := payment.ID{Provider: strings.TrimSpace(r.FormValue("provider")), Native: strings.TrimSpace(r.FormValue("payment"))}
	if _, err := events.Filter(id); err != nil {
		c.fail(w, r, http.StatusBadRequest, "A payment is found by its provider's name and its identifier there, 1 to 64 printable characters without space.")
		return
	}
	http.Redirect(w, r, paymentLink(id.Provider, id.Native), http.StatusSeeOther)
}

func (c *Console) rejected(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, page{Name: "rejections", Title: "Rejected commands", Data: c.feed.rejected()})
}

func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, page{Name: "live", Title: "Live results", Data: c.feed.newest(shown)})
}

// said is the text of an error for the operator. It logs errors that are not meant
// for operators.
func (c *Console) said(doing string, err error) string {
	if no, ok := errors.AsType[*desk.Error](err); ok {
		return no.Message
	}
	if no, ok := errors.AsType[*payment.WrittenError](err); ok {
		return no.Error()
	}
	c.log.Error("the console could not do what it was asked", "doing", doing, "error", err.Error())
	return "This could not be done now; the log says why."
}
