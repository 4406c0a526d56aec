package publish_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/internal/publish"
)

// file is n commands, one a line.
func file(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, strings.NewReplacer(`"id":"a"`, fmt.Sprintf(`"id":"a-%d é"`, i), `"k"`, fmt.Sprintf(`"k-%d"`, i)).Replace(good))
	}
	return b.String()
}

func TestWhatIsSentDecodesAsWrittenInBothModesAndOnlyOnce(t *testing.T) {
	t.Parallel()
	const commands = 300
	js := natstest.Start(t, nil).JetStream(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	topology := broker.DefaultTopology()
	if _, err := js.CreateStream(ctx, topology.CommandsConfig()); err != nil {
		t.Fatal(err)
	}
	d, err := events.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	send := func(o *publish.SendOptions) publish.Sent {
		s := publish.NewSender(js, o)
		err := publish.Scan(strings.NewReader(file(commands)), "f", d, func(i publish.Item) error {
			want[i.Command.CommandID+i.Command.Fingerprint()] = true
			return s.Send(ctx, i)
		})
		sent, closing := s.Close()
		if err != nil || closing != nil {
			t.Fatal(err, closing)
		}
		return sent
	}
	if sent := send(&publish.SendOptions{Binary: true, ByProvider: true}); sent.Published != commands || sent.Duplicates != 0 {
		t.Fatalf("sent %+v", sent)
	}
	if sent := send(nil); sent.Published != 0 || sent.Duplicates != commands {
		t.Fatalf("sent again: %+v", sent)
	}
	c, err := js.OrderedConsumer(ctx, topology.Commands, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for range commands {
		m, err := c.Next(jetstream.FetchContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		got, invalid := d.DecodeCommand(events.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
		if invalid != nil || m.Subject() != "payment.cancel.requested.p" || m.Headers().Get("ce-id") == "" {
			t.Fatalf("on %s: %v", m.Subject(), invalid)
		}
		delete(want, got.CommandID+got.Fingerprint())
	}
	if len(want) > 0 {
		t.Fatalf("%d commands changed on the way", len(want))
	}
}

func TestACommandTheStreamRefusesIsAnError(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t, nil).JetStream(t) // without the stream of commands
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	d, err := events.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	s := publish.NewSender(js, nil)
	_ = publish.Scan(strings.NewReader(file(3)), "f", d, func(i publish.Item) error { return s.Send(ctx, i) })
	if sent, err := s.Close(); err == nil || sent.Published != 0 {
		t.Fatalf("sent %+v, %v", sent, err)
	}
}
