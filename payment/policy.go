package payment

import "time"

// Policy is an instance's timing. All of it comes from the configuration;
// DefaultPolicy gives the documented defaults.
type Policy struct {
	// CallTimeout bounds one call; CallMargin is added to it for callUntil, to
	// cover clock skew between consumers and a slow start of the call.
	CallTimeout time.Duration
	CallMargin  time.Duration
	// Waits between tries while nothing was executed.
	RetryInitial time.Duration
	RetryMax     time.Duration
	GiveUpAfter  time.Duration
	// Waits between status queries.
	PollInitial time.Duration
	PollMax     time.Duration
	// ReviewAfter is how long a machine goes on asking before a person is called;
	// ReviewPoll is how often it asks while in review.
	ReviewAfter time.Duration
	ReviewPoll  time.Duration
}

// DefaultPolicy returns the documented defaults.
func DefaultPolicy() Policy {
	return Policy{
		CallTimeout: 10 * time.Second, CallMargin: 5 * time.Second,
		RetryInitial: time.Second, RetryMax: 5 * time.Minute, GiveUpAfter: 72 * time.Hour,
		PollInitial: 2 * time.Second, PollMax: time.Hour,
		ReviewAfter: 15 * time.Minute, ReviewPoll: 4 * time.Hour,
	}
}

const (
	// quietFor is how long a command waits before its wait becomes an event.
	quietFor = time.Minute
	// unknownProviderFor is how long a command for a provider that is not
	// configured here is retried: a rollout may be under way.
	unknownProviderFor = 5 * time.Minute
	// unknownProviderPoll is how often it is looked at meanwhile.
	unknownProviderPoll = 10 * time.Second
	// strangePoll is how often an operation is looked at that cannot be gone on with here.
	strangePoll = 30 * time.Second
)

// settle is how long "not found" must stand before one repeat, longer with
// each try since the doubt began: the journal must not fill.
func (p Policy) settle(tries int) time.Duration {
	return backoff(2*p.PollInitial, max(2*p.PollInitial, p.PollMax), tries)
}

// lasting is how long a machine goes on where it may still come to know.
func (p Policy) lasting() time.Duration { return max(p.ReviewAfter, p.GiveUpAfter) }

// backoff is the wait after the nth try: initial, doubled each time, at most max.
func backoff(initial, limit time.Duration, n int) time.Duration {
	d := initial
	for i := 1; i < n && d < limit; i++ {
		d *= 2
	}
	return min(d, limit)
}

// nextPoll returns the first point after now on the grid base+initial,
// +2·initial more, +4·initial more … with steps of at most limit. The grid is a
// function of the state alone, so repeats of a command neither hasten nor put
// off a query, and an unchanged answer needs no event.
func nextPoll(base, now time.Time, initial, limit time.Duration) time.Time {
	step := max(initial, time.Millisecond)
	t := base.Add(step)
	for !t.After(now) {
		if step >= limit {
			n := now.Sub(t)/step + 1
			return t.Add(n * step)
		}
		step = min(2*step, limit)
		t = t.Add(step)
	}
	return t
}
