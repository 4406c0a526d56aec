// Package openwork finds what is still to be done: the operations in the
// journal that have not ended, and the timers that bring them back. The rule it
// helps to keep is that every open operation has a timer or an unacknowledged
// message; where one has neither (a stream of timers that was lost, deleted or
// restored from an older copy), nothing would ever look at it again.
//
// It only reads. Whoever wants a timer restored schedules what Operation.Timer
// returns.
package openwork
