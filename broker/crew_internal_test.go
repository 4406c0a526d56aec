package broker

import "testing"

// White box: which goroutine takes a message cannot be seen from outside.
func TestTheLastToBecomeIdleIsTakenFirst(t *testing.T) {
	t.Parallel()
	var c crew
	if c.take() != nil {
		t.Fatal("somebody is idle before anybody was employed")
	}
	first, second := make(chan *inHand, 1), make(chan *inHand, 1)
	c.rest(first)
	c.rest(second)
	for i, want := range []chan *inHand{second, first} {
		if got := c.take(); got != (chan<- *inHand)(want) {
			t.Errorf("take %d gave another one", i)
		}
	}
	if c.take() != nil {
		t.Error("one is taken twice")
	}
}

func TestWhoIsDismissedEndsAtOnceOrAfterWhatIsInHand(t *testing.T) {
	t.Parallel()
	var c crew
	idle, busy := make(chan *inHand, 1), make(chan *inHand, 1)
	c.rest(idle)
	c.dismiss()
	if _, open := <-idle; open {
		t.Error("an idle one got a message")
	}
	c.rest(busy)
	if _, open := <-busy; open {
		t.Error("one that was busy goes on")
	}
	if c.take() != nil {
		t.Error("somebody is taken after all were dismissed")
	}
}
