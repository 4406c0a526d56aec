package notifications

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

const (
	// maxInHand bounds the requests in hand at once, and with MaxBody the memory
	// they take.
	maxInHand = 256
	// maxRequeries bounds the requeries under way at once.
	maxRequeries = 32
	// fromFuture is how far ahead of ours a provider's clock may be.
	fromFuture = 5 * time.Minute
	// tryAgain is what is asked of whoever is to deliver again, in seconds.
	tryAgain = "5"
)

// Requerier asks the provider now about the operations that a notification names.
// It is told which they are and never what happened. A requery outlives the
// request it came with. Its context ends shortly before the process does.
// Implementations are safe for concurrent use.
type Requerier interface {
	// Requery takes the provider-facing reference of one operation. If the
	// reference is empty, or equal to the payment's own identifier, it means the
	// operations of the payment. found is false if nothing is known by it. After an
	// error it may be tried again; a second requery is harmless.
	Requery(ctx context.Context, id payment.ID, reference string) (found bool, err error)
}

// Observer is told what became of each request. The provider is a configured
// instance's name, or empty. Implementations are safe for concurrent use.
type Observer interface {
	Notified(provider string, r Result)
}

// Options are the optional parts of a Receiver; nil and zero mean the defaults.
type Options struct {
	Logger   *slog.Logger     // default: discards
	Now      func() time.Time // default: time.Now
	Observer Observer         // default: nobody is told
	// MaxBody is how many bytes a body may have; default 16 KiB.
	MaxBody int64
	// RatePerSecond is how many authentic notifications of one provider act in a
	// second, as many at once; default 50.
	RatePerSecond float64
	// MaxAge is how old a signed time may be; default 73 hours.
	MaxAge time.Duration
	// Patience is how long an answer waits for the requery; the requery goes
	// on after it. Default 5 seconds.
	Patience time.Duration
	// Remember is how many notifications are remembered; default 10,000.
	Remember int
}

// Receiver answers POST /notifications/<provider>[/<payment>]. It is an
// http.Handler, safe for concurrent use. Drain it once no request comes any more.
type Receiver struct {
	senders   map[string]*sender
	requerier Requerier
	seen      *memory
	inHand    chan struct{}
	log       *slog.Logger
	now       func() time.Time
	observer  Observer // nil: nobody is told
	maxBody   int64
	maxAge    time.Duration
	patience  time.Duration
	requeries chan struct{} // a place for each requery under way
	ending    chan struct{} // closed: requeries under way are to end
}

// sender is one provider instance that can send notifications.
type sender struct {
	verifier providers.NotificationVerifier
	limit    *rate.Limiter
}

var _ http.Handler = (*Receiver)(nil)

// New returns a receiver for those of the instances whose kind has signed
// notifications; of the others none is taken.
func New(set *providers.Set, requerier Requerier, o *Options) *Receiver {
	if o == nil {
		o = &Options{}
	}
	r := &Receiver{
		senders: map[string]*sender{}, requerier: requerier, seen: newMemory(cmp.Or(o.Remember, 10_000)),
		inHand: make(chan struct{}, maxInHand), log: o.Logger, now: o.Now, observer: o.Observer,
		maxBody: cmp.Or(o.MaxBody, 16<<10), maxAge: cmp.Or(o.MaxAge, 73*time.Hour),
		patience: cmp.Or(o.Patience, 5*time.Second), requeries: make(chan struct{}, maxRequeries), ending: make(chan struct{}),
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.now == nil {
		r.now = time.Now
	}
	perSecond := cmp.Or(o.RatePerSecond, 50)
	for _, name := range set.Names() {
		in, _ := set.Get(name)
		if v, ok := in.Provider.(providers.NotificationVerifier); ok {
			r.senders[name] = &sender{verifier: v, limit: rate.NewLimiter(rate.Limit(perSecond), max(1, int(math.Ceil(perSecond))))}
		}
	}
	return r
}

// NewServer returns a server for a listener of its own. Whoever is slow is cut
// off, headers are small, nothing is answered but what h answers, and what the
// HTTP library has to say about strangers' bytes is not logged.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  10 * time.Second,
		WriteTimeout:                 15 * time.Second, // includes the requery it waits for
		IdleTimeout:                  60 * time.Second,
		MaxHeaderBytes:               8 << 10,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0),
	}
}

// ServeHTTP answers one request; with an empty body whatever it was.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	at := placeOf(q.URL.EscapedPath())
	from, known := r.senders[at.provider]
	if !known {
		at.provider = ""
	}
	result := r.contained(w, q, at, from)
	if r.observer != nil {
		r.observer.Notified(at.provider, result)
	}
	status := result.status()
	switch {
	case q.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		status = http.StatusMethodNotAllowed
	case !known && result == Unknown:
		status = http.StatusForbidden // as for a forged one: who asks learns no names
	case result == Limited || result == Unavailable:
		w.Header().Set("Retry-After", tryAgain)
	}
	if len(q.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close") // its end may be read otherwise by a proxy in front
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}

// contained is receive, with a panic for an answer of ours. The panic's value
// is not logged: it may be of the body.
func (r *Receiver) contained(w http.ResponseWriter, q *http.Request, at place, from *sender) (result Result) {
	defer func() {
		if recover() != nil {
			r.log.Error("a notification made the receiver panic", "provider", at.provider, "error", string(debug.Stack()))
			result = Unavailable
		}
	}()
	select {
	case r.inHand <- struct{}{}:
		defer func() { <-r.inHand }()
	default:
		return Limited
	}
	return r.receive(w, q, at, from)
}

// receive checks one thing after the other, the cheap ones first. The body is
// read whichever provider is named, so that little is told by the time it takes.
func (r *Receiver) receive(w http.ResponseWriter, q *http.Request, at place, from *sender) Result {
	if q.Method != http.MethodPost || !at.ok {
		return Malformed
	}
	if q.ContentLength > r.maxBody {
		return TooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, r.maxBody))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return TooLarge
	}
	media, _, badType := mime.ParseMediaType(q.Header.Get("Content-Type"))
	switch {
	case err != nil || badType != nil:
		return Malformed
	case from == nil:
		return Unknown
	}
	n, err := from.verifier.VerifyNotification(media, body)
	switch {
	case errors.Is(err, providers.ErrForgedNotification):
		return Forged
	case err != nil:
		return Malformed
	}
	result := r.act(q.Context(), at, from, n)
	r.log.Debug("notification", "provider", at.provider, "state", string(result), "payment_id", masked(cmp.Or(n.Native, n.Reference)))
	return result
}

// act does what an authentic notification may do: once, if it is fresh.
func (r *Receiver) act(ctx context.Context, at place, from *sender, n providers.Notification) Result {
	id, ok := at.payment(n)
	switch {
	case !ok:
		return Unknown
	case !r.fresh(n):
		return Stale
	}
	k := key{at.provider, n.Digest}
	if !r.seen.take(k) {
		return Duplicate
	}
	if !from.limit.AllowN(r.now(), 1) {
		r.seen.forget(k)
		return Limited
	}
	return r.requery(ctx, id, n.Reference, k)
}

// fresh reports whether the signed time, where there is one, can be of a
// notification that is still being delivered.
func (r *Receiver) fresh(n providers.Notification) bool {
	if n.Time.IsZero() {
		return true
	}
	age := r.now().Sub(n.Time)
	return age-n.Uncertain <= r.maxAge && age+n.Uncertain >= -fromFuture
}

// masked keeps the last four characters of a long text.
func masked(text string) string {
	const shown = 4
	if len(text) < 3*shown {
		return strings.Repeat("*", shown)
	}
	return strings.Repeat("*", shown) + text[len(text)-shown:]
}
