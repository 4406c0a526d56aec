package keeper_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/integrity"
)

func TestAProcessThatDiesBeforeTheFirstAppendLeavesNoLossBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, bucket := newStreams(0), &store{}
		s.set(func(r *integrity.Reading) {
			r.Streams["PAYMENT_COMMANDS"] = integrity.StreamReading{First: 1, Last: 3, Messages: 3}
		})
		first := run(t, s, bucket, nil)
		first.standing(integrity.Whole)
		bucket.put(bucket.record, errors.New("no connection")) // it is killed now, with a command in hand
		s.set(func(r *integrity.Reading) {
			r.Durables = []integrity.DurableReading{{Stream: "PAYMENT_COMMANDS", Name: "payment-consumer", Delivered: 1}}
		})
		first.stop()
		bucket.put(bucket.record, nil)
		second := run(t, s, bucket, nil)
		defer second.stop()
		second.standing(integrity.Whole)
		second.wait(10 * time.Second)
		second.standing(integrity.Whole)
	})
}

func TestAProcessThatStartsBesideTheFirstOneTakesNothingForALoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, bucket := newStreams(0), &store{}
		s.set(func(r *integrity.Reading) {
			r.Streams["PAYMENT_COMMANDS"] = integrity.StreamReading{First: 1, Last: 3, Messages: 3}
			r.Durables = []integrity.DurableReading{{Stream: "PAYMENT_COMMANDS", Name: "payment-consumer", Delivered: 1}}
		})
		second := begin(t, s, bucket, nil)
		defer second.stop()
		second.standing(integrity.Suspect)
		bucket.put(integrity.Record{Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{Streams: map[string]uint64{"PAYMENT_COMMANDS": 3}}}, nil)
		second.wait(time.Second) // the first one has stored its mark
		second.standing(integrity.Whole)
	})
}
