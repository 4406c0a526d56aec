package cloudevent_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/examples/cloudevent"
)

func TestTheTokenPassesThePublishedVectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../schemas/vectors/tokens.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ Identifier, Token string }
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors) < 20 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	for _, v := range vectors {
		if got := cloudevent.Token(v.Identifier); got != v.Token {
			t.Errorf("token of %q is %q, want %q", v.Identifier, got, v.Token)
		}
	}
}

func TestBothModesReadTheSameEvent(t *testing.T) {
	t.Parallel()
	want := cloudevent.Event{
		Attributes: map[string]string{"specversion": "1.0", "id": "Zoë 100%", "source": "/s", "type": "t", "datacontenttype": "application/json"},
		Data:       json.RawMessage(`{"n":1}`),
	}
	body, err := cloudevent.Write(want)
	if err != nil {
		t.Fatal(err)
	}
	structured, err := cloudevent.Read(map[string][]string{"content-type": {cloudevent.ContentType + "; charset=utf-8"}, "ce-id": {"loses"}}, body)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := cloudevent.Read(map[string][]string{
		"Content-Type": {"application/json"}, "Ce-Specversion": {"1.0"}, "ce-id": {"Zo%C3%ab%20100%25"},
		"ce-source": {"/s"}, "ce-type": {"t"}, "ce-datacontenttype": {"application/json"}, "traceparent": {"of the hop"},
	}, want.Data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, structured); diff != "" {
		t.Errorf("structured (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, binary); diff != "" {
		t.Errorf("binary (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoEventIsAnError(t *testing.T) {
	t.Parallel()
	structured := map[string][]string{"Content-Type": {cloudevent.ContentType}}
	for name, m := range map[string]struct {
		header map[string][]string
		body   string
	}{
		"nothing":            {nil, ""},
		"data alone":         {nil, `{"n":1}`},
		"broken JSON":        {structured, `{"specversion":"1.0"`},
		"no data":            {structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`},
		"another version":    {structured, `{"specversion":"0.3","id":"1","source":"/s","type":"t","data":1}`},
		"an id that is null": {structured, `{"specversion":"1.0","id":null,"source":"/s","type":"t","data":1}`},
		"a cut escape":       {map[string][]string{"ce-id": {"%4"}}, `{}`},
	} {
		if e, err := cloudevent.Read(m.header, []byte(m.body)); err == nil {
			t.Errorf("%s was read as %v", name, e)
		}
	}
}
