package console

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"sync"
	"time"

	"straks/internal/audit"
	"straks/internal/ratelog"
)

// Config is what the console is made of.
type Config struct {
	Source   Source        // required
	Accounts []Account     // users with passwords
	OIDC     *OIDC         // nil: none
	Session  time.Duration // from a login until the next; DefaultSession
	Idle     time.Duration // without a request until the next login; DefaultIdle
	Log      *slog.Logger  // required; who did what goes there too
	Audit    *audit.Log    // records who did what; may be nil
}

const (
	DefaultSession = 12 * time.Hour
	DefaultIdle    = 2 * time.Hour
	maxForm        = 16 << 10 // octets of a request's body
	maxFailures    = 30       // lines a minute about logins that fail
)

// policy lets a page load and call this host only, and run no inline script or style (Content Security Policy Level 3).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Console is the handler of all pages.
type Console struct {
	source    Source
	accounts  *accounts
	oidc      *login // nil: none
	sessions  *sessions
	byAddress *throttle
	byUser    *throttle
	streams   chan struct{} // one for each that is open
	searches  chan struct{} // one for each that runs
	templates [2]templates  // by language
	log       *slog.Logger
	recorder  *audit.Log
	failures  *ratelog.Log // logins
	handler   http.Handler
	closing   chan struct{} // closed by Close
	close     sync.Once
}

// New returns the console. The error is about the configuration.
func New(cfg Config) (*Console, error) {
	if cfg.Source == nil || cfg.Log == nil {
		return nil, errors.New("console: no Source, or no Log")
	}
	if cfg.Session == 0 {
		cfg.Session = DefaultSession
	}
	if cfg.Idle == 0 {
		cfg.Idle = DefaultIdle
	}
	c := &Console{source: cfg.Source, sessions: newSessions(cfg.Session, cfg.Idle), log: cfg.Log, recorder: cfg.Audit,
		byAddress: newThrottle(5, 5*time.Minute), byUser: newThrottle(10, 30*time.Second), failures: ratelog.New(cfg.Log, maxFailures), streams: make(chan struct{}, maxStreams), searches: make(chan struct{}, maxSearches), closing: make(chan struct{})}
	var err error
	if c.accounts, err = newAccounts(cfg.Accounts); err != nil {
		return nil, err
	}
	if cfg.OIDC != nil {
		c.oidc = newLogin(*cfg.OIDC)
	}
	for _, l := range []lang{norwegian, english} {
		if c.templates[l], err = parseTemplates(l); err != nil {
			return nil, err
		}
	}
	c.handler = c.headers(http.NewCrossOriginProtection().Handler(c.mux()))
	return c, nil
}

// Close ends the streams of open pages, now and from then on: they would hold up a shutdown.
func (c *Console) Close() { c.close.Do(func() { close(c.closing) }) }

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

func (c *Console) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", c.showLogin)
	mux.HandleFunc("POST /login", c.logIn)
	mux.HandleFunc("POST /logout", c.logOut)
	mux.HandleFunc("POST /language", c.setLanguage)
	if c.oidc != nil {
		mux.HandleFunc("GET /login/oidc", c.startOIDC)
		mux.HandleFunc("GET /login/oidc/callback", c.finishOIDC)
	}
	mux.HandleFunc("GET /static/{file}", c.static)
	for pattern, p := range map[string]struct {
		role  Role
		serve func(http.ResponseWriter, *http.Request, *session)
	}{
		"GET /{$}":                    {View, c.showNow},
		"GET /live":                   {View, c.live},
		"GET /organisations":          {View, c.showOrganisations},
		"GET /carrier/{name}":         {View, c.showCarrier},
		"POST /carrier/{name}/route":  {View, c.askRoute},
		"POST /carrier/{name}/{what}": {Operate, c.operate},
		"GET /find":                   {Support, c.showFind},
		"POST /find":                  {Support, c.find},
		"GET /message/{id}":           {Support, c.showMessage},
		"GET /blocked":                {Support, c.showBlocked},
		"POST /blocked":               {Support, c.showBlocked},
		"POST /blocked/lift":          {Support, c.lift},
	} {
		mux.Handle(pattern, c.with(p.role, p.serve))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var u *User
		if s := c.sessions.find(r, false); s != nil {
			u = &s.user
		}
		c.fail(w, r, u, http.StatusNotFound, "notFound", languageOf(r).say("noPage"))
	})
	return mux
}

// with gives the handler the session of a user who has the role.
func (c *Console) with(role Role, serve func(http.ResponseWriter, *http.Request, *session)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := c.sessions.find(r, r.URL.Path != "/live")
		switch {
		case s == nil && r.URL.Path == "/live":
			w.WriteHeader(http.StatusNoContent) // tells a browser to end its stream
		case s == nil:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		case !s.user.May(role):
			c.audit(r, &s.user, event{what: "page", outcome: "refused", why: "needs " + string(role)}, slog.String("path", path.Clean(r.Pattern)))
			c.fail(w, r, &s.user, http.StatusForbidden, "forbidden", languageOf(r).say("needsRole", role))
		default:
			if err := r.ParseForm(); err != nil {
				c.fail(w, r, &s.user, http.StatusRequestEntityTooLarge, "error", languageOf(r).say("tooLarge"))
				return
			}
			serve(w, r, s)
		}
	})
}

// headers sets what every answer has, and bounds the body of every request.
func (c *Console) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		h.Set("Vary", "Accept-Language, Cookie")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// static answers with a file of the pages.
func (c *Console) static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	body, err := fs.ReadFile(staticFiles, path.Join("static", path.Base(name)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	w.Header().Set("Content-Type", kinds[path.Ext(name)])
	w.Header().Set("Cache-Control", "max-age=300")
	w.Write(body) // an error means that the client has gone
}
