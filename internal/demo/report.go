//go:build !production

package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// summary is the last line of --json; its fields are part of the contract.
type summary struct {
	Commands       int `json:"commands"`
	Operations     int `json:"operations"`
	Duplicates     int `json:"duplicates"`
	TerminalResult int `json:"terminalResults"`
	AwaitingReview int `json:"awaitingReview"`
	MoneyMovements int `json:"moneyMovements"`
	DoubleRefunds  int `json:"doubleRefunds"`
}

// sum counts from the results and from the simulators' ledgers.
func (p *play) sum() summary {
	operations, terminal, review, doubled := p.follower.tally()
	s := summary{
		Commands: p.messages, Operations: operations, Duplicates: p.messages - operations,
		TerminalResult: terminal, AwaitingReview: review,
	}
	for _, story := range p.stories {
		if story.rejected != "" {
			s.Duplicates-- // one of its messages is no repeat, but refused
		}
		if story.ends == "" {
			continue
		}
		// Each story has a payment of its own and asks for one movement at most.
		moved, _ := p.world.count(story.operation)
		s.MoneyMovements += moved
		if moved > 1 {
			s.DoubleRefunds++
		}
	}
	s.DoubleRefunds += len(doubled)
	return s
}

// printer writes the demo's report; safe for concurrent use.
type printer struct {
	mu     sync.Mutex
	out    io.Writer
	json   bool
	colour bool
}

func newPrinter(out io.Writer, o Options) *printer {
	return &printer{out: out, json: o.JSON, colour: o.Colour && !o.JSON}
}

func (p *printer) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format, args...)
}

// event prints a result event as it is, one a line.
func (p *printer) event(data []byte) {
	if p.json {
		p.printf("%s\n", data)
	}
}

func (p *printer) paint(code, s string) string {
	if !p.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *printer) opening(w *world, stories int) {
	if p.json {
		return
	}
	how := "A server on disk, simulators of four payment providers and the consumer are running in this process."
	if w.resumed {
		how = "Going on from " + w.dir + ", where an earlier demo stopped."
	}
	p.printf("%s\n%s\n%d stories; the providers lose answers, break connections and go down on purpose.\n\n",
		p.paint("1", "Countermand demo"), how, stories)
}

// story tells one story and its events.
func (p *printer) story(n int, s story, play *play) {
	if p.json {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.paint("1", fmt.Sprintf("%2d  %s", n, s.title)))
	fmt.Fprintf(&b, "%s", wrap(s.tells, 92, "    "))
	for _, e := range play.follower.history(s.operation) {
		fmt.Fprintf(&b, "      %s  %s\n", p.status(e.Data.Status), describe(e))
	}
	if r, ok := play.follower.answered(s, play.sequences[n-1]); ok {
		fmt.Fprintf(&b, "      %s  %s\n", p.status("command rejected"), faults(r))
	}
	if play.interrupted(s) && s.ends != events.StatusReviewRequired {
		fmt.Fprintf(&b, "%s", wrap("The earlier demo was killed during this call, and the provider cannot say whether it was executed. So it is not repeated: a person is asked.", 92, "    "))
	}
	if s.ends != "" {
		moved, total := play.world.count(s.operation)
		fmt.Fprintf(&b, "      the provider's own ledger: %s\n", ledger(moved, total))
	}
	p.printf("%s\n", b.String())
}

// status pads and colours a status.
func (p *printer) status(s string) string {
	code := "2"
	switch s {
	case "succeeded":
		code = "32"
	case events.StatusReviewRequired, "indeterminate":
		code = "33"
	case "failed", "rejected", "command rejected":
		code = "31"
	}
	return p.paint(code, fmt.Sprintf("%-16s", s))
}

func describe(e events.Entry) string {
	d := e.Data
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	add("v%d", e.State.Version)
	if d.Attempt > 0 {
		add("attempt %d", d.Attempt)
	}
	if d.Effect != "" {
		add("effect %s", d.Effect)
	}
	if d.Moved != nil {
		add("moved %s", d.Moved.Text())
	}
	if d.Code != "" {
		add("code %s", d.Code)
	}
	if d.Basis != "" {
		add("basis %s", d.Basis)
	}
	if d.Review != nil {
		add("%q", d.Review.Question)
	}
	return strings.Join(parts, ", ")
}

func faults(r rejection) string {
	var parts []string
	for _, f := range r.Faults {
		where := f.Pointer
		if where == "" {
			where = "message"
		}
		parts = append(parts, where+": "+f.Rule)
	}
	return string(r.Code) + " (" + strings.Join(parts, ", ") + ")"
}

func ledger(moved int, total map[string]int64) string {
	if moved == 0 {
		return "no money moved"
	}
	var sums []string
	for c, v := range total {
		sums = append(sums, payment.Money{Value: v, Currency: payment.Currency(c)}.Text())
	}
	sort.Strings(sums)
	times := fmt.Sprintf("%d times", moved)
	if moved == 1 {
		times = "once"
	}
	return fmt.Sprintf("money moved %s, %s", times, strings.Join(sums, ", "))
}

func (p *printer) closing(s summary, ok bool) {
	if p.json {
		b, err := json.Marshal(map[string]summary{"summary": s})
		if err != nil {
			b = []byte(err.Error())
		}
		p.printf("%s\n", b)
		return
	}
	p.printf("%s\n", p.paint("1", "The count"))
	p.printf("    commands sent        %4d\n    operations           %4d\n    repeats              %4d\n", s.Commands, s.Operations, s.Duplicates)
	p.printf("    terminal results     %4d   one for each operation that is not before a person\n", s.TerminalResult)
	p.printf("    awaiting review      %4d   no machine can know; a person is asked\n", s.AwaitingReview)
	p.printf("    money movements      %4d   by the simulators' own ledgers\n", s.MoneyMovements)
	verdict := p.paint("1;32", fmt.Sprintf("%d double refunds", s.DoubleRefunds))
	if s.DoubleRefunds > 0 {
		verdict = p.paint("1;31", fmt.Sprintf("%d double refunds", s.DoubleRefunds))
	}
	code := 0
	if !ok {
		code = 1
	}
	p.printf("\n    %s, exit code %d\n", verdict, code)
}

func (p *printer) hold(url, admin string, w *world) {
	if !p.json {
		p.printf("\nStill running; Ctrl-C ends it.\n    console     http://%s/console/\n    NATS        %s\n    simulators  http://127.0.0.1:%d/opay, /openpay, /openpay-uk, /tranzzo, /bento (GET …/ledger, POST …/faults)\n", admin, url, w.Main)
	}
}

// watch says where to look while the stories are told.
func (p *printer) watch(admin string) {
	if admin != "" && !p.json {
		p.printf("Watch it at http://%s/console/\n\n", admin)
	}
}

// wrap breaks text into indented lines of at most width characters.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width && line != indent {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
	return b.String()
}
