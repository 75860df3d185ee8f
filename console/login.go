package console

import (
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// maxName bounds a user's name in a login, in octets.
const maxName = 64

func (c *Console) showLogin(w http.ResponseWriter, r *http.Request) {
	if c.sessions.find(r, true) != nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	c.loginPage(w, r, http.StatusOK, "")
}

func (c *Console) loginPage(w http.ResponseWriter, r *http.Request, status int, problem string) {
	v := view{Page: "login", Title: "login", Problem: problem, Back: "/login", Users: len(c.accounts.of) > 0}
	if c.oidc != nil {
		v.OIDC = c.oidc.Name
	}
	c.render(w, r, status, v)
}

// logIn checks a password. What it answers to a user who does not exist does not differ from what it answers
// to a wrong password, also in time and in the waits.
func (c *Console) logIn(w http.ResponseWriter, r *http.Request) {
	l, address := languageOf(r), addressKey(clientOf(r))
	if err := r.ParseForm(); err != nil {
		c.loginPage(w, r, http.StatusRequestEntityTooLarge, l.say("tooLarge"))
		return
	}
	name, password := strings.TrimSpace(r.PostForm.Get("name")), r.PostForm.Get("password")
	if len(name) > maxName || len(password) > maxPassword {
		name, password = "", "" // no such user
	}
	must := max(c.byAddress.wait(address), c.byUser.wait(name))
	if must > 0 {
		c.tooMany(w, r, must)
		return
	}
	select {
	case c.accounts.turn <- struct{}{}:
	case <-time.After(loginTurn):
		c.tooMany(w, r, time.Second)
		return
	case <-r.Context().Done():
		return
	}
	u, ok := c.accounts.check(name, password)
	<-c.accounts.turn
	if !ok {
		c.byAddress.failed(address)
		c.byUser.failed(name)
		c.auditLogin(r, nil, "refused", "password")
		c.loginPage(w, r, http.StatusUnauthorized, l.say("loginWrong"))
		return
	}
	c.byAddress.succeeded(address)
	c.byUser.succeeded(name)
	c.auditLogin(r, &u, "ok", "password")
	c.admit(w, u)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// loginTurn is how long a login waits for others whose passwords are checked.
const loginTurn = 5 * time.Second

func (c *Console) tooMany(w http.ResponseWriter, r *http.Request, must time.Duration) {
	c.auditLogin(r, nil, "slowed", "password")
	w.Header().Set("Retry-After", strings.TrimSuffix(wait(must), " s"))
	c.loginPage(w, r, http.StatusTooManyRequests, languageOf(r).say("loginWait", wait(must)))
}

// auditLogin logs and records a login. Of those that fail a sample is logged, with the number of the others; their names
// only where there is such a user, since others may be passwords. What is logged is recorded, and each wrong password of a
// user that there is: of those there can't be many, since they are slowed.
func (c *Console) auditLogin(r *http.Request, u *User, outcome, by string) {
	if u != nil {
		c.audit(r, u, event{what: "login by " + by, outcome: outcome})
		return
	}
	name := strings.TrimSpace(r.PostForm.Get("name"))
	if _, known := c.accounts.of[name]; !known {
		name = ""
	}
	logged := c.failures.Write("login "+outcome, slog.LevelInfo, "console", slog.String("what", "login by "+by), slog.String("outcome", outcome),
		slog.String("user", name), slog.String("remote", clientOf(r)))
	if logged || name != "" && outcome == "refused" {
		c.record(r, &User{Name: name}, event{what: "login by " + by, outcome: outcome}, nil)
	}
}

// admit begins a session.
func (c *Console) admit(w http.ResponseWriter, u User) {
	http.SetCookie(w, cookie(sessionCookie, c.sessions.begin(u), c.sessions.longest, http.SameSiteStrictMode))
}

func (c *Console) logOut(w http.ResponseWriter, r *http.Request) {
	if s := c.sessions.find(r, false); s != nil {
		c.audit(r, &s.user, event{what: "logout", outcome: "ok"})
	}
	c.sessions.end(r)
	http.SetCookie(w, cookie(sessionCookie, "", 0, http.SameSiteStrictMode))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

const languageAge = 365 * 24 * time.Hour

// setLanguage is the switch of languages. It leads back to the page that it was on.
func (c *Console) setLanguage(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	value := "nb"
	if r.PostForm.Get("to") == "en" {
		value = "en"
	}
	http.SetCookie(w, cookie(languageCookie, value, languageAge, http.SameSiteLaxMode))
	back := r.PostForm.Get("back")
	if !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//") || strings.ContainsAny(back, "\\\r\n") {
		back = "/"
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}
