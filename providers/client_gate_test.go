package providers

import (
	"testing"
	"time"
)

// The transport itself waits for a write under way before it gives a call up,
// so a write after the call's end cannot be provoked from outside.
func TestAGateLetsNothingBeginAfterItsCallHasReturned(t *testing.T) {
	t.Parallel()
	g := &gate{now: time.Now}
	if never, _ := g.seal(); !never {
		t.Error("sent without a write")
	}
	if g.pass(&gatedConn{}) == nil {
		t.Error("a write began after the call had returned")
	}
}

func TestAGateLetsEndWhatHasBegunOnTheSameConnectionOnly(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := &gate{now: func() time.Time { return now }, before: now.Add(time.Second)}
	conn := &gatedConn{}
	if err := g.pass(conn); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if never, late := g.seal(); never || late {
		t.Errorf("never sent %v, late %v", never, late)
	}
	if err := g.pass(conn); err != nil {
		t.Errorf("the rest: %v", err)
	}
	if g.pass(&gatedConn{}) == nil {
		t.Error("the call was written to two connections")
	}
}
