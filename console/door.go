package console

import (
	"context"
	"net/http"
	"time"
)

// cookieName is the session's cookie.
const cookieName = "countermand_session"

// visitorKey is the key of the visitor in the context of a request.
type visitorKey struct{}

// visiting is the visitor of a request that reading or deciding has let through.
func visiting(r *http.Request) visitor {
	v, _ := r.Context().Value(visitorKey{}).(visitor)
	return v
}

// headers sets the headers of every answer. The browser may load scripts and styles
// from this address only, runs nothing inline, and shows the pages in no frame.
func headers(next http.Handler) http.Handler {
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// reading lets a request through if its visitor may read.
func (c *Console) reading(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, ok := c.recognise(r)
		switch {
		case ok:
			next(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, v)))
		case c.access.open():
			c.fail(w, r, http.StatusForbidden, "Nobody can sign in here: the configuration names no viewers, so the console is open to this machine's own address only.")
		case !c.access.configured():
			c.fail(w, r, http.StatusForbidden, "Nobody can sign in here: the configuration names no viewers and no operators (console.viewers, console.operators).")
		case byItself(r):
			// The session of a page that refreshes itself has ended: show the login.
			w.Header().Set("HX-Redirect", root+"login")
			w.WriteHeader(http.StatusUnauthorized)
		case len(c.access.Viewers)+len(c.access.Operators) == 0:
			c.fail(w, r, http.StatusUnauthorized, "The proxy in front has not said who you are.")
		default:
			http.Redirect(w, r, root+"login", http.StatusSeeOther)
		}
	}
}

// deciding lets a request through if its visitor may decide.
func (c *Console) deciding(next http.HandlerFunc) http.HandlerFunc {
	return c.reading(func(w http.ResponseWriter, r *http.Request) {
		if !visiting(r).operator {
			c.fail(w, r, http.StatusForbidden, "You may read here, not decide: that takes an operator.")
			return
		}
		next(w, r)
	})
}

// recognise finds the visitor of a request.
func (c *Console) recognise(r *http.Request) (visitor, bool) {
	if !c.access.configured() {
		return c.access.local(), c.access.open() && atHome(r)
	}
	if v, ok := c.access.byProxy(r); ok {
		return v, true
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return visitor{}, false
	}
	s, ok := c.sessions.find(cookie.Value, !byItself(r))
	if !ok {
		return visitor{}, false
	}
	return c.access.still(s)
}

// byItself reports whether a page sent the request without its reader. Such
// requests must not keep a session alive.
func byItself(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "true" || r.Header.Get("Accept") == "text/event-stream"
}

// loginPage shows the form.
func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	if len(c.access.Viewers)+len(c.access.Operators) == 0 {
		http.Redirect(w, r, root, http.StatusSeeOther)
		return
	}
	c.show(w, r, page{Name: "login", Title: "Sign in"})
}

// login exchanges a token for a session. What wrong tokens cost is limited, for all
// visitors together: whoever sends them all day must not keep out who has a right one.
// Tokens are too long to be found by trying.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	name, sum, ok := c.access.byToken(r.PostFormValue("token"))
	if !ok && !c.tries.AllowN(c.now(), 1) {
		c.show(w, r, page{Name: "login", Title: "Sign in", Status: http.StatusTooManyRequests, Data: "Too many wrong tokens. Wait a moment and try again."})
		return
	}
	if !ok {
		c.log.Warn("a sign-in to the console was refused")
		c.show(w, r, page{Name: "login", Title: "Sign in", Status: http.StatusUnauthorized, Data: "This token is nobody's."})
		return
	}
	http.SetCookie(w, c.cookie(r, c.sessions.start(name, sum), int(c.sessions.lifetime/time.Second)))
	c.log.Info("signed in to the console", "operator", name)
	http.Redirect(w, r, root, http.StatusSeeOther)
}

// logout ends the session.
func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		c.sessions.end(cookie.Value)
	}
	http.SetCookie(w, c.cookie(r, "", -1))
	http.Redirect(w, r, root+"login", http.StatusSeeOther)
}

// cookie is the cookie of a session. Over a network it is sent encrypted only.
func (c *Console) cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // plain HTTP is for this machine alone
		Name: cookieName, Value: value, Path: root, MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: !loopbackHost(r.Host),
	}
}
