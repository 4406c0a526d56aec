package replicas_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/replicas"
	"github.com/countermand/countermand/internal/natstest"
)

func TestAProcessIsRegisteredHoweverMuchItHasInHand(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t, nil).JetStream(t)
	if _, err := broker.Provision(t.Context(), js, broker.DefaultTopology()); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"short": "1001", "long": strings.Repeat("=C3=A9", 100)} {
		var hand []integrity.InHand
		for range 1000 {
			hand = append(hand, integrity.InHand{Provider: "opay-eg", Payment: token, Operation: "refund", Attempt: 1, Outcome: "succeeded", Since: time.Now()})
		}
		r := replicas.New(js, broker.DefaultTopology().Control, name, &replicas.Options{
			InHand: func() []integrity.InHand { return hand },
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // it says once that it leaves, with what it has
		r.Run(ctx, knows{})
		all, _, err := replicas.List(t.Context(), js, broker.DefaultTopology().Control)
		if err != nil || len(all) != 1 || all[0].ID != name {
			t.Fatalf("%s is not registered: %+v, %v", name, all, err)
		}
		if one := all[0]; len(one.InHand) == 0 || len(one.InHand) > 50 || len(one.InHand)+one.MoreInHand != 1000 {
			t.Errorf("%s lists %d and %d more", name, len(one.InHand), one.MoreInHand)
		}
	}
}

func TestAProcessSaysThatItCannotWriteTheWitness(t *testing.T) {
	t.Parallel()
	js := provisioned(t)
	since := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	r := replicas.New(js, bucket, "pod-a", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Run(ctx, knows{Witness: errors.New(strings.Repeat("é", 5000)), WitnessSince: since, WitnessSetBack: since.Add(time.Hour)})
	all, _, err := replicas.List(t.Context(), js, bucket)
	if err != nil || len(all) != 1 {
		t.Fatalf("registered are %+v, %v", all, err)
	}
	one := all[0]
	if !one.WitnessSince.Equal(since) || !one.WitnessSetBack.Equal(since.Add(time.Hour)) || len(one.WitnessFault) < 400 || len(one.WitnessFault) > 510 {
		t.Errorf("it says %d bytes since %s, set back %s", len(one.WitnessFault), one.WitnessSince, one.WitnessSetBack)
	}
}
