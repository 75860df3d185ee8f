// Package config reads the configuration: one TOML file, read at the start and by each reload.
//
// The structs of this package are the manual: a field's comment gives its key's meaning,
// unit and default, and configs/straks.toml says the same for operators (a test compares
// the two).
//
//	file -> map -> decode into structs that hold their defaults -> check -> read secrets
//
// No stage stops at the first fault or keeps the next stage from running: the operator sees
// every fault at once, each with its dotted key ("smsc[0].addr"). An unknown key comes with a
// suggestion. Each carrier's package owns the defaults and the checks of its keys.
//
// # Secrets
//
// A password is never in the file, but in a file of its own. A key that ends in _file names
// that file: as a path, or as a bare name in $CREDENTIALS_DIRECTORY, where systemd puts the
// credentials of LoadCredential=, also those of a whole folder. Of a bearer token the file has only the SHA-256.
//
// # Files
//
//	config.go        the whole, the API's listener, the log
//	journal.go       the journal: a file, or a database
//	journalkeys.go    its keys
//	node.go          this process among those that share a journal
//	alike.go         what must be the same on all of them
//	listeners.go     the private listeners: metrics and admin
//	console.go       the operator's console, its users and its provider of logins
//	organisation.go  organisations, their tokens, the senders
//	limits.go        how many orders an organisation may place, and to whom
//	retention.go     how long orders are kept, and how far limits look back
//	cost.go          prices and budgets
//	webhook.go       receivers of an organisation's feed
//	issuer.go        issuers of JSON web tokens
//	clientcert.go    client certificates, and who vouches for them
//	mode.go          organisations that only test
//	carrier.go       SMSCs and routes of both kinds
//	relay.go         relays
//	audit.go         the record of who did what
//	verification.go  verification codes: keys and texts
//	dkim.go          signatures of mails, and their keys
//	mail.go          where reports about mails come back
//	reload.go        what takes effect at the start only
//	load.go          reading a file, and what several sections must agree on
//	decode.go        a TOML table into a struct
//	values.go        single values: durations, sizes, digests
//	check.go         faults and warnings
//	files.go         passwords and certificates in files of their own
//	names.go         names alone, for completion
//	numbers.go       phone numbers beyond libphonenumber's metadata
//	parts.go         what each part of the daemon gets
//	descriptors.go   how many file descriptors that takes
package config

import (
	"time"

	"straks/api"
	"straks/internal/faults"
	"straks/orders"
	"straks/smpp"
	"straks/smtp"
)

// Config is the whole configuration.
type Config struct {
	API           API
	Metrics       Metrics
	Admin         Admin
	Console       Console // absent: there is none
	Journal       Journal
	Node          Node // with journal.engine = "postgres" only
	Log           Log
	Audit         Audit
	Numbers       Numbers
	Limits        Limits
	Cost          Cost
	SMS           SMS
	Email         Email
	Mail          Mail
	Verification  Verification   // without key_file: there are no verification codes
	Organisations []Organisation `toml:"organisation"` // at least one
	SMSCs         []SMSC         `toml:"smsc"`         // none: no SMS
	Routes        []smpp.Route   `toml:"route"`        // none: every SMSC, in the order of the file
	Prices        []Price        `toml:"price"`        // none: what an SMS costs is not known
	Relays        []Relay        `toml:"relay"`        // none: no e-mail
	MailRoutes    []smtp.Route   `toml:"mail_route"`   // none: every relay, in the order of the file
	DKIM          []DKIM         `toml:"dkim"`         // none: no mail is signed
	Issuers       []Issuer       `toml:"issuer"`       // none: static tokens only

	files  []File
	digest string // of the file's text
}

// Digest returns the SHA-256 of the file, in hex digits.
func (cfg *Config) Digest() string { return cfg.digest }

// API is the listener that clients speak to.
type API struct {
	Listen      string   // host:port, or the absolute path of a unix socket for a proxy on this machine. Required
	Mode        FileMode // of the socket: 0660
	Group       string   // of the socket, name or number; the daemon must be a member: its own
	BasePath    string   // before every route: "/notifications/api/v1"; "/" for none
	TLSCertFile string   // PEM chain; with tls_key_file, the listener speaks TLS. Without: plain HTTP
	TLSKeyFile  string   // PEM key: a path, or a name in $CREDENTIALS_DIRECTORY
	// ClientCAFiles are PEM files of the authorities that vouch for client certificates. Default none: clients are not
	// asked for any. ClientCRLFiles are their lists of revoked certificates, PEM or DER. All are read again
	// when they change.
	ClientCAFiles  []string
	ClientCRLFiles []string
	ClientCRLGrace time.Duration // for which such a list may be out of date before certificates are refused for it: 24h
	PlainHTTP      bool          `toml:"plain_http"` // the listener may be reached from other machines without TLS: false
	Docs           bool          // serve a page that renders the OpenAPI document, at /docs: false

	// SendDeadline bounds an order from its acceptance to the carrier's answer: 5s.
	// After it, the answer is 503 if the message surely did not leave, else 201 with
	// status …_Sending.
	SendDeadline time.Duration
	// MaxInFlight bounds the orders of a channel between their admission and their outcome
	// on disk: 0, which stands for 10,000. See orders.Config.
	MaxInFlight int

	MaxBody           Size          // of a request: 1MiB
	MaxBodySMS        Size          // of a request for an SMS, where that is less than MaxBody: 256KiB
	MaxHeader         Size          // of a request's headers: 16KiB
	MaxConnections    int           // open at once; beyond it, an idle one is closed for each new one: 4096
	ReadHeaderTimeout time.Duration // for a request's headers: 5s
	ReadTimeout       time.Duration // for a whole request: 10s
	WriteTimeout      time.Duration // from the headers to the answer's last octet, more than send_deadline: 30s
	IdleTimeout       time.Duration // of a kept connection: 2m
	DrainNotice       time.Duration // at shutdown, from the moment when /readyz says 503 until no more requests are taken: 0s
	DrainTimeout      time.Duration // at shutdown, for requests in flight, more than send_deadline: 10s

	// MaxConnectionsPerAddress bounds the connections of one IPv4 address, or of one /64 of
	// IPv6: 1024. MaxConnectionsPerAuthorizedAddress takes its place while one of them has shown
	// a good token: 3072. Both count for as much as max_connections at most.
	MaxConnectionsPerAddress           int
	MaxConnectionsPerAuthorizedAddress int

	// AuthFailureBurst is how many calls with a bad token or certificate one address (as above) gets answered at once: 100;
	// and AuthFailureRate how many a second in the long run: 5. Others wait, or get 429.
	AuthFailureBurst int
	AuthFailureRate  float64
}

func (a *API) setDefaults() {
	limits, failures := api.Limits{}.WithDefaults(), api.FailureLimit{}.WithDefaults()
	*a = API{
		Mode:              0o660,
		BasePath:          api.DefaultBasePath,
		ClientCRLGrace:    day,
		SendDeadline:      orders.DefaultSendDeadline,
		MaxBody:           api.DefaultMaxBody,
		MaxBodySMS:        api.DefaultMaxSMS,
		MaxHeader:         Size(limits.HeaderBytes),
		MaxConnections:    limits.Connections,
		ReadHeaderTimeout: limits.ReadHeader,
		ReadTimeout:       limits.Read,
		WriteTimeout:      limits.Write,
		IdleTimeout:       limits.Idle,
		DrainTimeout:      10 * time.Second,

		MaxConnectionsPerAddress:           limits.PerAddress,
		MaxConnectionsPerAuthorizedAddress: limits.PerAuthorizedAddress,
		AuthFailureBurst:                   failures.Burst,
		AuthFailureRate:                    failures.PerSecond,
	}
}

func (a *API) check(c *checker) {
	a.checkListen(c)
	c.basePath("base_path", a.BasePath)
	c.keyPair("tls_cert_file", &a.TLSCertFile, "tls_key_file", &a.TLSKeyFile)
	c.Duration("send_deadline", a.SendDeadline, 100*time.Millisecond, time.Minute)
	faults.Range(c.List, "max_in_flight", a.MaxInFlight, 0, 1_000_000)
	faults.Range(c.List, "max_body", a.MaxBody, 4<<10, 16<<20)
	faults.Range(c.List, "max_body_sms", a.MaxBodySMS, 4<<10, 16<<20)
	faults.Range(c.List, "max_header", a.MaxHeader, 4<<10, 1<<20)
	faults.Range(c.List, "max_connections", a.MaxConnections, 1, 1_000_000)
	faults.Range(c.List, "max_connections_per_address", a.MaxConnectionsPerAddress, 1, 1_000_000)
	faults.Range(c.List, "max_connections_per_authorized_address", a.MaxConnectionsPerAuthorizedAddress, 1, 1_000_000)
	c.Unless(a.MaxConnectionsPerAuthorizedAddress >= a.MaxConnectionsPerAddress, "max_connections_per_authorized_address",
		"is %d, must be at least max_connections_per_address, %d", a.MaxConnectionsPerAuthorizedAddress, a.MaxConnectionsPerAddress)
	faults.Range(c.List, "auth_failure_burst", a.AuthFailureBurst, 1, 1_000_000)
	faults.Range(c.List, "auth_failure_rate", a.AuthFailureRate, 0.1, 1_000_000)
	c.Duration("read_header_timeout", a.ReadHeaderTimeout, 100*time.Millisecond, time.Minute)
	c.Duration("read_timeout", a.ReadTimeout, 100*time.Millisecond, 10*time.Minute)
	a.outlast(c, "write_timeout", a.WriteTimeout, 10*time.Minute)
	c.Duration("idle_timeout", a.IdleTimeout, time.Second, time.Hour)
	c.Duration("drain_notice", a.DrainNotice, 0, time.Minute)
	a.outlast(c, "drain_timeout", a.DrainTimeout, time.Minute)
}

// checkListen checks the address, and that no other machine reaches it in the clear.
func (a *API) checkListen(c *checker) {
	if a.Socket() {
		c.socket("listen", a.Listen, "mode", a.Mode)
		return
	}
	c.listen("listen", a.Listen)
	for _, key := range []string{"mode", "group"} {
		if c.used("api", key) {
			c.warn(key, "has no effect: api.listen is not a unix socket")
		}
	}
	c.Unless(a.TLSCertFile != "" || c.file.sealed || a.PlainHTTP || loopback(a.Listen), "tls_cert_file",
		"is missing: api.listen can be reached from other machines, and codes and tokens would cross the network in the clear. "+
			"Give a certificate, listen on 127.0.0.1 or a unix socket for a proxy that speaks TLS, or set plain_http = true where the network is yours")
}

// Socket reports whether the API listens on a unix socket.
func (a *API) Socket() bool { return IsSocket(a.Listen) }

// outlast checks a time that must be longer than send_deadline.
func (a *API) outlast(c *checker, key string, d, most time.Duration) {
	least := a.SendDeadline + time.Second
	c.Unless(d >= least && d <= most, key, "is %s, must be between %s (a second more than api.send_deadline, %s) and %s",
		faults.FormatDuration(d), faults.FormatDuration(least), faults.FormatDuration(a.SendDeadline), faults.FormatDuration(most))
}

// Log is written to stderr.
type Log struct {
	Level  string // "debug", "info", "warn" or "error": "info". No level contains the text of messages
	Format string // "json", "text" or "auto": "auto", text for people on a terminal, else a line of JSON for each event
}

func (l *Log) setDefaults() { l.Level, l.Format = "info", "auto" }

func (l *Log) check(c *checker) {
	c.OneOf("level", l.Level, "debug", "info", "warn", "error")
	c.OneOf("format", l.Format, "auto", "json", "text")
}
