package smtp

import (
	"log/slog"
	"net"
	"os"
	"time"
)

// TLSMode says whether and how a connection to a relay is encrypted.
type TLSMode string

const (
	// TLSOff never encrypts. Codes and addresses are readable on the wire.
	TLSOff TLSMode = "off"
	// TLSOpportunistic uses STARTTLS where the relay offers it, with any
	// certificate, else goes on in the clear. It stops who listens, not who
	// interferes (RFC 7435). A handshake that fails is a failure: no mail goes.
	TLSOpportunistic TLSMode = "opportunistic"
	// TLSStartTLS requires STARTTLS (RFC 3207) and a certificate that verifies;
	// without, nothing is sent.
	TLSStartTLS TLSMode = "starttls"
	// TLSImplicit speaks TLS from the first octet (RFC 8314 §3.3, port 465) and
	// requires a certificate that verifies.
	TLSImplicit TLSMode = "implicit"
)

// Relay is the configuration of one mail relay. Only Name and Addr are required. In
// a file the name of a key is the name of the field, in snake_case.
type Relay struct {
	// Name of the relay in logs, metrics and shipments. Letters, digits, "-", "_"
	// and ".", unique among the relays.
	Name string

	// Addr is host:port. IPv6 literals go in brackets.
	Addr string

	// TLS is "off", "opportunistic", "starttls" or "implicit". Default:
	// "starttls" when a username, ca_file or client_cert is set, else
	// "opportunistic". Across a network that is not yours, set "starttls" or "implicit".
	TLS TLSMode

	// ServerName is the name that the relay's certificate must bear. Default: the
	// host of addr. Set it where addr is an IP address.
	ServerName string

	// CAFile is a PEM file with the certificates to trust. Default: the system's.
	// When set, only these are trusted.
	CAFile string

	// ClientCert and ClientKey are PEM files with our certificate and its key, for
	// relays that ask for one. Default: none. They go together.
	ClientCert string
	ClientKey  string

	// MinTLSVersion is the oldest TLS accepted, "1.2" or "1.3". Default: "1.2".
	MinTLSVersion string

	// Username and Password log in to the relay (AUTH, RFC 4954). Default: no
	// login. After a refused login the relay is left alone for 30 s and longer, so
	// that the account is not locked; where it says "not now" (4yz), for 1 s.
	Username string
	Password string

	// Mechanism is "PLAIN" or "LOGIN". Default: PLAIN where the relay offers it, else LOGIN.
	Mechanism string

	// InsecureAuth allows the password to go over a connection that is not, or
	// not surely, encrypted to the right relay (tls "off" or "opportunistic").
	// Default: false, and such a configuration is refused.
	InsecureAuth bool

	// Helo is the name we greet the relay with (EHLO). Default: the host's name.
	// Relays may refuse names that are not fully qualified.
	Helo string

	// MaxConns bounds the connections to this relay, 1 to 1000. Default: 8. When
	// all are busy a mail goes to the next relay, or waits within its send deadline.
	MaxConns int

	// KeepAlive is how long a connection may be silent before it is asked for a
	// sign of life (NOOP), 9 times at most: then it is replaced. Default: 30s.
	// Keep it below the relay's own idle limit (Postfix 300s), else each quiet spell
	// ends in a reconnect.
	KeepAlive time.Duration

	// IdleTimeout is how long a connection beyond the first stays open unused.
	// Default: 2m. The first one is never closed.
	IdleTimeout time.Duration

	// DialTimeout bounds connecting: TCP, TLS, greeting, EHLO and login together.
	// Default: 3s.
	DialTimeout time.Duration

	// CommandTimeout bounds one command and its reply, up to DATA. Default: 3s.
	// When it passes, another relay is tried.
	CommandTimeout time.Duration

	// DataTimeout bounds writing the mail and awaiting the answer to its final
	// dot. Default: 30s. The order waits until its send deadline at most; an answer that
	// comes after that still counts. When it passes, the outcome is unknown and the mail is
	// never sent again, so it should exceed what the relay takes to scan a mail.
	DataTimeout time.Duration

	// DSN asks the relay, if it offers DSN (RFC 3461), for reports of success, delay
	// and failure, with the shipment id as envelope id. Default: false: failures
	// only, as mail always had it. They go to the sender's address; nobody reads them here.
	DSN bool
}

// LogValue keeps credentials out of logs.
func (r Relay) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", r.Name), slog.String("addr", r.Addr))
}

// String keeps credentials out of whatever formats a Relay.
func (r Relay) String() string { return "relay " + r.Name + " (" + r.Addr + ")" }

// WithDefaults fills in what the configuration left out.
func (r Relay) WithDefaults() Relay {
	if r.TLS == "" {
		r.TLS = TLSOpportunistic
		if r.Username != "" || r.CAFile != "" || r.ClientCert != "" {
			r.TLS = TLSStartTLS
		}
	}
	if r.ServerName == "" {
		r.ServerName, _, _ = net.SplitHostPort(r.Addr)
	}
	if r.Helo == "" {
		r.Helo = hostname()
	}
	if r.MinTLSVersion == "" {
		r.MinTLSVersion = "1.2"
	}
	if r.MaxConns == 0 {
		r.MaxConns = 8
	}
	orElse(&r.KeepAlive, 30*time.Second)
	orElse(&r.IdleTimeout, 2*time.Minute)
	orElse(&r.DialTimeout, 3*time.Second)
	orElse(&r.CommandTimeout, 3*time.Second)
	orElse(&r.DataTimeout, 30*time.Second)
	return r
}

func orElse(d *time.Duration, otherwise time.Duration) {
	if *d == 0 {
		*d = otherwise
	}
}

// hostname returns the host's name if it can stand in an EHLO.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || !isHostname(name) {
		return "localhost"
	}
	return name
}
