package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
)

// noon is in the middle of the period of these tests.
func noon() time.Time { return time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC) }

func egp(n int64) *payment.Money { return &payment.Money{Value: n, Currency: "EGP"} }

// books collects what a sink finds.
type books struct {
	sink  *reconcile.Sink
	found []string
	all   []reconcile.Difference
}

func newBooks() *books {
	b := &books{}
	b.sink = &reconcile.Sink{
		Provider: "opay-eg", Report: &reconcile.Report{}, References: payment.ReferenceOfMovement,
		Period: reconcile.Period{
			From: noon().Add(-12 * time.Hour), To: noon().Add(12 * time.Hour), Slack: time.Hour,
			Now: noon().Add(24 * time.Hour), OldAfter: 48 * time.Hour,
		},
		Emit: func(d reconcile.Difference) error {
			b.found = append(b.found, string(d.Kind))
			b.all = append(b.all, d)
			return nil
		},
	}
	return b
}

// refund is one refund of 400 in a state, begun and last changed at noon.
func refund(last payment.EventType) reconcile.Operation {
	o := reconcile.Operation{
		Payment: payment.ID{Provider: "opay-eg", Native: "1001"}, Op: payment.Refund, Key: "k", Amount: egp(400), Last: last,
		Attempt: 1, Reference: "ours", RequestedAt: noon(), Started: noon(), Changed: noon(), Version: 2,
	}
	if last == payment.EventSucceeded {
		o.Effect, o.Moved = payment.EffectRefunded, egp(400)
	}
	return o
}

func with(o reconcile.Operation, change func(*reconcile.Operation)) reconcile.Operation {
	change(&o)
	return o
}

func row(status string, amount int64) reconcile.Row {
	return reconcile.Row{Line: 2, Reference: "ours", ProviderReference: "theirs", Op: payment.Refund, Amount: egp(amount), ExecutedAt: noon(), Status: status}
}

func of(r reconcile.Row, amount int64) reconcile.Row {
	r.Amount = egp(amount)
	return r
}

func stated(r reconcile.Row, status string) reconcile.Row {
	r.Status = status
	return r
}

func TestAnOperationIsJudgedByItsRowsOfTheStatement(t *testing.T) {
	t.Parallel()
	executed := refund(payment.EventSucceeded)
	failed := refund(payment.EventFailed)
	open := refund(payment.EventIndeterminate)
	old := with(open, func(o *reconcile.Operation) { o.RequestedAt = noon().Add(-72 * time.Hour) })
	returned := with(executed, func(o *reconcile.Operation) { o.Fact = payment.EventReturned })
	late := with(failed, func(o *reconcile.Operation) { o.Fact, o.Moved = payment.EventExecutedLate, egp(400) })
	none := with(executed, func(o *reconcile.Operation) { o.Effect, o.Moved = payment.EffectNone, nil })
	border := with(executed, func(o *reconcile.Operation) { o.Changed = noon().Add(11*time.Hour + 30*time.Minute) })
	earlier := with(executed, func(o *reconcile.Operation) {
		o.RequestedAt, o.Started, o.Changed = noon().Add(-48*time.Hour), noon().Add(-48*time.Hour), noon().Add(-48*time.Hour)
	})
	ok, no, pending, back := row("succeeded", 400), row("failed", 400), row("pending", 400), row("returned", 400)
	other, third := ok, ok // of other transactions
	other.ProviderReference, third.ProviderReference = "theirs-2", "theirs-3"
	at := func(r reconcile.Row, hours int) reconcile.Row {
		r.ExecutedAt = noon().Add(time.Duration(hours) * time.Hour)
		return r
	}
	silent := func(r reconcile.Row) reconcile.Row {
		r.ProviderReference = ""
		return r
	}
	cancel := with(executed, func(o *reconcile.Operation) {
		o.Op, o.Effect, o.Moved, o.Amount = payment.Cancel, payment.EffectVoided, nil, nil
	})
	uncancelled := with(cancel, func(o *reconcile.Operation) { o.Last, o.Effect = payment.EventFailed, "" })
	void := reconcile.Row{Line: 2, Reference: "ours", ProviderReference: "theirs", Op: payment.Cancel, ExecutedAt: noon(), Status: "succeeded"}
	unvoid := void
	unvoid.Status = "failed"
	for name, c := range map[string]struct {
		ours reconcile.Operation
		rows []reconcile.Row
		want string
	}{
		"both say executed":                     {executed, []reconcile.Row{ok}, ""},
		"another amount":                        {executed, []reconcile.Row{row("succeeded", 401)}, "amount_differs"},
		"not in the statement":                  {executed, nil, "not_executed"},
		"failed there":                          {executed, []reconcile.Row{no}, "not_executed"},
		"pending there":                         {executed, []reconcile.Row{pending}, "not_executed"},
		"failed, then executed there":           {executed, []reconcile.Row{no, ok}, ""},
		"twice there":                           {executed, []reconcile.Row{ok, other}, "moved_twice"},
		"twice there under one reference":       {executed, []reconcile.Row{ok, at(ok, 1)}, "moved_twice"},
		"three times there":                     {executed, []reconcile.Row{ok, other, third}, "moved_twice moved_twice"},
		"a row again":                           {executed, []reconcile.Row{ok, ok}, "row_repeated"},
		"a row twice again":                     {executed, []reconcile.Row{ok, ok, ok}, "row_repeated row_repeated"},
		"a row again, and another amount":       {executed, []reconcile.Row{row("succeeded", 401), row("succeeded", 401)}, "row_repeated amount_differs"},
		"failed here, a row again there":        {failed, []reconcile.Row{ok, ok}, "row_repeated executed_anyway"},
		"failed here, a failed row again there": {failed, []reconcile.Row{no, no}, "row_repeated"},
		"executed, then failed there":           {executed, []reconcile.Row{ok, at(no, 2)}, "not_executed"},
		"executed, then failed, no number":      {executed, []reconcile.Row{ok, silent(at(no, 2))}, "not_executed"},
		"executed, then pending there":          {executed, []reconcile.Row{ok, at(pending, 2)}, "not_executed"},
		"executed, failed, executed there":      {executed, []reconcile.Row{ok, at(no, 1), at(ok, 2)}, ""},
		"executed, returned, executed there":    {executed, []reconcile.Row{ok, at(back, 1), at(ok, 2)}, ""},
		"twice there, then failed":              {executed, []reconcile.Row{ok, at(ok, 1), at(no, 2)}, "moved_twice not_executed"},
		"returned, then executed, at one time":  {executed, []reconcile.Row{back, ok}, "returned"},
		"twice there, one failed, which?":       {executed, []reconcile.Row{ok, at(other, 1), silent(at(no, 2))}, "moved_twice"},
		"a cancel that moved money, and a void": {with(cancel, func(o *reconcile.Operation) { o.Effect = payment.EffectRefunded }), []reconcile.Row{of(void, 400), at(void, 1)}, ""},
		"another attempt failed there":          {executed, []reconcile.Row{ok, at(stated(other, "failed"), 2)}, ""},
		"executed, another, the first failed":   {executed, []reconcile.Row{ok, at(no, 1), at(other, 2)}, ""},
		"failed here, executed, failed there":   {failed, []reconcile.Row{ok, at(no, 1)}, ""},
		"failed long after our books changed":   {border, []reconcile.Row{at(no, 20)}, "not_executed"},
		"near the border, then taken back":      {border, []reconcile.Row{at(ok, 11), at(no, 11)}, "not_executed"},
		"a cancel, and a statement of money":    {cancel, nil, ""},
		"a cancel on both sides":                {cancel, []reconcile.Row{void}, ""},
		"a cancel twice there":                  {cancel, []reconcile.Row{void, at(void, 1)}, ""},
		"a cancel, failed there":                {cancel, []reconcile.Row{unvoid}, "not_executed"},
		"a cancel that failed here, not there":  {uncancelled, []reconcile.Row{void, at(void, 1)}, "executed_anyway"},
		"a cancel that moved money, not there":  {with(cancel, func(o *reconcile.Operation) { o.Effect = payment.EffectRefunded }), nil, "not_executed"},
		"came back there":                       {executed, []reconcile.Row{ok, back}, "returned"},
		"only the return is there":              {executed, []reconcile.Row{back}, "returned"},
		"both say failed":                       {failed, []reconcile.Row{no}, ""},
		"failed and not there":                  {failed, nil, ""},
		"failed here, executed there":           {failed, []reconcile.Row{ok}, "executed_anyway"},
		"failed here, twice there":              {failed, []reconcile.Row{ok, other}, "moved_twice"},
		"failed here, executed and back there":  {failed, []reconcile.Row{ok, back}, ""},
		"rejected here, executed there":         {refund(payment.EventRejected), []reconcile.Row{ok}, "executed_anyway"},
		"nothing to do here, executed there":    {none, []reconcile.Row{ok}, "executed_anyway"},
		"nothing to do here, nothing there":     {none, nil, ""},
		"executed late, executed there":         {late, []reconcile.Row{ok}, ""},
		"executed late, not there":              {late, nil, "not_executed"},
		"returned here and there":               {returned, []reconcile.Row{ok, back}, ""},
		"returned here, unknown there":          {returned, []reconcile.Row{ok}, ""},
		"returned here, twice there":            {returned, []reconcile.Row{ok, other}, "moved_twice"},
		"open and executed there":               {open, []reconcile.Row{ok}, ""},
		"open, too old":                         {old, nil, "open_too_old"},
		"open, too old, and executed there":     {old, []reconcile.Row{ok}, "open_too_old"},
		"open, too old, and twice there":        {old, []reconcile.Row{ok, other}, "moved_twice open_too_old"},
		"near the border and not there":         {border, nil, ""},
		"near the border, with another amount":  {border, []reconcile.Row{row("succeeded", 1)}, "amount_differs"},
		"before the period and not there":       {earlier, nil, ""},
		"before the period, in this statement":  {earlier, []reconcile.Row{ok}, ""},
		"the amount of a full one is not known": {with(executed, func(o *reconcile.Operation) { o.Moved, o.Amount = nil, nil }), []reconcile.Row{ok}, ""},
	} {
		b := newBooks()
		if err := b.sink.Judge(c.ours, c.rows); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.found, " "); got != c.want {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
		if wantBorder := c.ours.Changed.Equal(border.Changed) && len(c.rows) == 0; (b.sink.Report.Border == 1) != wantBorder {
			t.Errorf("%s: border count %d", name, b.sink.Report.Border)
		}
	}
}

func TestASuccessfulCancelIsMissedOnlyWhereCancelsAreListed(t *testing.T) {
	t.Parallel()
	cancel := with(refund(payment.EventSucceeded), func(o *reconcile.Operation) {
		o.Op, o.Effect, o.Moved, o.Amount = payment.Cancel, payment.EffectVoided, nil, nil
	})
	for lists, want := range map[bool]string{false: "", true: "not_executed"} {
		b := newBooks()
		b.sink.ListsCancels = lists
		if err := b.sink.Judge(cancel, nil); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.found, " "); got != want || (b.sink.Report.Unlisted == 1) == lists {
			t.Errorf("lists cancels %t: found %q, want %q; %d unlisted", lists, got, want, b.sink.Report.Unlisted)
		}
	}
}

func TestARowThatIsThereAgainIsToldWithBothLines(t *testing.T) {
	t.Parallel()
	first, again := row("succeeded", 400), row("succeeded", 400)
	again.Line = 9
	b := newBooks()
	if err := b.sink.Judge(refund(payment.EventSucceeded), []reconcile.Row{first, again}); err != nil {
		t.Fatal(err)
	}
	if err := b.sink.Strays([]reconcile.Row{first, again}, ""); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range b.all {
		got = append(got, fmt.Sprintf("%s %d %d %s", d.Kind, d.FirstLine, d.Line, d.Note))
	}
	const repeated = "row_repeated 2 9 line 2 says the same in every column"
	want := []string{repeated, "unknown_money 0 2 ", repeated}
	if diff := cmp.Diff(want, got); diff != "" || b.sink.Report.Agreed != 1 {
		t.Errorf("%d agree (-want +got):\n%s", b.sink.Report.Agreed, diff)
	}
}

func TestARowAboutNothingOfOursIsUnknownMoneyIfItMovedInThePeriod(t *testing.T) {
	t.Parallel()
	outside, void := row("succeeded", 400), row("succeeded", 400)
	outside.ExecutedAt = noon().Add(72 * time.Hour)
	void.Op, void.Amount = payment.Cancel, nil
	paid := row("succeeded", 400)
	paid.Op = payment.Cancel
	later := func(r reconcile.Row) reconcile.Row {
		r.ExecutedAt = r.ExecutedAt.Add(time.Hour)
		return r
	}
	for name, c := range map[string]struct {
		rows             []reconcile.Row
		want             string
		outside, cancels int
	}{
		"succeeded":                     {[]reconcile.Row{row("succeeded", 400)}, "unknown_money", 0, 0},
		"returned":                      {[]reconcile.Row{row("returned", 400)}, "unknown_money", 0, 0},
		"failed":                        {[]reconcile.Row{row("failed", 400)}, "", 0, 0},
		"pending":                       {[]reconcile.Row{row("pending", 400)}, "", 0, 0},
		"outside":                       {[]reconcile.Row{outside}, "", 1, 0},
		"twice":                         {[]reconcile.Row{row("succeeded", 400), later(row("succeeded", 400))}, "unknown_money unknown_money", 0, 0},
		"again":                         {[]reconcile.Row{row("succeeded", 400), row("succeeded", 400)}, "unknown_money row_repeated", 0, 0},
		"succeeded, then failed":        {[]reconcile.Row{row("succeeded", 400), later(row("failed", 400))}, "", 0, 0},
		"another amount failed":         {[]reconcile.Row{unnamed(row("succeeded", 400)), later(unnamed(row("failed", 7)))}, "unknown_money", 0, 0},
		"a cancel is never money":       {[]reconcile.Row{void}, "", 0, 1},
		"a cancel that did move money":  {[]reconcile.Row{paid}, "unknown_money", 0, 0},
		"cancelled twice is no money":   {[]reconcile.Row{void, later(void)}, "", 0, 2},
		"a cancel again is no money":    {[]reconcile.Row{void, void}, "row_repeated", 0, 1},
		"failed, and a cancel succeeds": {[]reconcile.Row{row("failed", 400), later(void)}, "", 0, 1},
	} {
		b := newBooks()
		if err := b.sink.Strays(c.rows, ""); err != nil {
			t.Fatal(err)
		}
		r := b.sink.Report
		if got := strings.Join(b.found, " "); got != c.want || r.Outside != c.outside || r.Cancels != c.cancels {
			t.Errorf("%s: found %q, want %q; %d outside, %d cancels", name, got, c.want, r.Outside, r.Cancels)
		}
	}
}

func unnamed(r reconcile.Row) reconcile.Row {
	r.Reference = ""
	return r
}

func TestRowsAreMatchedOnceAndByAmountWhereAReferenceIsShared(t *testing.T) {
	t.Parallel()
	a := with(refund(payment.EventSucceeded), func(o *reconcile.Operation) { o.Key, o.Moved = "a", egp(100) })
	b := with(refund(payment.EventSucceeded), func(o *reconcile.Operation) { o.Key, o.Moved = "b", egp(200) })
	failed := with(refund(payment.EventFailed), func(o *reconcile.Operation) { o.Key, o.Amount = "f", egp(200) })
	voided := with(refund(payment.EventSucceeded), func(o *reconcile.Operation) {
		o.Op, o.Key, o.Moved, o.Amount, o.Effect = payment.Cancel, "c", nil, nil, payment.EffectVoided
	})
	r := func(amount int64) reconcile.Row { return row("succeeded", amount) }
	for name, c := range map[string]struct {
		ops  []reconcile.Operation
		rows []reconcile.Row
		sure bool
		want string // each operation's amounts, then the strays'
	}{
		"by amount, whatever the order":        {[]reconcile.Operation{a, b}, []reconcile.Row{r(200), r(100)}, false, "[100] [200] []"},
		"an unequal amount takes what is left": {[]reconcile.Operation{a, b}, []reconcile.Row{r(150), r(200)}, false, "[150] [200] []"},
		"one too many is a stray":              {[]reconcile.Operation{a}, []reconcile.Row{r(100), r(7)}, false, "[100] [7]"},
		"the very same again is the same":      {[]reconcile.Operation{a}, []reconcile.Row{r(100), r(100)}, false, "[100 100] []"},
		"the same again of another amount":     {[]reconcile.Operation{a}, []reconcile.Row{r(101), r(101)}, false, "[101 101] []"},
		"the same again is another's, if free": {[]reconcile.Operation{a, with(a, func(o *reconcile.Operation) { o.Key = "a2" })}, []reconcile.Row{r(100), r(100)}, false, "[100] [100] []"},
		"our own reference is sure":            {[]reconcile.Operation{a}, []reconcile.Row{r(100), r(7)}, true, "[100 7] []"},
		"the booked one before the failed":     {[]reconcile.Operation{failed, b}, []reconcile.Row{r(200)}, false, "[] [200] []"},
		"a cancel that became a refund":        {[]reconcile.Operation{voided}, []reconcile.Row{r(5)}, false, "[5] []"},
		"nobody's":                             {nil, []reconcile.Row{r(5)}, true, "[5]"},
	} {
		var claims []reconcile.Claim
		for _, o := range c.ops {
			claims = append(claims, reconcile.Claim{Operation: o})
		}
		strays := reconcile.Match(claims, c.rows, c.sure, payment.ReferenceOfMovement)
		var got []string
		for _, claim := range claims {
			got = append(got, amounts(claim.Rows))
		}
		got = append(got, amounts(strays))
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func amounts(rows []reconcile.Row) string {
	all := []int64{}
	for _, r := range rows {
		all = append(all, r.Amount.Value)
	}
	return fmt.Sprint(all)
}

func TestAnOperationIsFoldedFromItsEventsInAnyOrder(t *testing.T) {
	t.Parallel()
	step := func(version uint64, key payment.Key, typ payment.EventType, change func(*reconcile.Operation)) reconcile.Step {
		s := reconcile.Step{Type: typ, At: noon().Add(time.Duration(version) * time.Minute), Operation: reconcile.Operation{
			Payment: payment.ID{Provider: "p", Native: "1"}, Op: payment.Refund, Key: key, Version: version, Amount: egp(400),
		}}
		change(&s.Operation)
		return s
	}
	frozen := &payment.Reading{OK: true, Status: payment.PaymentPaid}
	steps := []reconcile.Step{
		step(4, "a", payment.EventReturned, func(o *reconcile.Operation) {}),
		step(3, "a", payment.EventSucceeded, func(o *reconcile.Operation) {
			o.Moved, o.Effect, o.ProviderReference = egp(400), payment.EffectRefunded, "theirs"
		}),
		step(2, "b", payment.EventRejected, func(o *reconcile.Operation) { o.Code = payment.CodeExpired }),
		step(2, "a", payment.EventStarted, func(o *reconcile.Operation) { o.Attempt, o.Snapshot = 2, frozen }),
		step(1, "a", payment.EventStarted, func(o *reconcile.Operation) {
			o.Reference, o.Attempt, o.Snapshot = "ours", 1, &payment.Reading{OK: true, Status: payment.PaymentPending}
		}),
	}
	got := reconcile.Fold(steps)
	want := []reconcile.Operation{
		{
			Payment: payment.ID{Provider: "p", Native: "1"}, Op: payment.Refund, Key: "a", Amount: egp(400), Moved: egp(400),
			Last: payment.EventSucceeded, Fact: payment.EventReturned, Effect: payment.EffectRefunded, Reference: "ours", ProviderReference: "theirs",
			Attempt: 2, Snapshot: frozen, Started: noon().Add(time.Minute), Changed: noon().Add(4 * time.Minute), Version: 4,
		},
		{
			Payment: payment.ID{Provider: "p", Native: "1"}, Op: payment.Refund, Key: "b", Amount: egp(400),
			Last: payment.EventRejected, Code: payment.CodeExpired, Changed: noon().Add(2 * time.Minute), Version: 2,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
