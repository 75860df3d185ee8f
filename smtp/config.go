package smtp

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
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

// Config is the configuration of a Pool.
type Config struct {
	// Relays are the relays to hand mails to. Required, at least one.
	Relays []Relay
	// Routes decide which relays a mail goes to. Without any, every mail goes to the relays in
	// the order above. With some, a mail that no route matches is refused before it is stored.
	Routes []Route
	// Keys sign the mails of their domains; mails of other domains are not signed.
	Keys []DKIMKey
}

// WithDefaults returns the configuration with every default filled in, and domains in A-labels.
func (c Config) WithDefaults() Config {
	c.Relays, c.Routes = slices.Clone(c.Relays), slices.Clone(c.Routes)
	for i := range c.Relays {
		c.Relays[i] = c.Relays[i].WithDefaults()
	}
	if len(c.Routes) == 0 {
		all := Route{Name: "default"}
		for _, r := range c.Relays {
			all.Relays = append(all.Relays, r.Name)
		}
		c.Routes = []Route{all}
	}
	for i := range c.Routes {
		r := &c.Routes[i]
		r.Name = cmp.Or(r.Name, fmt.Sprintf("mail-route-%d", i+1))
		r.RecipientDomains, r.SenderDomains = listedDomains(r.RecipientDomains), listedDomains(r.SenderDomains)
	}
	return c
}

// listedDomains returns the domains as ParseListedDomain does, and leaves wrong ones as they are.
func listedDomains(domains []string) []string {
	parsed := slices.Clone(domains)
	for i, d := range parsed {
		if domain, err := ParseListedDomain(d); err == nil {
			parsed[i] = domain
		}
	}
	return parsed
}

// Secret is a password or token that may change while the relay is in use. It is read at each login.
type Secret interface {
	// Read returns the secret. Its error quotes nothing of it.
	Read() (string, error)
}

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
	// relays that ask for a certificate. Default: none. Give both or none. These files and CAFile
	// are read again, for the next connection, when they have changed.
	ClientCert string
	ClientKey  string

	// MinTLSVersion is the oldest TLS accepted, "1.2" or "1.3". Default: "1.2".
	MinTLSVersion string

	// Username and Password log in to the relay (AUTH, RFC 4954). Default: no
	// login. After a refused login the next is tried after 30 s or more, so that
	// the account is not locked; after a temporary refusal (4yz), after 1 s. A new password is
	// tried at once.
	Username string
	Password string

	// Secret takes the place of Password, if it is not nil.
	Secret Secret `toml:"-"`

	// Mechanism is "PLAIN", "LOGIN" or "XOAUTH2". With XOAUTH2 the password is an access token
	// of OAuth 2.0, as Google's and Microsoft's relays want it. Default: PLAIN where the relay
	// offers it, else LOGIN.
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

	// MinIdle is how many connections are kept open while there is no mail, 1 to MaxConns. A
	// burst of more mails waits for new ones. Default: 2, or MaxConns if that is less.
	MinIdle int

	// MaxAge is how long a connection is used before it is replaced, 1s at least. Up to a tenth
	// less, at random, so that connections made together are not replaced together. Default: 30m.
	MaxAge time.Duration

	// MaxMails is how many mails one connection carries before it is replaced, 1 to 1000000.
	// Default: 500. Keep it below the relay's own limit (Exim: 1000), else a mail loses time there.
	MaxMails int

	// Rate is how many mails a second the relay gets at most, 0.01 to 1000000, evenly spaced.
	// Beyond it, mails go to the next relay, or wait until their send deadline. Default 0: no
	// limit.
	Rate float64

	// KeepAlive is how long a connection may be silent before we send NOOP; after 9
	// of them it is replaced. Default: 30s. Keep it below the relay's own idle limit
	// (Postfix 300s), else the relay closes the connection whenever there is no mail.
	KeepAlive time.Duration

	// IdleTimeout is how long a connection stays open without a mail. Default: 2m.
	// MinIdle of them are not closed.
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
	r.MinIdle = cmp.Or(r.MinIdle, min(2, r.MaxConns))
	r.MaxAge = cmp.Or(r.MaxAge, 30*time.Minute)
	r.MaxMails = cmp.Or(r.MaxMails, 500)
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
