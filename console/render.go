package console

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/safetext"
	"github.com/countermand/countermand/payment"
)

// page is the data of the frame around every page, and of the page itself.
type page struct {
	Name   string // of the template
	Title  string
	Status int // default 200
	Data   any

	Visitor struct {
		Name                      string
		Operator, SignedIn, Local bool
	}
	Ready  bool
	Reason string
	// Away is since when there is no connection to NATS; zero: there is one.
	Away time.Time
}

// parse reads the templates. Ages are computed with the clock now.
func parse(now func() time.Time) (*template.Template, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"amount": payment.MoneyText, "time": clockTime, "ago": func(t time.Time) string { return ago(now().Sub(t)) },
		"iso": iso, "link": paymentLink, "words": words, "breaker": breakerWord, "facts": factsOf,
		"result": resultOf,
	}).ParseFS(assets, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("read the console's pages: %w", err)
	}
	return t, nil
}

// show writes a whole page.
func (c *Console) show(w http.ResponseWriter, r *http.Request, p page) {
	v := visiting(r)
	p.Visitor.Name, p.Visitor.Operator, p.Visitor.SignedIn = v.name, v.operator, v.session
	p.Visitor.Local = !c.access.configured()
	p.Ready, p.Reason = c.service.Ready()
	p.Away = c.service.Away()
	c.write(w, p.Name, p.Status, p)
}

// fragment writes a part of a page. fault says why what it shows could not be read: then
// the page keeps what it has.
func (c *Console) fragment(w http.ResponseWriter, name, fault string, data any) {
	if fault != "" {
		http.Error(w, fault, http.StatusServiceUnavailable)
		return
	}
	c.write(w, name, 0, data)
}

// state is what every page says about the service, and asks for again and again. It asks
// nobody.
func (c *Console) state(w http.ResponseWriter, _ *http.Request) {
	p := page{Away: c.service.Away()}
	p.Ready, p.Reason = c.service.Ready()
	c.fragment(w, "state", "", p)
}

// fail writes a page that explains an error.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, status int, why string) {
	c.show(w, r, page{Name: "failed", Title: http.StatusText(status), Status: status, Data: why})
}

// write renders into memory first, so that a page is never sent in part.
func (c *Console) write(w http.ResponseWriter, name string, status int, data any) {
	var b bytes.Buffer
	if err := c.pages.ExecuteTemplate(&b, name, data); err != nil {
		c.log.Error("a page of the console could not be made", "page", name, "error", err.Error())
		http.Error(w, "this page could not be made; the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if status != 0 {
		w.WriteHeader(status)
	}
	_, _ = w.Write(safetext.Escape(b.Bytes())) // the reader has gone
}

// clockTime writes a moment to the second, in UTC.
func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// iso writes a moment in RFC 3339.
func iso(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// ago writes an age in the largest unit that fits.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	default:
		return strconv.Itoa(int(d/(24*time.Hour))) + " days"
	}
}

// words makes a name like reviewRequired or not_found readable.
func words(v any) string {
	s := fmt.Sprint(v)
	if s == events.StatusReviewRequired {
		return "review required"
	}
	return strings.ReplaceAll(s, "_", " ")
}

// paymentLink is the path of a payment's page. The identifier is written as the
// journal's token, which has no slash and no dot.
func paymentLink(provider, native string) string {
	return root + "payments/" + provider + "/" + events.Token(native)
}

func breakerWord(b payment.Breaker) string {
	switch b {
	case payment.BreakerClosed:
		return "closed"
	case payment.BreakerProbe:
		return "trying"
	default:
		return "open"
	}
}

// line is a row of the feed.
type line struct {
	Link, Provider, Payment, Operation, Word, Class, Amount, Code string
	At                                                            time.Time
}

func resultOf(r Result) line {
	word, class := words(r.Type), string(r.Type)
	if r.Review {
		word, class = "review required", "review"
	}
	l := line{
		Link: paymentLink(r.ID.Provider, r.ID.Native), Provider: r.ID.Provider, Payment: r.ID.Native,
		Operation: string(r.Op), Word: word, Class: class, Amount: "whole amount", Code: words(r.Code), At: r.At,
	}
	if r.Amount != nil {
		l.Amount = r.Amount.Text()
	}
	return l
}
