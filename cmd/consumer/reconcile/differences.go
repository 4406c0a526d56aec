package reconcile

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
	"github.com/countermand/countermand/reconcile/books"
)

// paymentAt names no payment in particular at a provider.
func paymentAt(provider string) payment.ID { return payment.ID{Provider: provider, Native: "-"} }

// differences prints what reconcile finds, as it finds it.
type differences struct {
	world *cli.World
	json  *json.Encoder // nil: not asked for
	table *cli.Table    // nil: not asked for
}

func newDifferences(w *cli.World, asJSON, asCSV bool) *differences {
	d := &differences{world: w}
	if asJSON {
		d.json = json.NewEncoder(w.Stdout)
	}
	if asCSV {
		d.table = cli.NewTable(w.Stdout,
			"kind", "provider", "payment", "operation", "idempotency_key", "reference", "provider_reference", "ours", "theirs",
			"our_amount_minor", "their_amount_minor", "currency", "at", "line", "note")
	}
	return d
}

func (d *differences) emit(x reconcile.Difference) error {
	x.Note = events.Mask(x.Note)
	switch {
	case d.json != nil:
		return d.json.Encode(map[string]reconcile.Difference{"difference": x})
	case d.table != nil:
		return d.row(x)
	default:
		_, err := fmt.Fprintln(d.world.Stdout, differenceLine(x))
		return err
	}
}

func (d *differences) row(x reconcile.Difference) error {
	ours, currency := minor(x.OurAmount)
	theirs, other := minor(x.TheirAmount)
	if currency == "" {
		currency = other
	}
	line, at := "", ""
	if x.Line > 0 {
		line = strconv.Itoa(x.Line)
	}
	if !x.At.IsZero() {
		at = x.At.UTC().Format(time.RFC3339)
	}
	return d.table.Row(
		string(x.Kind), x.Provider, x.Payment, string(x.Operation), string(x.Key), x.Reference, x.ProviderReference, x.Ours, x.Theirs,
		ours, theirs, currency, at, line, x.Note,
	)
}

func minor(m *payment.Money) (value, currency string) {
	if m == nil {
		return "", ""
	}
	return strconv.FormatInt(m.Value, 10), string(m.Currency)
}

// flush writes what is buffered; a CSV without differences is its header.
func (d *differences) flush() error {
	if d.table == nil {
		return nil
	}
	return d.table.End()
}

// differenceLine is a difference for people.
func differenceLine(x reconcile.Difference) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-15s", x.Kind)
	add := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s %s,", name, value)
		}
	}
	add("payment", x.Payment)
	add(string(x.Operation)+" key", string(x.Key))
	add("reference", x.Reference)
	add("provider's reference", x.ProviderReference)
	add("ours", told(x.Ours, x.OurAmount))
	add("theirs", told(x.Theirs, x.TheirAmount))
	if !x.At.IsZero() {
		add("at", x.At.UTC().Format(time.RFC3339))
	}
	if x.Line > 0 {
		add("line", strconv.Itoa(x.Line))
	}
	if x.Note != "" {
		add("note", strconv.Quote(x.Note))
	}
	return strings.TrimSuffix(b.String(), ",")
}

func told(word string, m *payment.Money) string {
	if m == nil {
		return word
	}
	return strings.TrimSpace(fmt.Sprintf("%s (%s)", word, m.Text()))
}

// summary says what was compared.
func (d *differences) summary(r *reconciling, j *books.Journal) error {
	s := r.sink.Report
	if d.json != nil {
		return d.json.Encode(map[string]any{"summary": map[string]any{
			"events": j.Events, "damaged": j.DamagedCount, "compared": s, "differences": s.Differences(),
			"recalled": r.recalled, "seconds": time.Since(r.began).Seconds(),
		}})
	}
	out := d.world.Stdout
	if d.table != nil {
		out = d.world.Stderr
	}
	fmt.Fprintf(out, "%d events read, %d operations, %d in the period, %d agree", j.Events, s.Operations, s.InPeriod, s.Agreed)
	for _, part := range []struct {
		n    int
		what string
	}{
		{s.Rows, "rows in the statement"},
		{s.Border, "near the border and not in the statement"},
		{s.Outside, "movements outside the period"},
		{s.Unlisted, "cancels that a statement of money does not list"},
		{s.Cancels, "cancels in the statement that match nothing"},
		{s.CannotTell, "of which the provider cannot tell"},
		{s.Unanswered, "asked about in vain"},
		{r.recalled, "payments not asked about again"},
	} {
		if part.n > 0 {
			fmt.Fprintf(out, ", %d %s", part.n, part.what)
		}
	}
	fmt.Fprintf(out, "\n%d differences", s.Differences())
	for _, kind := range reconcile.Kinds() {
		if n := s.Found[kind]; n > 0 {
			fmt.Fprintf(out, ", %s %d", kind, n)
		}
	}
	_, err := fmt.Fprintf(out, " in %s\n", time.Since(r.began).Round(time.Millisecond))
	return err
}
