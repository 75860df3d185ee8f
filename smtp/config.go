package smtp

import (
	"cmp"
	"log/slog"
	"net"
	"os"
	"time"
)

// TLSMode is how connections to a relay are encrypted.
type TLSMode string

const (
	// TLSOff never encrypts. Codes and addresses are readable on the wire.
	TLSOff TLSMode = "off"
	// TLSOpportunistic uses STARTTLS where the relay offers it, with any certificate,
	// else no encryption. It protects against listeners, not against an active
	// attacker (RFC 7435). No mail is sent after a handshake that failed.
	TLSOpportunistic TLSMode = "opportunistic"
	// TLSStartTLS requires STARTTLS (RFC 3207) and a certificate that verifies.
	// Without them nothing is sent.
	TLSStartTLS TLSMode = "starttls"
	// TLSImplicit begins with the TLS handshake (RFC 8314 §3.3, port 465) and
	// requires a certificate that verifies.
	TLSImplicit TLSMode = "implicit"
)

// Relay is the configuration of one mail relay. Only Name and Addr are required. The keys of
// the configuration file are the names of the fields, in snake_case.
type Relay struct {
	// Name of the relay in logs, metrics and shipments. Letters, digits, "-", "_"
	// and ".", unique among the relays.
	Name string

	// Addr is host:port. IPv6 literals go in brackets.
	Addr string

	// TLS is "off", "opportunistic", "starttls" or "implicit". Default:
	// "starttls" when a username, ca_file or client_cert is set, else
	// "opportunistic". Set "starttls" or "implicit" across a network that is not yours.
	TLS TLSMode

	// ServerName is the name that the relay's certificate must have. Default: the
	// host of addr. Set it where addr is an IP address.
	ServerName string

	// CAFile is a PEM file with the certificates to trust, and no others. Default:
	// the system's.
	CAFile string

	// ClientCert and ClientKey are PEM files with our certificate and its key, for
	// relays that ask for a certificate. Default: none. Give both or none.
	ClientCert string
	ClientKey  string

	// MinTLSVersion is the oldest TLS accepted, "1.2" or "1.3". Default: "1.2".
	MinTLSVersion string

	// Username and Password log in to the relay (AUTH, RFC 4954). Default: no
	// login. After a refused login the next is tried after 30 s or more, so that
	// the account is not locked; after a temporary refusal (4yz), after 1 s.
	Username string
	Password string

	// Mechanism is "PLAIN" or "LOGIN". Default: PLAIN where the relay offers it, else LOGIN.
	Mechanism string

	// InsecureAuth allows the login over a connection that is not encrypted, or not
	// surely to the right relay (tls "off" or "opportunistic"). Default: false:
	// such a configuration is refused.
	InsecureAuth bool

	// Helo is our name in EHLO. Default: the host's name. Relays may refuse names
	// that are not fully qualified.
	Helo string

	// MaxConns bounds the connections to this relay, 1 to 1000. Default: 8. When
	// all are in use a mail goes to the next relay, or waits until its send deadline.
	MaxConns int

	// KeepAlive is how long a connection may be silent before we send NOOP; after 9
	// of them it is replaced. Default: 30s. Keep it below the relay's own idle limit
	// (Postfix 300s), else the relay closes the connection whenever there is no mail.
	KeepAlive time.Duration

	// IdleTimeout is how long a connection stays open without a mail. Default: 2m.
	// The last one is not closed.
	IdleTimeout time.Duration

	// DialTimeout bounds connecting: TCP, TLS, greeting, EHLO and login together.
	// Default: 3s.
	DialTimeout time.Duration

	// CommandTimeout bounds one command and its reply, up to DATA. Default: 3s.
	// When it passes, another relay is tried.
	CommandTimeout time.Duration

	// DataTimeout bounds writing the mail and waiting for the reply to its final
	// dot. Default: 30s. The order waits until its send deadline at most; a reply that
	// arrives later still counts. After DataTimeout the outcome is unknown and the mail is
	// never sent again. So it should exceed the time that the relay takes to scan a mail.
	DataTimeout time.Duration

	// NoPipelining awaits the reply to each command before the next, although the relay offers
	// PIPELINING (RFC 2920). Default: false. It is for relays behind a firewall that can't cope with
	// several commands at once.
	NoPipelining bool

	// NoDSN does not ask the relay for reports, although it offers DSN (RFC 3461) and reports come back to us.
	// Default: false. It is for relays that refuse or mishandle the parameters. Such a relay reports
	// failures, as a rule, and no delivery.
	NoDSN bool
}

// LogValue keeps credentials out of logs.
func (r Relay) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", r.Name), slog.String("addr", r.Addr))
}

// String keeps credentials out of formatted text.
func (r Relay) String() string { return "relay " + r.Name + " (" + r.Addr + ")" }

// WithDefaults returns r with the default of each field that is zero.
func (r Relay) WithDefaults() Relay {
	if r.TLS == "" {
		r.TLS = TLSOpportunistic
		if r.Username != "" || r.CAFile != "" || r.ClientCert != "" {
			r.TLS = TLSStartTLS
		}
	}
	host, _, _ := net.SplitHostPort(r.Addr)
	r.ServerName = cmp.Or(r.ServerName, host)
	r.Helo = cmp.Or(r.Helo, hostname())
	r.MinTLSVersion = cmp.Or(r.MinTLSVersion, "1.2")
	r.MaxConns = cmp.Or(r.MaxConns, 8)
	r.KeepAlive = cmp.Or(r.KeepAlive, 30*time.Second)
	r.IdleTimeout = cmp.Or(r.IdleTimeout, 2*time.Minute)
	r.DialTimeout = cmp.Or(r.DialTimeout, 3*time.Second)
	r.CommandTimeout = cmp.Or(r.CommandTimeout, 3*time.Second)
	r.DataTimeout = cmp.Or(r.DataTimeout, 30*time.Second)
	return r
}

// hostname returns the host's name if EHLO allows it, else localhost.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || !isHostname(name) {
		return "localhost"
	}
	return name
}
