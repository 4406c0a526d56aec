package monitor_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/internal/monitor"
)

func TestWhatAnAccountHoldsAndWhoIsInItIsRead(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		_, _ = out.Write([]byte(map[string]string{
			"/jsz?accounts=true&streams=true&consumers=true&config=true": `{"server_id":"N1","account_details":[{"name":"P","stream_detail":[{"name":"S","created":"2026-11-30T10:00:00Z",
				"config":{"subjects":["a.>"],"republish":{"src":"a.>","dest":"b.>"}},
				"consumer_detail":[{"name":"c","config":{"durable_name":"c","max_waiting":4,"max_batch":256,"max_expires":30000000000},"paused":true,"pause_remaining":1000000000}]}]}]}`,
			"/connz?auth=true&limit=4096": `{"server_id":"N1","connections":[{"cid":7,"name":"shop","ip":"10.0.0.1","account":"P","authorized_user":"U"}]}`,
			"/accountz?acc=P": `{"server_id":"N1","system_account":"$SYS","account_detail":{"exports":[{"subject":"x.*","type":"service","token_req":true,"approved_accounts":["Q"]}],
				"imports":[{"subject":"e.*","account":"E","local_subject":"a.$1","type":"stream"},{"subject":"f","account":"E","type":"stream"}],
				"mappings":{"b":[{"subject":"c","weight":40,"cluster":"k"},{"subject":"d","weight":100}]}}}`,
		}[r.URL.RequestURI()]))
	}))
	t.Cleanup(s.Close)
	all, err := monitor.Accounts(t.Context(), s.URL)
	if err != nil || len(all) != 1 || len(all[0].Streams) != 1 {
		t.Fatalf("accounts %+v, %v", all, err)
	}
	is := all[0].Streams[0]
	if is.Config.Republish.Destination != "b.>" || is.Created.Hour() != 10 {
		t.Errorf("stream %+v", is)
	}
	if !is.Consumers[0].Paused || is.Consumers[0].PauseRemaining != time.Second {
		t.Errorf("consumer %+v", is.Consumers[0])
	}
	if c := is.Consumers[0].Config; c.MaxWaiting != 4 || c.MaxRequestBatch != 256 || c.MaxRequestExpires != 30*time.Second {
		t.Errorf("consumer %+v", c)
	}
	server, clients, err := monitor.Connections(t.Context(), s.URL)
	if diff := cmp.Diff([]monitor.Connection{{ID: 7, Name: "shop", IP: "10.0.0.1", Account: "P", User: "U"}}, clients); err != nil || server != "N1" || diff != "" {
		t.Errorf("%s, %v: %s", server, err, diff)
	}
	border, err := monitor.BorderOf(t.Context(), s.URL, "P")
	if diff := cmp.Diff(monitor.Border{
		Exports:  []monitor.Export{{Subject: "x.*", Type: "service", Accounts: []string{"Q"}, Token: true}},
		Imports:  []monitor.Import{{Local: "a.$1", Subject: "e.*", Account: "E", Type: "stream"}, {Local: "f", Subject: "f", Account: "E", Type: "stream"}},
		Mappings: map[string][]monitor.Mapped{"b": {{Subject: "c"}, {Subject: "d"}}},
		System:   "$SYS",
	}, border); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
}

func TestAPageThatIsNoServersSaysNothingOfAccounts(t *testing.T) {
	t.Parallel()
	address := serve(t, http.StatusOK, "{}")
	if all, err := monitor.Accounts(t.Context(), address); err == nil {
		t.Errorf("accounts %v", all)
	}
	if _, all, err := monitor.Connections(t.Context(), address); err == nil {
		t.Errorf("connections %v", all)
	}
	if is, err := monitor.BorderOf(t.Context(), address, "P"); err == nil {
		t.Errorf("border %v", is)
	}
}
