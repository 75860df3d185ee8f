package inbox

import (
	"crypto/rand"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	maxLogins  = 100 // that are kept: the oldest go
	keepCalls  = 10  // of a login, that the page shows
	cookieName = "straks-sandbox-login"
)

// login is one browser's way through the page. The verification is kept here, and the browser has nothing but a random
// name of the login: a page that took the id from its form would let one person's code approve another's login.
type login struct {
	To    string
	ID    string    // of the verification; empty: none is under way
	Said  string    // to the person, about the last call
	Bad   bool      // Said is about something that went wrong
	Calls []apiCall // newest first
}

// apiCall is a call of the API that a step made, for the developer to see.
type apiCall struct {
	At     time.Time
	Call   string // "POST /verifications"
	Answer string // "201 Created"
	Says   string // of the answer's body
}

// note adds a call.
func (l *login) note(call, answer, says string) {
	l.Calls = slices.Insert(l.Calls[:min(len(l.Calls), keepCalls-1)], 0, apiCall{time.Now(), call, answer, says})
}

// logins are the newest logins, by the cookies of their browsers.
type logins struct {
	mu    sync.Mutex
	byKey map[string]login
	order []string // keys, oldest first
}

func newLogins() *logins { return &logins{byKey: make(map[string]login)} }

// of returns a copy of the request's login and its key; a new one where the request has none.
func (ls *logins) of(r *http.Request) (key string, l login) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if cookie, err := r.Cookie(cookieName); err == nil {
		if l, ok := ls.byKey[cookie.Value]; ok {
			l.Calls = slices.Clone(l.Calls)
			return cookie.Value, l
		}
	}
	return rand.Text(), login{}
}

// keep stores a login, and has the browser remember its key.
func (ls *logins) keep(w http.ResponseWriter, key string, l login) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if _, known := ls.byKey[key]; !known {
		if len(ls.order) == maxLogins {
			delete(ls.byKey, ls.order[0])
			ls.order = slices.Delete(ls.order, 0, 1)
		}
		ls.order = append(ls.order, key)
	}
	ls.byKey[key] = l
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: key, Path: "/verify", HttpOnly: true, SameSite: http.SameSiteStrictMode})
}
