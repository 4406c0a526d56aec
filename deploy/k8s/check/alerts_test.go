package check_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/deploy/k8s/check"
)

// alertCase is what an alert says, or keeps silent about, after some minutes.
type alertCase struct {
	alert  string
	when   string
	series []string
	after  time.Duration
	fires  []string // labels; none: silent
}

func alertCases() []alertCase {
	const m, h = time.Minute, time.Hour
	review := func(v string) []string {
		return []string{`countermand_review_required{provider="opay-eg",pod="a"} ` + v, `countermand_review_required{provider="opay-eg",pod="b"} ` + v}
	}
	opay := []string{`{provider="opay-eg"}`}
	return []alertCase{
		{"CountermandReviewRequired", "one operation waits, both replicas say so", review("0x5 1x10"), 8 * m, opay},
		{"CountermandReviewRequired", "none", review("0x20"), 15 * m, nil},
		{"CountermandReviewRequired", "it was settled", review("1x5 0x10"), 12 * m, nil},

		{"CountermandContradiction", "a refund came back", []string{`countermand_contradictions_total{provider="opay-eg",type="returned"} 0x5 1x30`}, 10 * m, []string{`{provider="opay-eg", type="returned"}`}},
		{"CountermandContradiction", "it is long ago", []string{`countermand_contradictions_total{provider="opay-eg",type="returned"} 0x5 1x200`}, 3 * h, nil},

		{"CountermandOldestOpenOperationTooOld", "a call without outcome for 20 minutes", []string{`countermand_oldest_open_operation_seconds{provider="opay-eg",state="started"} 0+60x40`}, 21 * m, []string{`{provider="opay-eg", state="started"}`}},
		{"CountermandOldestOpenOperationTooOld", "not known for five hours", []string{`countermand_oldest_open_operation_seconds{provider="opay-eg",state="indeterminate"} 18000x20`}, 15 * m, []string{`{provider="opay-eg", state="indeterminate"}`}},
		{"CountermandOldestOpenOperationTooOld", "pending for two days", []string{`countermand_oldest_open_operation_seconds{provider="opay-eg",state="pending"} 172800x20`}, 15 * m, []string{`{provider="opay-eg", state="pending"}`}},
		{"CountermandOldestOpenOperationTooOld", "pending for five hours", []string{`countermand_oldest_open_operation_seconds{provider="opay-eg",state="pending"} 18000x20`}, 15 * m, nil},
		{"CountermandOldestOpenOperationTooOld", "a call of ten seconds", []string{`countermand_oldest_open_operation_seconds{provider="opay-eg",state="started"} 10x20`}, 15 * m, nil},

		{"CountermandOpenWorkUnseen", "no replica can count", []string{`countermand_open_operations_complete{pod="a"} 0x40`, `countermand_open_operations_complete{pod="b"} 0x40`}, 20 * m, []string{`{}`}},
		{"CountermandOpenWorkUnseen", "one can", []string{`countermand_open_operations_complete{pod="a"} 0x40`, `countermand_open_operations_complete{pod="b"} 1x40`}, 20 * m, nil},

		{"CountermandProviderUnhealthy", "credentials refused", []string{`countermand_provider_unhealthy{provider="opay-eg"} 0x2 1x20`}, 12 * m, opay},
		{"CountermandProviderUnhealthy", "for a moment", []string{`countermand_provider_unhealthy{provider="opay-eg"} 0x2 1x3 0x20`}, 12 * m, nil},

		{"CountermandBreakerOpen", "open, probing now and then", []string{`countermand_breaker_state{provider="opay-eg"} 2 2 1 2 2 1 2 2 1 2 2 1 2 2 1 2 2 1`}, 16 * m, opay},
		{"CountermandBreakerOpen", "closed again", []string{`countermand_breaker_state{provider="opay-eg"} 2 2 2 0x20`}, 16 * m, nil},

		{"CountermandConsumerLag", "many wait", []string{`countermand_consumer_pending{consumer="commands"} 5000x20`}, 15 * m, []string{`{consumer="commands"}`}},
		{"CountermandConsumerLag", "a burst that is worked off", []string{`countermand_consumer_pending{consumer="commands"} 5000 4000 3000 2000 500 0x20`}, 15 * m, nil},
		{"CountermandConsumerLag", "a few that nobody takes", []string{`countermand_consumer_pending{consumer="commands"} 0 3x500`}, 8 * h, []string{`{consumer="commands"}`}},
		{"CountermandConsumerLag", "a few now and then", []string{`countermand_consumer_pending{consumer="commands"} 3x100 0 3x100 0 3x100 0 3x100 0 3x100`}, 8 * h, nil},

		{"CountermandTimersLate", "two minutes late", []string{`countermand_timer_lag_seconds_bucket{le="60"} 0x40`, `countermand_timer_lag_seconds_bucket{le="300"} 0+10x40`, `countermand_timer_lag_seconds_bucket{le="+Inf"} 0+10x40`}, 30 * m, []string{`{}`}},
		{"CountermandTimersLate", "on time", []string{`countermand_timer_lag_seconds_bucket{le="1"} 0+10x40`, `countermand_timer_lag_seconds_bucket{le="60"} 0+10x40`, `countermand_timer_lag_seconds_bucket{le="+Inf"} 0+10x40`}, 30 * m, nil},
		{"CountermandTimersLate", "there are none", []string{`countermand_timer_lag_seconds_bucket{le="1"} 0x40`, `countermand_timer_lag_seconds_bucket{le="+Inf"} 0x40`}, 30 * m, nil},

		{"CountermandStreamFilling", "11 GiB in two streams", []string{`countermand_stream_bytes{stream="PAYMENT_EVENTS",pod="a"} 10737418240x20`, `countermand_stream_bytes{stream="PAYMENT_DUE",pod="a"} 1073741824x20`}, 10 * m, []string{`{}`}},
		{"CountermandStreamFilling", "6 GiB, said by two replicas", []string{`countermand_stream_bytes{stream="PAYMENT_EVENTS",pod="a"} 6442450944x20`, `countermand_stream_bytes{stream="PAYMENT_EVENTS",pod="b"} 6442450944x20`}, 10 * m, nil},

		{"CountermandCommandsFilling", "600 MiB of commands", []string{`countermand_stream_bytes{stream="PAYMENT_COMMANDS",pod="a"} 629145600x20`, `countermand_stream_bytes{stream="PAYMENT_COMMANDS",pod="b"} 629145600x20`}, 10 * m, []string{`{}`}},
		{"CountermandCommandsFilling", "300 MiB of commands, said by two replicas, and a large journal", []string{
			`countermand_stream_bytes{stream="PAYMENT_COMMANDS",pod="a"} 314572800x20`, `countermand_stream_bytes{stream="PAYMENT_COMMANDS",pod="b"} 314572800x20`,
			`countermand_stream_bytes{stream="PAYMENT_EVENTS",pod="a"} 1073741824x20`,
		}, 10 * m, nil},

		{"CountermandRefusalsFilling", "a slow trickle of large ones has filled half", []string{`countermand_stream_bytes{stream="PAYMENT_REFUSALS",pod="a"} 135000000x20`, `countermand_stream_bytes{stream="PAYMENT_REFUSALS",pod="b"} 135000000x20`}, 10 * m, []string{`{}`}},
		{"CountermandRefusalsFilling", "100 MB of them, said by two replicas, and many commands", []string{
			`countermand_stream_bytes{stream="PAYMENT_REFUSALS",pod="a"} 100000000x20`, `countermand_stream_bytes{stream="PAYMENT_REFUSALS",pod="b"} 100000000x20`,
			`countermand_stream_bytes{stream="PAYMENT_COMMANDS",pod="a"} 500000000x20`,
		}, 10 * m, nil},

		{"CountermandRejectionsFlood", "2,000 in a few minutes at one provider, over two replicas", []string{
			`countermand_rejections_total{origin="opay-eg",pod="a"} 0 0 0 500 1000x20`, `countermand_rejections_total{origin="opay-eg",pod="b"} 0 0 0 500 1000x20`,
			`countermand_rejections_total{origin="none",pod="a"} 0x24`,
		}, 8 * m, []string{`{origin="opay-eg"}`}},
		{"CountermandRejectionsFlood", "a few typos at each", []string{`countermand_rejections_total{origin="opay-eg",pod="a"} 0+10x20`, `countermand_rejections_total{origin="other",pod="a"} 0+10x20`}, 15 * m, nil},

		{"CountermandRejectionsNotStored", "none is stored", []string{`countermand_rejections_not_stored_total{pod="a"} 0+6x40`}, 25 * m, []string{`{}`}},
		{"CountermandRejectionsNotStored", "a moment without a leader", []string{`countermand_rejections_not_stored_total{pod="a"} 0x3 5x40`}, 25 * m, nil},

		{"CountermandJournalIncomplete", "it has lost something", []string{`countermand_journal_standing{pod="a",standing="broken"} 0x5 1x10`, `countermand_journal_standing{pod="b",standing="broken"} 0x15`}, 10 * m, []string{`{standing="broken"}`}},
		{"CountermandJournalIncomplete", "it is whole", []string{`countermand_journal_standing{pod="a",standing="broken"} 0x15`, `countermand_journal_standing{pod="a",standing="whole"} 1x15`}, 10 * m, nil},

		{"CountermandWitnessFailing", "its disk is full", []string{`countermand_witness_failing_seconds{pod="a"} 0x5 60+60x20`, `countermand_witness_failing_seconds{pod="b"} 0x25`}, 10 * m, []string{`{}`}},
		{"CountermandWitnessFailing", "its API server was away for a minute", []string{`countermand_witness_failing_seconds{pod="a"} 0x5 30 60 0x20`}, 6 * m, nil},

		{"CountermandJournalRefusing", "the store is full", []string{`countermand_journal_refusing{pod="a"} 0x5 1x10`, `countermand_journal_refusing{pod="b"} 0x15`}, 10 * m, []string{`{}`}},
		{"CountermandJournalRefusing", "it is not", []string{`countermand_journal_refusing{pod="a"} 0x15`}, 10 * m, nil},

		{"CountermandDurabilityWrong", "a stream in memory", []string{`countermand_topology_fault{pod="a"} 0x2 1x20`}, 10 * m, []string{`{}`}},
		{"CountermandDurabilityWrong", "all as it must be", []string{`countermand_topology_fault{pod="a"} 0x20`}, 10 * m, nil},

		{"CountermandForgedTimer", "one timer", []string{`countermand_forged_timers_total{pod="a"} 0x5 1x20`}, 10 * m, []string{`{}`}},
		{"CountermandForgedTimer", "none", []string{`countermand_forged_timers_total{pod="a"} 0x20`}, 10 * m, nil},

		{"CountermandPanics", "one panic", []string{`countermand_panics_total{pod="a"} 0x5 1x20`}, 10 * m, []string{`{}`}},
		{"CountermandPanics", "none", []string{`countermand_panics_total{pod="a"} 0x20`}, 10 * m, nil},

		{"CountermandNotReady", "one of two", []string{`countermand_ready{namespace="n",pod="a"} 0x20`, `countermand_ready{namespace="n",pod="b"} 1x20`}, 10 * m, []string{`{namespace="n", pod="a"}`}},
		{"CountermandNotReady", "it was starting", []string{`countermand_ready{namespace="n",pod="a"} 0x3 1x20`}, 10 * m, nil},

		{"CountermandNoReplicas", "nothing is scraped", []string{`other 1x20`}, 10 * m, []string{`{}`}},
		{"CountermandNoReplicas", "none is ready", []string{`countermand_ready{pod="a"} 0x20`, `countermand_ready{pod="b"} 0x20`}, 10 * m, []string{`{}`}},
		{"CountermandNoReplicas", "one is", []string{`countermand_ready{pod="a"} 0x20`, `countermand_ready{pod="b"} 1x20`}, 10 * m, nil},

		{"CountermandClockSkew", "two seconds behind", []string{`countermand_clock_skew_seconds{namespace="n",pod="a"} -2x20`}, 10 * m, []string{`{namespace="n", pod="a"}`}},
		{"CountermandClockSkew", "some milliseconds", []string{`countermand_clock_skew_seconds{namespace="n",pod="a"} 0.004x20`}, 10 * m, nil},
	}
}

// alerts returns the shipped alerts by name.
func alerts(t *testing.T) map[string]check.Alert {
	t.Helper()
	all, err := typed(t, "base, monitoring").Alerts()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]check.Alert{}
	for _, a := range all {
		byName[a.Alert] = a
	}
	if len(byName) != len(all) {
		t.Errorf("%d alerts with %d names", len(all), len(byName))
	}
	return byName
}

func TestAlertsFireWhenTheyMustAndOnlyThen(t *testing.T) {
	t.Parallel()
	shipped := alerts(t)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, c := range alertCases() {
		(map[bool]map[string]bool{true: fires, false: silent})[len(c.fires) > 0][c.alert] = true
		t.Run(c.alert+" "+c.when, func(t *testing.T) {
			t.Parallel()
			a, ok := shipped[c.alert]
			if !ok {
				t.Fatal("no such alert")
			}
			series, err := check.ParseSeries(c.series...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.Fires(t.Context(), series, c.after)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.fires, got); diff != "" {
				t.Errorf("must fire (-), fires (+):\n%s", diff)
			}
		})
	}
	for name := range shipped {
		if !fires[name] || !silent[name] {
			t.Errorf("%s is not tested both ways", name)
		}
	}
}

func TestEveryAlertHasItsSectionInTheRunbookAndEverySectionItsAlert(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (Countermand[A-Za-z]+)$`).FindAllStringSubmatch(string(text), -1) {
		sections[m[1]] = true
	}
	const prefix = "https://github.com/countermand/countermand/blob/main/docs/operations.md#"
	for name, a := range alerts(t) {
		if url := a.Annotations["runbook_url"]; url != prefix+strings.ToLower(name) {
			t.Errorf("%s: runbook_url %q", name, url)
		}
		if !sections[name] {
			t.Errorf("%s has no section in docs/operations.md", name)
		}
		delete(sections, name)
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", name, s)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s does not say what it means", name)
		}
	}
	for name := range sections {
		t.Errorf("docs/operations.md has a section for %s, which does not exist", name)
	}
}
