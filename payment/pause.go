package payment

import "time"

const (
	// pausePoll is how long an operation waits at first before it is looked at again in a
	// pause, and pauseMaxPoll at most.
	pausePoll    = 30 * time.Second
	pauseMaxPoll = time.Hour
)

// paused reports whether the operation's newest event says that it waits for the end
// of a pause.
func (o Operation) paused() bool {
	return o.Last > 0 && o.Status == StatusDeferred && o.Code == CodePaused
}

// pauseOver reports whether the pause that the operation waited for has ended. It is
// then due, whatever time its event named: the end of a pause brings its timer forward.
func (in Input) pauseOver(op Operation) bool { return op.paused() && !in.Instance.Paused }

// inPause is when an operation is looked at next that its instance's pause holds back,
// where age is the command's:
//
//	the operation                      waits
//	has no event of the pause yet      as long as the command is old: RetryInitial to 30 s
//	has one                            as long as it has waited since: 30 s to 1 h
//	expires before that                until it expires
//
// Each look is a write, so operations that wait for days must look seldom. Nobody has to
// wait for the next look: whoever sees that the pause has ended brings all forward.
func (in Input) inPause(op Operation, age time.Duration) time.Time {
	wait := min(max(in.Instance.Policy.RetryInitial, age), pausePoll)
	if op.paused() {
		wait = min(max(pausePoll, in.Now.Sub(op.Open.Changed)), pauseMaxPoll)
	}
	at := in.Now.Add(wait)
	if ends := op.Open.Expiry; ends.After(in.Now) && ends.Before(at) {
		return ends
	}
	return at
}
