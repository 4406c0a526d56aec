package publish_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
		err := publish.Scan(strings.NewReader(file(commands)), "f", d, nil, func(i publish.Item) error {
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
	if sent := send(nil); sent.Published != 0 || sent.NotCompared != commands {
		t.Fatalf("sent again, with nobody to compare: %+v", sent)
	}
	if sent := send(&publish.SendOptions{Stored: stored(js, topology.Commands), Decoder: d}); sent.Published != 0 || sent.Duplicates != commands {
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

// stored reads a stream.
func stored(js jetstream.JetStream, stream string) func(context.Context, uint64) (events.Message, bool, error) {
	return func(ctx context.Context, sequence uint64) (events.Message, bool, error) {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return events.Message{}, false, err
		}
		m, err := s.GetMsg(ctx, sequence)
		if err != nil {
			return events.Message{}, false, err
		}
		return events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data}, true, nil
	}
}

func TestACommandWhoseIDTheStreamHasIsComparedWithWhatItHas(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t, nil).JetStream(t)
	topology := broker.DefaultTopology()
	if _, err := js.CreateStream(t.Context(), topology.CommandsConfig()); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "payment.refund.requested", []byte("no command"), jetstream.WithMsgID("/s/junk")); err != nil {
		t.Fatal(err)
	}
	d, err := events.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	changed := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	for _, c := range []struct {
		name, text string
		want       publish.Sent
		fault      string
	}{
		{name: "new", text: good, want: publish.Sent{Published: 1}},
		{name: "the same", text: good, want: publish.Sent{Duplicates: 1}},
		{name: "the same, written otherwise", text: changed(`{"orderId":"1"}`, `{ "orderId" : "\u0031" }`), want: publish.Sent{Duplicates: 1}},
		{name: "the same, of another time and trace", text: changed(`"id":"a"`, `"id":"a","time":"2026-01-01T00:00:00Z","x":"1"`), want: publish.Sent{Duplicates: 1}},
		{name: "another key", text: changed(`"k"`, `"other"`), want: publish.Sent{Different: 1}, fault: "at sequence 2"},
		{name: "another reason", text: changed(`"provider"`, `"reason":"x","provider"`), want: publish.Sent{Different: 1}, fault: "at sequence 2"},
		{name: "another expiry", text: changed(`"id":"a"`, `"id":"a","expirytime":"2999-01-01T00:00:00Z"`), want: publish.Sent{Different: 1}, fault: "at sequence 2"},
		{name: "in place of what is no command", text: changed(`"id":"a"`, `"id":"junk"`), want: publish.Sent{Different: 1}, fault: "at sequence 1"},
	} {
		var faults []string
		s := publish.NewSender(js, &publish.SendOptions{
			Stored: stored(js, topology.Commands), Decoder: d, Fault: func(f publish.Fault) { faults = append(faults, f.String()) },
		})
		err := publish.Scan(strings.NewReader("\n"+c.text), "f", d, nil, func(i publish.Item) error { return s.Send(t.Context(), i) })
		sent, closing := s.Close()
		if err != nil || closing != nil || sent != c.want {
			t.Errorf("%s: %+v, %v, %v, want %+v", c.name, sent, err, closing, c.want)
		}
		if got := strings.Join(faults, "; "); (c.fault == "") != (got == "") || !strings.Contains(got, c.fault) || got != "" && !strings.HasPrefix(got, "f:2: ce-id: duplicate (PAYMENT_COMMANDS has other content") {
			t.Errorf("%s: faults %q, want %q", c.name, got, c.fault)
		}
	}
}

func TestTwoCommandsOfOneSourceAndIDMustSayTheSame(t *testing.T) {
	t.Parallel()
	d, err := events.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(good, `"k"`, `"other"`, 1)
	twins, err := publish.NewTwins()
	if err != nil {
		t.Fatal(err)
	}
	defer twins.Close()
	for _, f := range []struct{ name, text string }{
		{"one", strings.Join([]string{good, strings.Replace(other, `"id":"a"`, `"id":"b"`, 1), good, other}, "\n")},
		{"two", strings.Join([]string{
			strings.Replace(good, `"id":"a"`, `"id":"b"`, 1), strings.Replace(good, `"source":"/s"`, `"source":"/t"`, 1),
			strings.NewReplacer(`"source":"/s"`, `"source":"/s/x"`, `"id":"a"`, `"id":"y"`).Replace(good),
			strings.NewReplacer(`"source":"/s"`, `"source":"/s"`, `"id":"a"`, `"id":"x/y"`, `"k"`, `"other"`).Replace(good),
		}, "\n")},
	} {
		if err := publish.Scan(strings.NewReader(f.text), f.name, d, nil, twins.Add); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	unclear, err := twins.Faults(func(f publish.Fault) error { got = append(got, f.String()); return nil })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := []string{
		"one:4: ce-id: duplicate (one:1 has the same source and id, and other content)",
		"two:1: ce-id: duplicate (one:2 has the same source and id, and other content)",
		"two:4: ce-id: duplicate (two:3 has the same source and id, and other content)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	all := map[publish.Place]bool{
		{File: "one", Line: 1}: true, {File: "one", Line: 2}: true, {File: "one", Line: 3}: true, {File: "one", Line: 4}: true,
		{File: "two", Line: 1}: true, {File: "two", Line: 3}: true, {File: "two", Line: 4}: true,
	}
	if diff := cmp.Diff(all, unclear); diff != "" {
		t.Errorf("unclear (-want +got):\n%s", diff)
	}
}

func TestWhatIsBytesOrUnsetInAFileIsSentInBinaryModeAsTheSameCommand(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t, nil).JetStream(t)
	topology := broker.DefaultTopology()
	if _, err := js.CreateStream(t.Context(), topology.CommandsConfig()); err != nil {
		t.Fatal(err)
	}
	d, err := events.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	head, data, _ := strings.Cut(strings.TrimSuffix(good, "}"), `,"data":`)
	for n, text := range []string{
		good,
		head + `,"datacontenttype":"application/json","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"}`,
		head + `,"correlationid":null,"data":null,"x":null,"data_base64":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"}`,
		strings.Replace(good, `"data":`, `"data_base64":null,"data":`, 1),
	} {
		s := publish.NewSender(js, &publish.SendOptions{Binary: true})
		err := publish.Scan(strings.NewReader(text), "f", d, nil, func(i publish.Item) error {
			if len(i.Faults) > 0 {
				t.Errorf("%s: %v", text, i.Faults)
			}
			i.Command.CommandID += strings.Repeat("+", n) // the stream takes each id once
			return s.Send(t.Context(), i)
		})
		sent, closing := s.Close()
		if err != nil || closing != nil || sent.Published != 1 {
			t.Errorf("%s: %+v, %v, %v", text, sent, err, closing)
		}
		m, _, err := stored(js, topology.Commands)(t.Context(), uint64(n+1))
		if err != nil {
			t.Fatal(err)
		}
		got, invalid := d.DecodeCommand(m)
		if invalid != nil || got.Key != "k" || got.CorrelationID != "" || string(m.Data) != data {
			t.Errorf("%s is stored as %v %s: %v", text, m.Header, m.Data, invalid)
		}
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
	_ = publish.Scan(strings.NewReader(file(3)), "f", d, nil, func(i publish.Item) error { return s.Send(ctx, i) })
	if sent, err := s.Close(); err == nil || sent.Published != 0 {
		t.Fatalf("sent %+v, %v", sent, err)
	}
}
