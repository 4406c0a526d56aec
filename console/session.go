package console

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// maxSessions bounds the sessions. Beyond it, the one unused for longest ends.
const maxSessions = 1000

// session is a browser that has signed in with a token. It is in the memory of this
// process only: a restart ends it, and other replicas do not know it.
type session struct {
	name    string
	token   [sha256.Size]byte // hash of the token that opened it: a rotation ends it
	opened  time.Time
	touched time.Time
}

// sessions are the open sessions; safe for concurrent use.
type sessions struct {
	lifetime, idle time.Duration
	now            func() time.Time

	mu   sync.Mutex
	open map[[sha256.Size]byte]*session // by the hash of the cookie's value
}

func newSessions(lifetime, idle time.Duration, now func() time.Time) *sessions {
	return &sessions{lifetime: lifetime, idle: idle, now: now, open: map[[sha256.Size]byte]*session{}}
}

// start opens a session and returns the value of its cookie: at least 128 random
// bits. Only their hash is kept.
func (s *sessions) start(name string, token [sha256.Size]byte) string {
	value := rand.Text()
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prune(now)
	s.open[sha256.Sum256([]byte(value))] = &session{name: name, token: token, opened: now, touched: now}
	return value
}

// find returns a session that has not expired. With touch it counts as used now;
// requests that a page sends by itself must not touch it.
func (s *sessions) find(value string, touch bool) (session, bool) {
	key, now := sha256.Sum256([]byte(value)), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.open[key]
	if !ok {
		return session{}, false
	}
	if s.expired(found, now) {
		delete(s.open, key)
		return session{}, false
	}
	if touch {
		found.touched = now
	}
	return *found, true
}

// end ends a session.
func (s *sessions) end(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, sha256.Sum256([]byte(value)))
}

func (s *sessions) expired(one *session, now time.Time) bool {
	return !now.Before(one.opened.Add(s.lifetime)) || !now.Before(one.touched.Add(s.idle))
}

// prune makes room for one more session. Callers hold mu.
func (s *sessions) prune(now time.Time) {
	var oldest [sha256.Size]byte
	var since time.Time
	for key, one := range s.open {
		if s.expired(one, now) {
			delete(s.open, key)
			continue
		}
		if since.IsZero() || one.touched.Before(since) {
			oldest, since = key, one.touched
		}
	}
	if len(s.open) >= maxSessions {
		delete(s.open, oldest)
	}
}
