// Package config reads the configuration: one TOML file, read once, at the start.
//
// The structs of this package are the manual: a field's comment tells its key's
// meaning, unit and default, and configs/straks.toml says the same for operators
// (a test holds the two together).
//
//	file -> map -> decode into structs that hold their defaults -> check -> read secrets
//
// No stage stops at the first fault, nor keeps the next one from running: whoever
// mends a configuration sees all that is wrong at once, each fault with its dotted
// key ("smsc[0].addr"). What an unknown key may have been meant for is guessed.
//
// # Secrets
//
// A password never stands in the file, but in one of its own, which a key ending
// in _file names: as a path, or as a bare name in $CREDENTIALS_DIRECTORY, where
// systemd puts what LoadCredential= names. Of a bearer token there is only the
// SHA-256.
package config

import (
	"time"

	"straks/smpp"
)

// Config is the whole configuration.
type Config struct {
	API           API
	Admin         Admin
	Journal       Journal
	Log           Log
	Numbers       Numbers
	SMS           SMS
	Email         Email
	Organisations []Organisation `toml:"organisation"` // at least one
	SMSCs         []SMSC         `toml:"smsc"`         // none: no SMS
	Routes        []smpp.Route   `toml:"route"`        // none: every SMSC, in the order of the file
	Relays        []Relay        `toml:"relay"`        // none: no e-mail
}

// API is the listener that clients speak to.
type API struct {
	Listen      string // host:port. Required
	BasePath    string // before every route: "/notifications/api/v1"; "/" for none
	TLSCertFile string // PEM chain; with tls_key_file, the listener speaks TLS. Without: plain HTTP
	TLSKeyFile  string // PEM key: a path, or a name in $CREDENTIALS_DIRECTORY

	// SendDeadline bounds an order from its acceptance to the carrier's answer: 5s.
	// When it passes, the order is answered 503 if the message surely did not
	// leave, else 201 with status …_Sending.
	SendDeadline time.Duration
	// MaxInFlight bounds orders of a channel at once; beyond it they get 503 at once: 0,
	// which has it follow from the carriers (see Rooms).
	MaxInFlight int

	MaxBody           Size          // of a request: 1MiB
	MaxHeader         Size          // of a request's headers: 16KiB
	MaxConnections    int           // open at once; more wait in the kernel's backlog: 4096
	ReadHeaderTimeout time.Duration // for a request's headers: 5s
	ReadTimeout       time.Duration // for a whole request: 10s
	WriteTimeout      time.Duration // from the headers to the answer's last octet, more than send_deadline: 30s
	IdleTimeout       time.Duration // of a kept connection: 2m
	DrainTimeout      time.Duration // at shutdown, for requests in flight, more than send_deadline: 10s
}

func (a *API) setDefaults() {
	*a = API{
		BasePath:          "/notifications/api/v1",
		SendDeadline:      5 * time.Second,
		MaxBody:           1 << 20,
		MaxHeader:         16 << 10,
		MaxConnections:    4096,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		DrainTimeout:      10 * time.Second,
	}
}

func (a *API) check(c *checker) {
	c.listen("listen", a.Listen)
	c.basePath("base_path", a.BasePath)
	c.keyPair("tls_cert_file", &a.TLSCertFile, "tls_key_file", &a.TLSKeyFile)
	c.between("send_deadline", a.SendDeadline, 100*time.Millisecond, time.Minute)
	c.count("max_in_flight", a.MaxInFlight, 0, 1_000_000)
	c.size("max_body", a.MaxBody, 4<<10, 16<<20)
	c.size("max_header", a.MaxHeader, 4<<10, 1<<20)
	c.count("max_connections", a.MaxConnections, 1, 1_000_000)
	c.between("read_header_timeout", a.ReadHeaderTimeout, 100*time.Millisecond, time.Minute)
	c.between("read_timeout", a.ReadTimeout, 100*time.Millisecond, 10*time.Minute)
	c.between("write_timeout", a.WriteTimeout, a.SendDeadline+time.Second, 10*time.Minute)
	c.between("idle_timeout", a.IdleTimeout, time.Second, time.Hour)
	c.between("drain_timeout", a.DrainTimeout, a.SendDeadline+time.Second, time.Minute)
}

// Admin is the private listener: /healthz, /readyz, /status, /metrics, pprof and
// /journal/backup. It has no authentication: keep it where only operators and
// monitoring reach.
type Admin struct {
	Listen string // host:port. Required
}

func (a *Admin) check(c *checker) {
	if c.listen("listen", a.Listen) && !private(a.Listen) {
		c.warn("listen", "is reachable from outside this network, and has no authentication")
	}
}

// Log is what goes to stderr, as JSON lines.
type Log struct {
	Level string // "debug", "info", "warn" or "error": "info". The text of messages is in none of them
}

func (l *Log) setDefaults() { l.Level = "info" }

func (l *Log) check(c *checker) { c.oneOf("level", l.Level, "debug", "info", "warn", "error") }
