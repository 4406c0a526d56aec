package events_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/providertest"
)

// hush stands for any value a message can hold; no fault may repeat it.
const hush = "HUSHvalue"

// commandWords are what a command's members can be, and nearly.
func commandWords() []string {
	return []string{
		`"` + hush + `"`, `"opay-eg"`, `"Opay"`, `"1001000"`, `"EG"`, `"eg"`, `"EGP"`, `"XXX"`, `400`, `400.0`, `-400`, `9007199254740992`, `"400"`,
		`"1.0"`, `"0.3"`, `"payment.cancel.requested"`, `"payment.refund.requested"`, `"2026-09-01T12:00:00Z"`, `"2026-13-01T12:00:00Z"`, `"a b"`,
	}
}

// headers reads one header a line, name before value.
func headers(text string) map[string][]string {
	h := map[string][]string{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if ok && name != "" {
			h[name] = append(h[name], value)
		}
	}
	return h
}

func FuzzWhatIsAcceptedIsKnownAndStandsThereOnce(f *testing.F) {
	d := newDecoder(f)
	const binary = "ce-specversion:1.0\nCE-Id:ev%201\nce-source:/shop\nContent-Type:application/json\nce-type:"
	for _, script := range providertest.Scripts(60) {
		for name, data := range map[string]string{"refund": refundJSON, "cancel": cancelJSON} {
			typ := "payment." + name + ".requested"
			f.Add(typ, "", envelopeJSON(typ, `"time":"2026-09-01T12:00:00Z","expirytime":"2027-01-01T00:00:00Z",`, data), script)
			f.Add(typ, "", []byte(strings.Replace(string(envelopeJSON(typ, "", data)), `"data":`+data, `"data_base64":"`+base64JSON(data)+`"`, 1)), script)
			f.Add("payment.due."+name, binary+typ, []byte(data), script)
		}
	}
	f.Add("payment.refund.requested", "ce-specversion:1.0\nce-id:a\nCE-ID:b\nce-source:/s\nce-type:payment.refund.requested", []byte(refundJSON), []byte{})
	f.Fuzz(func(t *testing.T, subject, head string, text, script []byte) {
		m := events.Message{Subject: subject, Header: headers(head), Data: providertest.Reshape(text, script, commandWords()...)}
		before := events.Message{Subject: subject, Header: maps.Clone(m.Header), Data: bytes.Clone(m.Data)}
		c, invalid := d.DecodeCommand(m)
		if diff := cmp.Diff(before, m); diff != "" {
			t.Fatal("the message was changed")
		}
		if invalid != nil {
			repeatsNothing(t, m, invalid)
			return
		}
		knownMembersOnce(t, m)
		once(t, m.Header)
		travels(t, d, c)
	})
}

// repeatsNothing: faults say where and which rule, and no value but numbers and
// words of lists. Names of unknown members are repeated on purpose.
func repeatsNothing(t *testing.T, m events.Message, invalid *events.InvalidError) {
	t.Helper()
	names := fmt.Sprint(slices.Collect(maps.Keys(m.Header)), regexp.MustCompile(`"[^"]*"\s*:`).FindAllString(string(m.Data), -1))
	if len(invalid.Faults) == 0 || len(invalid.Faults) > 100 {
		t.Fatalf("%d faults", len(invalid.Faults))
	}
	if text := invalid.Error() + fmt.Sprint(invalid.Faults); strings.Contains(text, "HUSH") && !strings.Contains(names, "HUSH") {
		t.Fatalf("a value is repeated: %s\n%q", text, m.Data)
	}
	for _, fault := range invalid.Faults {
		if fault.Rule == "" || len(fault.Pointer) > 400 || len(fault.Detail) > 100 || events.Mask(fault.Pointer) != fault.Pointer && len(fault.Pointer) < 200 {
			t.Fatalf("%q", fault)
		}
	}
}

// knownMembersOnce reads an accepted message again, strictly and by other code.
func knownMembersOnce(t *testing.T, m events.Message) {
	t.Helper()
	e := providertest.ReadEvidence(m.Data)
	if !e.Present() {
		t.Fatalf("accepted, though it is no JSON or names a member twice: %q", m.Data)
	}
	data := e
	if e.At("specversion").Present() {
		data = e.At("data")
	}
	if text, ok := e.At("data_base64").Text(); ok {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if data = providertest.ReadEvidence(decoded); err != nil || !data.Present() {
			t.Fatalf("accepted, though its bytes are no JSON or name a member twice: %q", m.Data)
		}
	}
	money := []string{"value", "currency"}
	for _, part := range []struct {
		at    *providertest.Evidence
		known []string
	}{
		{data, []string{"idempotencyKey", "provider", "payment", "amount", "full", "reason"}},
		{data.At("payment"), []string{"orderId", "transactionId", "country", "currency", "capturedAmount"}},
		{data.At("amount"), money},
		{data.At("payment", "capturedAmount"), money},
	} {
		for _, name := range part.at.Names() {
			if !slices.Contains(part.known, name) || !part.at.At(name).Present() {
				t.Fatalf("accepted with %q: %q", name, m.Data)
			}
		}
	}
	if value, ok := data.At("amount", "value").Integer(); data.At("amount").Present() && (!ok || value < 1 || value > payment.MaxAmount) {
		t.Fatalf("accepted with a bad amount: %q", m.Data)
	}
	if data.At("amount").Present() && data.At("full").Present() {
		t.Fatalf("accepted with amount and full: %q", m.Data)
	}
}

// once: no attribute that means anything is given twice, whatever its case.
func once(t *testing.T, h map[string][]string) {
	t.Helper()
	if strings.HasPrefix(strings.ToLower(strings.Join(h["Content-Type"], "")), "application/cloudevents") {
		return // structured: ce- headers are not read
	}
	count := map[string]int{}
	for name, values := range h {
		count[strings.ToLower(name)] += len(values)
	}
	for _, name := range []string{"ce-id", "ce-source", "ce-type", "ce-expirytime"} {
		if count["ce-specversion"] > 0 && count[name] > 1 {
			t.Fatalf("accepted with %d of %s", count[name], name)
		}
	}
}

// travels: as a timer it comes back the same, and is the same operation.
func travels(t *testing.T, d *events.Decoder, c payment.Command) {
	t.Helper()
	again, err := events.NewEncoder(nil).EncodeCommand(c)
	if err != nil {
		t.Fatal(err)
	}
	back, invalid := d.DecodeCommand(again)
	if invalid != nil {
		t.Fatalf("what was accepted is refused as a timer: %v", invalid)
	}
	if diff := cmp.Diff(c, back); diff != "" || c.Fingerprint() != back.Fingerprint() {
		t.Fatalf("changed on the way (-want +got):\n%s", diff)
	}
}

// FuzzAJournalEntryIsReadAsItStandsOrNotAtAll: what is read from the journal is
// what is written there, and a state of a newer format is never guessed at.
func FuzzAJournalEntryIsReadAsItStandsOrNotAtAll(f *testing.F) {
	for _, ev := range sampleEvents() {
		for _, binary := range []bool{false, true} {
			m, err := events.NewEncoder(&events.EncoderOptions{Binary: binary}).EncodeEvent(ev)
			if err != nil {
				f.Fatal(err)
			}
			for _, script := range providertest.Scripts(40) {
				f.Add(binary, "payment.refund.succeeded", m.Data, script)
			}
			for _, format := range []string{"0", "2", "3", "-1", "1.5", `"1"`, "2147483647", "99999999999"} {
				newer := bytes.Replace(m.Data, []byte(`"format":1`), []byte(`"format":`+format), 1)
				f.Add(binary, "payment.refund.succeeded", newer, []byte{})
				f.Add(binary, "payment.refund.succeeded", bytes.Replace(newer, []byte(`"version":2`), []byte(`"version":{"a":2}`), 1), []byte{})
			}
		}
	}
	words := []string{`1`, `2`, `3`, `"1"`, `"started"`, `"succeeded"`, `"paused"`, `"refund"`, `"cancel"`, `"payment.cancel.failed"`, `"payment.refund.undone"`, `"2026-09-01T10:00:00Z"`}
	f.Fuzz(func(t *testing.T, binary bool, typ string, text, script []byte) {
		m := events.Message{Data: providertest.Reshape(text, script, words...)}
		e := providertest.ReadEvidence(m.Data)
		data := e.At("data")
		if binary {
			m.Header = map[string][]string{"ce-specversion": {"1.0"}, "ce-type": {typ}}
			data = e
		} else {
			typ, _ = e.At("type").Text()
		}
		entry, err := events.DecodeEvent(m)
		if !e.Present() {
			return // no JSON, or a member named twice, which only we could have written
		}
		format, _ := data.At("state", "format").Integer()
		version, _ := data.At("state", "version").Integer()
		switch {
		case format > payment.StateFormat && format < 1<<31 && !errors.Is(err, events.ErrNewerFormat) && !sloppy(m.Data):
			t.Fatalf("format %d ends in %v: %q", format, err, m.Data)
		case err != nil:
		case entry.State.Format < 1 || entry.State.Format > payment.StateFormat || int64(entry.State.Format) != format || entry.State.Version != uint64(version):
			t.Fatalf("state %d of format %d is read from %q", entry.State.Version, entry.State.Format, m.Data)
		case typ != "payment."+string(entry.Op)+"."+string(entry.Type) || !entry.Op.Known():
			t.Fatalf("%q is read as %s %s", typ, entry.Op, entry.Type)
		}
	})
}

// sloppy reports numbers in quotes, which the judge takes and the journal does not.
func sloppy(data []byte) bool { return regexp.MustCompile(`"format":\s*"`).Match(data) }
