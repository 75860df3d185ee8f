package console

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

const (
	maxSessions     = 1000
	maxUserSessions = 10 // a further login ends the user's oldest session
)

// Names of cookies. The prefix has browsers refuse them from other hosts, and without TLS (RFC 6265bis §4.1.3).
const (
	sessionCookie  = "__Host-straks"
	loginCookie    = "__Host-straks-login" // of a login by OIDC that is under way
	languageCookie = "__Host-straks-language"
)

// session is one login.
type session struct {
	user    User
	began   time.Time
	used    time.Time
	streams int // live streams that are open
}

// sessions are all logins, by the hash of their token: a dump of memory shows no token.
type sessions struct {
	longest time.Duration // from the login
	idle    time.Duration // from the last request
	now     func() time.Time

	mu sync.Mutex
	of map[[sha256.Size]byte]*session
}

func newSessions(longest, idle time.Duration) *sessions {
	return &sessions{longest: longest, idle: idle, now: time.Now, of: make(map[[sha256.Size]byte]*session)}
}

// begin makes a session, and returns its token.
func (s *sessions) begin(u User) string {
	token, now := rand.Text(), s.now() // 130 bits
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeEnded(now)
	s.removeOldest(maxUserSessions, func(o *session) bool { return o.user.Name == u.Name })
	s.removeOldest(maxSessions, func(*session) bool { return true })
	s.of[sha256.Sum256([]byte(token))] = &session{user: u, began: now, used: now}
	return token
}

func (s *sessions) ended(o *session, now time.Time) bool {
	return now.Sub(o.began) >= s.longest || now.Sub(o.used) >= s.idle
}

func (s *sessions) removeEnded(now time.Time) {
	for key, o := range s.of {
		if s.ended(o, now) {
			delete(s.of, key)
		}
	}
}

// removeOldest makes room for one more where there are most sessions of a kind.
func (s *sessions) removeOldest(most int, of func(*session) bool) {
	var oldest [sha256.Size]byte
	n := 0
	for key, o := range s.of {
		if !of(o) {
			continue
		}
		if n++; n == 1 || o.used.Before(s.of[oldest].used) {
			oldest = key
		}
	}
	if n >= most {
		delete(s.of, oldest)
	}
}

// find returns the session of the request, nil if it has none. used: the request is of a person, and not of
// a page that is left open.
func (s *sessions) find(r *http.Request, used bool) *session {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	key, now := sha256.Sum256([]byte(c.Value)), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.of[key]
	switch {
	case o == nil:
		return nil
	case s.ended(o, now):
		delete(s.of, key)
		return nil
	case used:
		o.used = now
	}
	return o
}

// end removes the session of the request.
func (s *sessions) end(r *http.Request) {
	if c, err := r.Cookie(sessionCookie); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.of, sha256.Sum256([]byte(c.Value)))
	}
}

// stream takes one of the session's live streams, and reports whether there was one left.
func (s *sessions) stream(o *session, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.streams >= most {
		return false
	}
	o.streams++
	return true
}

func (s *sessions) endStream(o *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.streams--
}

// cookie returns a cookie of this host for its whole lifetime; an age of 0 removes it.
func cookie(name, value string, age time.Duration, site http.SameSite) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(age.Seconds()), Secure: true, HttpOnly: true, SameSite: site}
	if age <= 0 {
		c.MaxAge = -1
	}
	return c
}
