package monitor_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/countermand/countermand/internal/monitor"
)

func TestTheCopiesOfOneServerAreThoseOfTheAccountWhoseFirstStreamIsTheLongest(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := `{"server_id":"S","server_name":"n3"}`
		if strings.HasPrefix(r.URL.Path, "/jsz") {
			body = `{"server_id":"S","account_details":[
				{"stream_detail":[{"name":"J","state":{"messages":4,"first_seq":1,"last_seq":4}},{"name":"C","state":{"last_seq":90}}]},
				{"stream_detail":[{"name":"C","cluster":{"leader":"n3"},"state":{"messages":14,"first_seq":2,"last_seq":15}},{"name":"J","cluster":{"leader":"n1"},"state":{"messages":35,"first_seq":1,"last_seq":35}}]},
				{"stream_detail":[{"name":"C","state":{"last_seq":99}}]}]}`
		}
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	got, err := monitor.CopiesOf(t.Context(), server.URL, "J", "C", "D")
	want := []monitor.Copy{{Stream: "J", Server: "n3", First: 1, Last: 35, Messages: 35}, {Stream: "C", Server: "n3", Leads: true, First: 2, Last: 15, Messages: 14}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, found, err := monitor.CopyOf(t.Context(), server.URL, "D"); found || err != nil {
		t.Errorf("a stream that it does not hold: %t, %v", found, err)
	}
}
