package events_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// The filters are what streams, consumers and permissions were made with: a
// running installation must agree with them.
func TestFiltersAreWhatStreamsAndConsumersWereMadeWith(t *testing.T) {
	t.Parallel()
	timers, err := events.TimersOf(payment.ID{Provider: "opay-eg", Native: "1.1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct{ got, want []string }{
		"commands": {events.CommandSubjects(), []string{
			"payment.cancel.requested", "payment.cancel.requested.*", "payment.refund.requested", "payment.refund.requested.*",
		}},
		"journal": {events.JournalSubjects(), []string{
			"payment.cancel.*.*.*.*", "payment.refund.*.*.*.*", "payment.operator.*.*",
		}},
		"what an order service reads": {events.OrderServiceFilters("opay-eg"), []string{"payment.*.*.opay-eg.*.*", "payment.command.rejected.*"}},
		"what a ledger reads":         {events.LedgerFilters(), []string{"payment.*.succeeded.>", "payment.*.returned.>", "payment.*.executed_late.>"}},
		"payments of a provider":      {events.PaymentFilters("opay-eg"), []string{"payment.cancel.*.opay-eg.*.*", "payment.refund.*.opay-eg.*.*"}},
		"late":                        {events.LateFilters(), []string{"payment.refund.succeeded.>", "payment.refund.failed.>", "payment.cancel.failed.>"}},
		"timers":                      {[]string{events.ScheduleFilter, events.DueFilter, timers}, []string{"payment.schedule.>", "payment.due.>", "payment.schedule.*.opay-eg.1=2E1.*"}},
		"every payment":               {[]string{events.EveryPayment}, []string{"payment.*.*.*.*.*"}},
		"kept":                        {[]string{events.QuarantineFilter, events.RejectedFilter}, []string{"payment.quarantine.*", "payment.command.rejected.*"}},
		"audit":                       {[]string{events.OperatorFilter("pause")}, []string{"payment.operator.pause.*"}},
		"probe":                       {[]string{events.ProbeSubject(payment.Refund, payment.EventStarted, "opay-eg", "nobody")}, []string{"payment.refund.started.opay-eg.nobody.0"}},
	} {
		if diff := cmp.Diff(row.want, row.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if f, err := events.TimersOf(payment.ID{Provider: "*", Native: "1"}); err == nil {
		t.Errorf("the timers of a provider without a name are %q", f)
	}
}

func TestSubjectsAreToldApart(t *testing.T) {
	t.Parallel()
	type kind struct {
		Schedule, Due, Audit, Rejected bool
		Provider, Undelayed            string
	}
	for subject, want := range map[string]kind{
		"payment.schedule.refund.opay-eg.1.ab":      {Schedule: true, Undelayed: "payment.schedule.refund.opay-eg.1.ab"},
		"payment.due.refund":                        {Due: true, Undelayed: "payment.refund.requested"},
		"payment.due.cancel":                        {Due: true, Undelayed: "payment.cancel.requested"},
		"payment.operator.pause.01J8":               {Audit: true, Undelayed: "payment.operator.pause.01J8"},
		"payment.command.rejected.17-0123456789ab":  {Rejected: true, Undelayed: "payment.command.rejected.17-0123456789ab"},
		"payment.refund.requested":                  {Undelayed: "payment.refund.requested"},
		"payment.refund.requested.opay-eg":          {Provider: "opay-eg", Undelayed: "payment.refund.requested.opay-eg"},
		"payment.cancel.requested.opay-eg":          {Provider: "opay-eg", Undelayed: "payment.cancel.requested.opay-eg"},
		"payment.refund.requested.opay-eg.more":     {Undelayed: "payment.refund.requested.opay-eg.more"},
		"payment.unheard-of.requested.opay-eg":      {Undelayed: "payment.unheard-of.requested.opay-eg"},
		"payment.refund.succeeded.opay-eg.1001.2":   {Undelayed: "payment.refund.succeeded.opay-eg.1001.2"},
		"another.payment.refund.requested.opay-eg.": {Undelayed: "another.payment.refund.requested.opay-eg."},
	} {
		_, rejected := events.RejectedToken(subject)
		got := kind{
			events.IsSchedule(subject), events.IsDue(subject), events.IsAudit(subject), rejected,
			events.CommandProvider(subject), events.Undelayed(subject),
		}
		if got != want {
			t.Errorf("%s is %+v, want %+v", subject, got, want)
		}
	}
}

func TestACommandOfAnUnknownTypeIsJudgedAsARefund(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]string{
		"payment.cancel.requested":         "payment.cancel.requested",
		"payment.refund.requested":         "payment.refund.requested",
		"payment.refund.requested.opay-eg": "payment.refund.requested",
		"payment.unheard-of.requested":     "payment.refund.requested",
		"":                                 "payment.refund.requested",
	} {
		if got := events.SubjectOfType(typ); got != want {
			t.Errorf("%q goes to %s, want %s", typ, got, want)
		}
	}
}

func TestAFilterCoversRejectionsWhereItReachesTheirSubjects(t *testing.T) {
	t.Parallel()
	for filter, covers := range map[string]bool{
		"payment.command.rejected.*": true, "payment.command.rejected.7-0123456789ab": true, "payment.command.>": true,
		"payment.>": true, "payment.*.rejected.*": true, "payment.*.*.*": true, ">": true, "payment.command.rejected.>": true,
		"payment.*.rejected.>": true, "payment.command.*.*": true,
		"payment.command.rejected": false, "payment.command.rejected.*.*": false, "payment.*.*.opay-eg.*.*": false,
		"payment.operator.*.*": false, "payment.command.rejected.*.>": false, "payment.*.succeeded.>": false, "": false,
	} {
		if got := events.CoversRejections(filter); got != covers {
			t.Errorf("%s: %t", filter, got)
		}
	}
}
