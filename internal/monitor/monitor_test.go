package monitor_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/monitor"
)

func serve(t *testing.T, status int, text string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/varz" {
			status = http.StatusNotFound
		}
		out.WriteHeader(status)
		_, _ = out.Write([]byte(text))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestThePageOfAServerIsRead(t *testing.T) {
	t.Parallel()
	p, err := monitor.Ask(t.Context(), serve(t, http.StatusOK, `{"server_id":"N1","server_name":"n1","cluster":{"name":"c"},
		"jetstream":{"config":{"sync_interval":120000000000},"meta":{"cluster_size":3}}}`)+"/")
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != "N1" || p.Name != "n1" || p.Cluster.Name != "c" || p.JetStream.Meta.ClusterSize != 3 ||
		p.JetStream.Config.SyncAlways || p.JetStream.Config.SyncInterval != 2*time.Minute {
		t.Errorf("read %+v", p)
	}
	p, err = monitor.Ask(t.Context(), serve(t, http.StatusOK, `{"server_id":"N1","jetstream":{"config":{"sync_always":true}}}`))
	if err != nil || !p.JetStream.Config.SyncAlways || p.JetStream.Meta != nil {
		t.Errorf("read %+v, %v", p, err)
	}
}

func TestWhatIsNoServersPageIsAnError(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"another status": serve(t, http.StatusServiceUnavailable, `{"server_id":"N1"}`), "no JSON": serve(t, http.StatusOK, "hello"),
		"another page": serve(t, http.StatusOK, "{}"), "nobody there": "http://127.0.0.1:1", "no address": "http://\x7f",
	} {
		if p, err := monitor.Ask(t.Context(), address); err == nil {
			t.Errorf("%s: read %+v", name, p)
		}
	}
}
