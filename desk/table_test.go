package desk_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// The logins of two persons, one of each kind.
const (
	annaKey = "nats:PEOPLE/UCWZOECGA5E7KOWKDYPAQZJ6KXYDSFZWHXUAOBO6DMAIVL3GODFDZ4TO"
	benKey  = "nats:PEOPLE/UCCISERWGEM7XS6CY5NJVB7NZU3CVS5FJSENBUTK7QP6H65T2B3GLYTM"
)

func natsLogin(name, login string) desk.Operator {
	return desk.Operator{Name: name, Identity: desk.IdentityNATS, Login: login}
}

func byToken(name string) desk.Operator {
	return desk.Operator{Name: name, Identity: desk.IdentityToken}
}

func byProxy(name string) desk.Operator {
	return desk.Operator{Name: name, Identity: desk.IdentityProxy}
}

// twoPeople are anna and ben with a login of each kind.
func twoPeople(t *testing.T) *desk.People {
	t.Helper()
	p, err := desk.NewPeople([]desk.Person{
		{Name: "anna", Logins: []string{annaKey, "token:anna", "proxy:anna@shop.example"}},
		{Name: "ben", Logins: []string{benKey, "token:ben", "proxy:ben@shop.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// logins are a person's, one of each kind, in one order.
func logins(name string) []desk.Operator {
	key := map[string]string{"anna": annaKey, "ben": benKey}[name]
	return []desk.Operator{natsLogin(name, key), byToken(name), byProxy(name + "@shop.example")}
}

// above is the only limit of these tests: 5.00 EUR.
func above() []payment.Money { return []payment.Money{{Value: 500, Currency: "EUR"}} }

// with is a desk on a payment, with people and the limit.
func (b *bundle) with(people *desk.People, limits []payment.Money) *bundle {
	b.t.Helper()
	b.options(func(o *desk.Options) { o.People, o.SecondPersonAbove = people, limits })
	return b
}

// TestTheTableOfWhoMayRuleAloneAndWhoNeedsWhom is the ruling table: for every amount that
// counts, below, at and above the limit, and every pair of logins.
func TestTheTableOfWhoMayRuleAloneAndWhoNeedsWhom(t *testing.T) {
	t.Parallel()
	type decision struct {
		risk, moved *payment.Money // what is at risk; what is said to have moved
		as          desk.As
		captured    *payment.Money
		two         bool
	}
	rows := map[string]decision{
		"at risk below":                        {risk: eur(499), as: desk.AsFailed},
		"at risk at the limit":                 {risk: eur(500), as: desk.AsFailed},
		"at risk above":                        {risk: eur(501), as: desk.AsFailed, two: true},
		"at risk below, moved below":           {risk: eur(400), moved: eur(499), as: desk.AsSucceeded},
		"at risk below, moved at the limit":    {risk: eur(400), moved: eur(500), as: desk.AsSucceeded},
		"at risk below, moved above":           {risk: eur(400), moved: eur(501), as: desk.AsSucceeded, two: true},
		"at risk below, moved as if by a slip": {risk: eur(400), moved: eur(payment.MaxAmount), as: desk.AsSucceeded, two: true},
		"at risk above, moved below":           {risk: eur(501), moved: eur(1), as: desk.AsSucceeded, two: true},
		"retried below":                        {risk: eur(500), as: desk.AsRetry},
		"retried above":                        {risk: eur(501), as: desk.AsRetry, two: true},
		"nobody has named it":                  {as: desk.AsFailed, two: true},
		"nobody has named it, moved below":     {moved: eur(1), as: desk.AsSucceeded, two: true},
		"a full one, captured below":           {captured: eur(500), as: desk.AsFailed},
		"a full one, captured above":           {captured: eur(501), as: desk.AsFailed, two: true},
		"another currency":                     {risk: &payment.Money{Value: 1, Currency: "USD"}, as: desk.AsFailed, two: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fresh := func() (*bundle, desk.Ruling) {
				b := setup(t, payment.RepeatUnsafe, nil, nil, refundOf(400, func(s *payment.State) {
					op := &s.Operations[0]
					op.Amount, op.Full, s.Captured = row.risk, row.risk == nil, row.captured
					op.Open.Payment.Currency = "EUR"
				})).with(twoPeople(t), above())
				_, r := b.view(row.as)
				r.Moved, r.ConfirmAmount = row.moved, row.moved
				if row.as == desk.AsRetry {
					r.ConfirmAmount = row.risk
				}
				return b, r
			}
			for i, first := range logins("anna") {
				b, r := fresh()
				done, err := b.desk.Resolve(t.Context(), first, r)
				if err != nil || done.Applied == row.two || done.AwaitsSecond != row.two {
					t.Fatalf("anna by %s alone: %+v, %v, want two: %t", first.Identity, done, err, row.two)
				}
				if !row.two {
					continue
				}
				for _, again := range logins("anna") {
					if done, err := b.desk.Resolve(t.Context(), again, r); faultOf(err) != desk.FaultForbidden || done.Applied {
						t.Errorf("anna by %s, and again by %s: %+v, %v", first.Identity, again.Identity, done, err)
					}
				}
				for _, stranger := range []desk.Operator{
					natsLogin("ben", ""), natsLogin("ben", annaKey), natsLogin("anna", benKey), byToken("ann"), byProxy("ben"),
					{Name: "ben", Identity: desk.IdentityAsserted},
				} {
					if done, err := b.desk.Resolve(t.Context(), stranger, r); faultOf(err) != desk.FaultForbidden || done.Applied {
						t.Errorf("a login that is not ben's (%+v): %+v, %v", stranger, done, err)
					}
				}
				for j, second := range logins("ben") {
					b, r := b, r
					if j > 0 {
						b, r = fresh()
						if done, err := b.desk.Resolve(t.Context(), logins("anna")[i], r); err != nil || !done.AwaitsSecond {
							t.Fatalf("anna by %s: %+v, %v", first.Identity, done, err)
						}
					}
					if done, err := b.desk.Resolve(t.Context(), second, r); err != nil || !done.Applied {
						t.Errorf("anna by %s, then ben by %s: %+v, %v", first.Identity, second.Identity, done, err)
						continue
					}
					if got := b.service.rulings[0].Resolution.Resolved.Operator; got != "anna and ben" {
						t.Errorf("ruled by %q", got)
					}
				}
			}
		})
	}
}

// Where nobody is named, two names are two persons only if both are known in the same way.
func TestTheTableOfTwoNamesWhereNobodyIsNamed(t *testing.T) {
	t.Parallel()
	operators := map[string][2]desk.Operator{ // anna's and ben's of each kind
		"nats":     {natsLogin("anna", ""), natsLogin("ben", "")},
		"shared":   {natsLogin("anna", annaKey), natsLogin("ben", benKey)},
		"token":    {byToken("anna"), byToken("ben")},
		"proxy":    {byProxy("anna"), byProxy("ben")},
		"asserted": {{Name: "anna", Identity: desk.IdentityAsserted}, {Name: "ben", Identity: desk.IdentityAsserted}},
	}
	for one, first := range operators {
		for other, second := range operators {
			b := setup(t, payment.RepeatUnsafe, above(), nil, refundOf(501, nil))
			_, r := b.view(desk.AsFailed)
			if done, err := b.desk.Resolve(t.Context(), first[0], r); err != nil || !done.AwaitsSecond {
				t.Fatalf("%s: %+v, %v", one, done, err)
			}
			if done, err := b.desk.Resolve(t.Context(), second[0], r); faultOf(err) != desk.FaultForbidden || done.Applied {
				t.Errorf("anna by %s, and again by %s: %+v, %v", one, other, done, err)
			}
			same := second[1]
			same.Name = "ANNA"
			if same.Login != "" {
				same.Login = annaKey
			}
			if done, err := b.desk.Resolve(t.Context(), same, r); faultOf(err) != desk.FaultForbidden || done.Applied {
				t.Errorf("anna by %s, and ANNA by %s: %+v, %v", one, other, done, err)
			}
			done, err := b.desk.Resolve(t.Context(), second[1], r)
			if (one == other) != (err == nil && done.Applied) || one != other && faultOf(err) != desk.FaultForbidden {
				t.Errorf("anna by %s, then ben by %s: %+v, %v", one, other, done, err)
			}
		}
	}
	b := setup(t, payment.RepeatUnsafe, above(), nil, refundOf(501, nil))
	_, r := b.view(desk.AsFailed)
	if done, err := b.desk.Resolve(t.Context(), natsLogin("anna", annaKey), r); err != nil || !done.AwaitsSecond {
		t.Fatalf("%+v, %v", done, err)
	}
	if done, err := b.desk.Resolve(t.Context(), natsLogin("ben", annaKey), r); faultOf(err) != desk.FaultForbidden {
		t.Errorf("one login under two names: %+v, %v", done, err)
	}
}

func TestAProposalCountsOnlyAsItWasMadeAndForADay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil  func(*payment.OperatorAction)
		counts bool
	}{
		"as it was made":               {func(*payment.OperatorAction) {}, true},
		"a moment before it lapses":    {func(a *payment.OperatorAction) { a.At = now.Add(time.Nanosecond - 24*time.Hour) }, true},
		"a day old":                    {func(a *payment.OperatorAction) { a.At = now.Add(-24 * time.Hour) }, false},
		"made tomorrow":                {func(a *payment.OperatorAction) { a.At = now.Add(time.Hour) }, false},
		"of other content":             {func(a *payment.OperatorAction) { a.Content = "other" }, false},
		"of no content, as before":     {func(a *payment.OperatorAction) { a.Content = "" }, false},
		"of another version":           {func(a *payment.OperatorAction) { a.Version = 2 }, false},
		"of another payment":           {func(a *payment.OperatorAction) { a.ID.Native = "other" }, false},
		"of another key":               {func(a *payment.OperatorAction) { a.Key = "other" }, false},
		"with another ruling":          {func(a *payment.OperatorAction) { a.Ruling = "retry" }, false},
		"which came to nothing":        {func(a *payment.OperatorAction) { a.Outcome = "refused" }, false},
		"in a name without a login":    {func(a *payment.OperatorAction) { a.Login = "" }, false},
		"in a name with one's own":     {func(a *payment.OperatorAction) { a.Login = benKey }, false},
		"in a name with another login": {func(a *payment.OperatorAction) { a.Login = "token:carl" }, false},
		"in one's own name":            {func(a *payment.OperatorAction) { a.Operator = "ben" }, false},
	} {
		b := setup(t, payment.RepeatUnsafe, nil, nil, refundOf(501, nil)).with(twoPeople(t), above())
		_, r := b.view(desk.AsFailed)
		forged := payment.OperatorAction{
			ULID: "01J8Z3N9Q8K6M2V4T7R5W1ZZZZ", Action: "propose", Operator: "anna", Identity: "nats", Login: annaKey, Reason: "r", Evidence: "e",
			ID: id, Op: payment.Refund, Key: r.Key, Version: 1, Ruling: "failed", Content: b.content(), At: now,
		}
		c.spoil(&forged)
		if err := b.journal.AppendOperator(t.Context(), forged); err != nil {
			t.Fatal(err)
		}
		done, err := b.desk.Resolve(t.Context(), logins("ben")[0], r)
		if err != nil && name != "in one's own name" || done.Applied != c.counts {
			t.Errorf("%s: %+v, %v, want it to count: %t", name, done, err, c.counts)
		}
	}
}

// Who finds out that the money has moved after all rules something else, and does not
// stand by what was proposed before.
func TestAPersonsNewestProposalReplacesTheEarlierOnes(t *testing.T) {
	t.Parallel()
	b := setup(t, payment.RepeatUnsafe, nil, nil, refundOf(501, nil)).with(twoPeople(t), above())
	anna, ben := logins("anna"), logins("ben")
	rule := func(who desk.Operator, as desk.As) desk.Done {
		t.Helper()
		_, r := b.view(as)
		if r.ConfirmAmount = r.Moved; as == desk.AsRetry {
			r.ConfirmAmount = &payment.Money{Value: 501, Currency: "EUR"}
		}
		done, err := b.desk.Resolve(t.Context(), who, r)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	rule(anna[0], desk.AsRetry)
	rule(anna[1], desk.AsSucceeded) // the same person by another login
	if s, _ := b.view(desk.AsRetry); len(s.Operations[0].Proposals) != 1 || s.Operations[0].Proposals[0].As != desk.AsSucceeded {
		t.Errorf("shown: %+v", s.Operations[0].Proposals)
	}
	if done := rule(ben[0], desk.AsRetry); done.Applied || !done.AwaitsSecond {
		t.Fatalf("a ruling that its first person has changed counts: %+v", done)
	}
	rule(anna[0], desk.AsFailed)
	if done := rule(ben[0], desk.AsSucceeded); done.Applied || !done.AwaitsSecond {
		t.Fatalf("one that was replaced counts: %+v", done)
	}
	if done := rule(anna[0], desk.AsSucceeded); !done.Applied { // ben's newest word
		t.Errorf("the newest word of both is the same, and does not count: %+v", done)
	}
}

func TestTheSumOfADaysRulingsFromFilesCounts(t *testing.T) {
	t.Parallel()
	named := func(i int) payment.ID { return payment.ID{Provider: id.Provider, Native: fmt.Sprint("bulk-", i)} }
	var states []payment.Event
	for i := range 6 {
		states = append(states, inReview(named(i), 200, now.Add(-time.Hour)))
	}
	b := setup(t, payment.RepeatUnsafe, nil, nil, states...).with(twoPeople(t), above())
	anna, ben := logins("anna"), logins("ben")
	rule := func(who desk.Operator, i int, change func(*desk.Ruling)) (desk.Done, error) {
		s, err := b.desk.Payment(t.Context(), named(i))
		if err != nil {
			t.Fatal(err)
		}
		r := desk.Ruling{
			Provider: s.Provider, Payment: s.Payment, Operation: payment.Refund, Key: s.Operations[0].Key, Version: s.Version, Seen: s.Seen,
			As: desk.AsFailed, Reason: "r", Evidence: fmt.Sprint("e", i), Bulk: true,
		}
		if change != nil {
			change(&r)
		}
		return b.desk.Resolve(t.Context(), who, r)
	}
	dry := func(before ...payment.Money) func(*desk.Ruling) {
		return func(r *desk.Ruling) { r.DryRun, r.Before = true, before }
	}
	for name, c := range map[string]struct {
		before []payment.Money
		waits  bool
	}{
		"the first of a file":            {nil, false},
		"at the limit with those before": {[]payment.Money{{Value: 300, Currency: "EUR"}}, false},
		"above it with those before":     {[]payment.Money{{Value: 301, Currency: "EUR"}}, true},
		"those before in other money":    {[]payment.Money{{Value: 301, Currency: "USD"}}, false},
		"those before overflow":          {[]payment.Money{{Value: 1<<63 - 1, Currency: "EUR"}}, true},
	} {
		if done, err := rule(anna[0], 0, dry(c.before...)); err != nil || done.AwaitsSecond != c.waits {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
	}
	b.service.err = &handlers.RefusedError{Code: payment.CodeAlreadyRefunded}
	if _, err := rule(anna[0], 0, nil); faultOf(err) != desk.FaultRefused {
		t.Fatalf("refused, so that it does not count: %v", err)
	}
	b.service.err = nil
	for i, who := range []desk.Operator{anna[0], anna[1]} { // 2.00, 4.00, whatever she is known by
		if done, err := rule(who, i, nil); err != nil || !done.Applied {
			t.Fatalf("ruling %d: %+v, %v", i, done, err)
		}
	}
	if done, err := rule(anna[2], 2, nil); err != nil || !done.AwaitsSecond {
		t.Errorf("the third, 6.00 in all: %+v, %v", done, err)
	}
	if done, err := rule(anna[0], 3, func(r *desk.Ruling) { r.Bulk = false }); err != nil || !done.Applied {
		t.Errorf("one by hand counts for itself: %+v, %v", done, err)
	}
	if done, err := rule(ben[0], 2, nil); err != nil || !done.Applied {
		t.Errorf("the third by another person: %+v, %v", done, err)
	}
	// What two have ruled counts for nobody: ben's own were 2.00, and 2.00 more are 4.00.
	b.options(func(o *desk.Options) { o.SecondPersonAbove = []payment.Money{{Value: 100, Currency: "EUR"}} })
	if done, err := rule(anna[0], 5, nil); err != nil || !done.AwaitsSecond {
		t.Fatalf("above a lower limit: %+v, %v", done, err)
	}
	if done, err := rule(ben[0], 5, nil); err != nil || !done.Applied {
		t.Fatalf("above a lower limit, confirmed: %+v, %v", done, err)
	}
	b.options(func(o *desk.Options) { o.SecondPersonAbove = above() })
	if done, err := rule(ben[0], 4, dry()); err != nil || done.AwaitsSecond {
		t.Errorf("ben's second alone: %+v, %v", done, err)
	}
	b.pass(12 * time.Hour) // to the next day, UTC
	if done, err := rule(anna[0], 4, nil); err != nil || !done.Applied {
		t.Errorf("the next day: %+v, %v", done, err)
	}
	b.pass(72 * time.Hour)
	if done, err := rule(anna[0], 5, nil); err != nil || !done.Applied {
		t.Errorf("days later: %+v, %v", done, err)
	}
}

// The old version of a proposal is of the name alone, and carries no content.
func TestWhoIsWhoIsRefusedInWordsThatHelp(t *testing.T) {
	t.Parallel()
	b := setup(t, payment.RepeatUnsafe, nil, nil, refundOf(400, nil)).with(twoPeople(t), nil)
	_, r := b.view(desk.AsFailed)
	for want, who := range map[string]desk.Operator{
		"the login token:eve is nobody's in the setting people": byToken("eve"),
		"this login is ben's, who cannot act as anna":           natsLogin("anna", benKey),
		"nothing says which login this is":                      natsLogin("anna", ""),
	} {
		_, err := b.desk.Resolve(t.Context(), who, r)
		if faultOf(err) != desk.FaultForbidden || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v is told %v, want %q", who, err, want)
		}
		if _, err := b.desk.Ask(t.Context(), who, id, payment.Refund, r.Key); faultOf(err) != desk.FaultForbidden {
			t.Errorf("%+v asks: %v", who, err)
		}
		if _, err := b.desk.Requery(t.Context(), who, requeryOf(r.Key)); faultOf(err) != desk.FaultForbidden {
			t.Errorf("%+v requeries: %v", who, err)
		}
		if _, err := b.desk.Audit(t.Context(), who, payment.OperatorAction{Action: "reveal", Token: "7-0", Reason: "why"}); faultOf(err) != desk.FaultForbidden {
			t.Errorf("%+v reveals: %v", who, err)
		}
	}
	if len(b.outcomes()) != 0 || len(b.service.rulings) != 0 {
		t.Errorf("recorded %v, ruled %v", b.outcomes(), b.service.rulings)
	}
	if done, err := b.desk.Resolve(t.Context(), byProxy("anna@shop.example"), r); err != nil || !done.Applied {
		t.Fatalf("%+v, %v", done, err)
	}
	actions, err := b.journal.Actions()
	if err != nil || actions[0].Operator != "anna" || actions[0].Identity != "proxy" || actions[0].Login != "proxy:anna@shop.example" {
		t.Errorf("recorded %+v, %v", actions, err)
	}
}

func TestPeopleWhoCannotBeToldApartAreNotTaken(t *testing.T) {
	t.Parallel()
	for _, list := range [][]desk.Person{
		{{Name: "anna", Logins: []string{"token:a"}}, {Name: "Anna", Logins: []string{"token:b"}}},
		{{Name: "anna", Logins: []string{"token:a"}}, {Name: "ben", Logins: []string{"token:a"}}},
		{{Name: "anna", Logins: []string{"token:a"}}, {Name: "ben", Logins: []string{"token:A"}}},
	} {
		if _, err := desk.NewPeople(list); err == nil {
			t.Errorf("%+v is taken", list)
		}
	}
}
