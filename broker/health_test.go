package broker

import (
	"strings"
	"testing"
	"time"
)

func TestASkewThatIsTooLargeIsNewsOncePerStreamAndLeader(t *testing.T) {
	t.Parallel()
	h := &health{}
	for i, step := range []struct {
		skew Skew
		news bool
	}{
		{Skew{Stream: "DUE", Leader: "n1"}, false},
		{Skew{Stream: "DUE", Leader: "n1", Ahead: 3 * time.Second}, true},
		{Skew{Stream: "DUE", Leader: "n1", Ahead: 4 * time.Second}, false},
		{Skew{Stream: "DUE", Leader: "n2", Ahead: -4 * time.Second}, true},
		{Skew{Stream: "EVENTS", Leader: "n2", Ahead: -4 * time.Second}, true},
		{Skew{Stream: "EVENTS", Leader: "n3", Ahead: time.Second}, false},
		{Skew{Stream: "EVENTS", Leader: "n2", Ahead: -4 * time.Second}, true},
	} {
		if news := h.setSkew(step.skew); news != step.news {
			t.Errorf("step %d: news %v", i, news)
		}
	}
	if text := h.skew.String(); !strings.Contains(text, "EVENTS (n2)") || !h.measured {
		t.Errorf("last is %s", text)
	}
}
