package config_test

import (
	"fmt"
	"testing"
)

func TestReadersThatCouldTakeMoreThanTheirsAreFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]found{
		`readers: [{name: ledger, filters: ["payment.>"], pulls: 4}, {name: pl, filters: ["payment.*.succeeded.>"], push: true}]`: nil,
		`readers: [{name: payment-consumer, filters: ["payment.>"]}]`:                                                             {{2, "readers[0].name", "must not be the name of the service's own consumers"}},
		`readers: [{name: a.b, filters: ["payment.>"]}]`:                                                                          {{2, "readers[0].name", "must be 1 to 64 letters"}},
		`readers: [{name: a}]`:                                                            {{2, "readers[0].filters", "is required"}},
		`readers: [{name: a, filters: [">"]}]`:                                            {{2, "readers[0].filters[0]", "must start with payment."}},
		`readers: [{name: a, filters: ["payment.>"], pulls: 5}]`:                          {{2, "readers[0].pulls", "must be at most 4"}},
		`readers: [{name: a, filters: ["payment.>"], pulls: 1, push: true}]`:              {{2, "readers[0].pulls", "must not be given together with push"}},
		`readers: [{name: a, filters: ["payment.>"]}, {name: a, filters: ["payment.>"]}]`: {{2, "readers", "must name nothing twice"}},
	} {
		check(t, load(t, fmt.Sprintf(good, text, "")), want...)
	}
}
