package console

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/payment"
)

// root is the path of the console.
const root = "/console/"

// The limits of what a browser may send, and of a session.
const (
	maxForm         = 64 << 10
	defaultLifetime = 8 * time.Hour
	defaultIdle     = 30 * time.Minute
)

//go:embed templates static
var assets embed.FS

// Desk shows payments and carries out what operators decide (*desk.Desk). Errors
// for the operator to read are *desk.Error. Safe for concurrent use.
type Desk interface {
	Queue(ctx context.Context, f desk.Filter) (*desk.Queue, error)
	Payment(ctx context.Context, id payment.ID) (*desk.Story, error)
	Ask(ctx context.Context, who desk.Operator, id payment.ID, op payment.Op, key payment.Key) (*desk.Reply, error)
	Resolve(ctx context.Context, who desk.Operator, r desk.Ruling) (desk.Done, error)
}

// Standing is how one provider instance stands now.
type Standing struct {
	Provider, Kind string
	Paused         bool
	Breaker        payment.Breaker
	Until          time.Time // the next call at the earliest, while the breaker is open
	UnderWay       int
}

// Service is what the console shows of the service it is a part of. Both
// functions are needed and are called from many goroutines at once.
type Service struct {
	// Standing lists the provider instances by name.
	Standing func() []Standing
	// Ready reports whether commands are being carried out, and if not, why.
	Ready func() (ok bool, reason string)
	// Away is since when there is no connection to NATS; zero: there is one. Default:
	// there always is one.
	Away func() time.Time
}

// Options are the optional parts of a Console; nil and zero values mean the
// defaults.
type Options struct {
	// Access says who gets in. Default: nobody.
	Access Access
	// Lifetime and Idle end a session; defaults 8 h and 30 min.
	Lifetime, Idle time.Duration
	Now            func() time.Time // default: time.Now
	Logger         *slog.Logger     // default: discards
}

// Console serves the pages under /console/; safe for concurrent use.
type Console struct {
	access   Access
	desk     Desk
	feed     *Feed
	service  Service
	sessions *sessions
	tries    *rate.Limiter
	now      func() time.Time
	log      *slog.Logger
	pages    *template.Template
	handler  http.Handler
}

// New returns a console. Its only I/O is to read the tokens once: it refuses those
// that are too short.
func New(d Desk, f *Feed, s Service, o *Options) (*Console, error) {
	if d == nil || f == nil || s.Standing == nil || s.Ready == nil {
		return nil, errors.New("open console: desk, feed, standing and readiness are needed")
	}
	if o == nil {
		o = &Options{}
	}
	if err := o.Access.verify(); err != nil {
		return nil, err
	}
	c := &Console{
		access: o.Access, desk: d, feed: f, service: s, tries: rate.NewLimiter(1, 10), now: o.Now, log: o.Logger,
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.service.Away == nil {
		c.service.Away = func() time.Time { return time.Time{} }
	}
	c.sessions = newSessions(cmp.Or(o.Lifetime, defaultLifetime), cmp.Or(o.Idle, defaultIdle), c.now)
	var err error
	if c.pages, err = parse(c.now); err != nil {
		return nil, err
	}
	c.handler, err = c.routes()
	return c, err
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// filesOnly answers no folder with a list of what is in it.
func filesOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.URL.Path; name == "" || strings.HasSuffix(name, "/") {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// routes lists every address.
func (c *Console) routes() (http.Handler, error) {
	static, err := fs.Sub(assets, "static")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+root+"static/{file...}", http.StripPrefix(root+"static/", filesOnly(http.FileServerFS(static))))
	mux.HandleFunc("GET "+root+"login", c.loginPage)
	mux.HandleFunc("POST "+root+"login", c.login)
	mux.HandleFunc("POST "+root+"logout", c.logout)
	for pattern, serve := range map[string]http.HandlerFunc{
		"{$}":                           c.overview,
		"state":                         c.state,
		"numbers":                       c.numbers,
		"queue":                         c.queue,
		"queue/rows":                    c.queueRows,
		"payments":                      c.find,
		"payments/{provider}/{payment}": c.payment,
		"rejected":                      c.rejected,
		"live":                          c.live,
		"events":                        c.events,
	} {
		mux.HandleFunc("GET "+root+pattern, c.reading(serve))
	}
	mux.HandleFunc("POST "+root+"payments/{provider}/{payment}/ask", c.deciding(c.ask))
	mux.HandleFunc("POST "+root+"payments/{provider}/{payment}/resolve", c.deciding(c.resolve))
	mux.HandleFunc(root, c.reading(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, http.StatusNotFound, "There is no such page.")
	}))
	// This refuses requests that could change something and come from another site.
	// If the browser does not name the site, the origin must be ours.
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return headers(http.MaxBytesHandler(guarded, maxForm)), nil
}
