package notifications

import "net/http"

// Result is what became of one request.
type Result string

// The results, all there are.
const (
	Accepted    Result = "accepted"    // an open operation is asked about now
	Duplicate   Result = "duplicate"   // the same notification did that before
	Forged      Result = "forged"      // not signed with this account's secret, or another merchant's
	Stale       Result = "stale"       // authentic, and too old or from the future
	Malformed   Result = "malformed"   // no notification, or not where one belongs
	TooLarge    Result = "too_large"   // the body is over the limit
	Limited     Result = "limited"     // authentic, but too many at once; or too many requests in hand
	Unknown     Result = "unknown"     // authentic, but nothing open is known by it; or no such provider
	Unavailable Result = "unavailable" // the payment could not be looked up: ours to mend
)

// Results lists them all.
func Results() []Result {
	return []Result{Accepted, Duplicate, Forged, Stale, Malformed, TooLarge, Limited, Unknown, Unavailable}
}

// status is what is answered about a configured provider's notification. All
// that is authentic and needs no second delivery has one answer, all that is
// not authentic another.
func (r Result) status() int {
	switch r {
	case Accepted, Duplicate, Stale, Unknown:
		return http.StatusNoContent
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case Limited:
		return http.StatusTooManyRequests
	case Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusForbidden
	}
}
