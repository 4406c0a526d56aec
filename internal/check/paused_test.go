package check_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/check"
)

func TestPausedProvidersAndAStartInPauseAreWarnings(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	control := broker.NewControl(b.js, app.Topology(b.cfg))
	p := broker.Pause{Paused: true, Reason: "incident", By: "ana", Since: time.Now()}
	revision, err := control.Set(b.ctx(), "opay-eg", p, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := b.findings(nil)
	want(t, all, line{check.Warning, check.ProviderPaused, "provider opay-eg"})
	if !strings.Contains(all[0].Is, `by "ana": "incident"`) {
		t.Errorf("finding is %s", all[0])
	}
	if _, err := control.Set(b.ctx(), "opay-eg", broker.Pause{}, revision); err != nil {
		t.Fatal(err)
	}
	b.cfg.StartPaused = true
	want(t, b.findings(nil), line{check.Warning, check.ProviderPaused, "startPaused"})
}
