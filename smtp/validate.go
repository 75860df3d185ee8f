package smtp

import (
	"cmp"
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"straks/internal/faults"
	"straks/internal/pemfile"
)

// Check returns every fault of the configuration at once. Zero values stand for defaults. It reads the
// certificate files.
func (c Config) Check() faults.Faults {
	top, names, routes := faults.New(), make(map[string]string), make(map[string]string)
	top.Unless(len(c.Relays) > 0, "relay", "is missing: at least one is required")
	for i, r := range c.Relays {
		l := top.At("relay", i)
		l.Name("name", r.Name)
		l.Unique("name", r.Name, names)
		r.validate(l)
		r.validateConnections(l)
		r.validateTLS(l)
		r.validateLogin(l)
	}
	for i := range c.Routes { // not the default one, which follows from the relays
		r, l := c.WithDefaults().Routes[i], top.At("mail_route", i)
		l.Unique("name", r.Name, routes)
		r.validate(l, names)
	}
	return top.All()
}

// validate checks a route; names has the relays.
func (r *Route) validate(l *faults.List, names map[string]string) {
	l.Unless(len(r.Relays) > 0 || len(names) == 0, "relays", "is missing: at least one is required")
	for i, name := range r.Relays {
		key := faults.Index("relays", i)
		_, known := names[name]
		l.Unless(known || len(names) == 0, key, "is %q: no relay has that name", name)
		l.Unless(!slices.Contains(r.Relays[:i], name), key, "names %q a second time", name)
	}
	CheckListedDomains(l, "recipient_domains", r.RecipientDomains)
	CheckListedDomains(l, "sender_domains", r.SenderDomains)
	weights := l.In("weights")
	for _, name := range slices.Sorted(maps.Keys(r.Weights)) {
		weights.Unless(slices.Contains(r.Relays, name), name, "is not among the route's relays")
		faults.Range(weights, name, r.Weights[name], 1, 1000)
	}
}

// CheckListedDomains checks a list of domains, like that of a Route.
func CheckListedDomains(l *faults.List, key string, domains []string) {
	for i, d := range domains {
		_, err := ParseListedDomain(d)
		l.Unless(err == nil, faults.Index(key, i), `is %q, must be a domain, like "example.org", which stands for those below it too`, d)
	}
}

func (r Relay) validate(l *faults.List) {
	l.HostPort("addr", r.Addr)
	host, _, _ := net.SplitHostPort(r.Addr)
	l.Unless(net.ParseIP(host) != nil || isHostname(host), "addr", "has neither an IP address nor a host name before the port")
	l.Unless(r.Helo == "" || isHostname(r.Helo) || isAddressLiteral(r.Helo),
		"helo", "must be a host name or an address literal like [192.0.2.1]")
	checkDuration(l, "dial_timeout", r.DialTimeout)
	checkDuration(l, "command_timeout", r.CommandTimeout)
	checkDuration(l, "data_timeout", r.DataTimeout)
}

func checkDuration(l *faults.List, key string, d time.Duration) {
	l.Unless(d >= 0, key, "must not be negative; leave it out for the default")
	l.Unless(d == 0 || d >= time.Millisecond, key, `is under a millisecond; write the unit, like "5s"`)
}

// leastRate is the lowest rate that makes sense, in mails a second.
const leastRate = 0.01

// validateConnections checks how many connections there are, and for how long each is used.
func (r Relay) validateConnections(l *faults.List) {
	most := r.WithDefaults().MaxConns
	l.Unless(r.MaxConns >= 0 && r.MaxConns <= 1000, "max_conns", "must be 1 to 1000")
	l.Unless(r.MinIdle >= 0 && r.MinIdle <= most, "min_idle", "is %d, must be 1 to max_conns, which is %d", r.MinIdle, most)
	l.Unless(r.MaxMails >= 0 && r.MaxMails <= 1e6, "max_mails", "must be 1 to 1000000")
	l.Unless(r.MaxAge == 0 || r.MaxAge >= time.Second, "max_age", `must be "1s" or more`)
	l.Unless(r.Rate == 0 || r.Rate >= leastRate && r.Rate <= 1e6, "rate", "is %v, must be 0 (no limit), or %v to 1000000 a second", r.Rate, leastRate)
	checkDuration(l, "keep_alive", r.KeepAlive)
	checkDuration(l, "idle_timeout", r.IdleTimeout)
}

func (r Relay) validateTLS(l *faults.List) {
	mode := r.WithDefaults().TLS
	l.OneOf("tls", string(mode), string(TLSOff), string(TLSOpportunistic), string(TLSStartTLS), string(TLSImplicit))
	l.OneOf("min_tls_version", cmp.Or(r.MinTLSVersion, "1.2"), "1.2", "1.3")
	l.Unless(r.CAFile == "" || mode != TLSOff && mode != TLSOpportunistic,
		"ca_file", `has no effect with tls = %q; use "starttls" or "implicit"`, mode)
	l.Unless(r.ClientCert == "" || mode != TLSOff, "client_cert", `has no effect with tls = "off"`)
	l.Unless((r.ClientCert == "") == (r.ClientKey == ""), "client_cert", "and client_key go together: give both or none")
	_, err := pemfile.Pool(r.CAFile)
	l.Unless(err == nil, "ca_file", "is wrong: %v", err)
	_, err = pemfile.Pair(r.ClientCert, r.ClientKey)
	l.Unless(err == nil, "client_cert", "is wrong: %v", err)
}

func (r Relay) validateLogin(l *faults.List) {
	l.OneOf("mechanism", cmp.Or(r.Mechanism, "PLAIN"), "PLAIN", "LOGIN", xoauth2)
	secret := "password_file"
	if r.Mechanism == xoauth2 {
		secret = "token_file"
	}
	given := r.Password != "" || r.Secret != nil
	l.Unless(r.Username != "" || !given, "username", "is missing, but there is a password or token")
	l.Unless(r.Username == "" || given, secret, "is missing or empty, but there is a username")
	l.Unless(r.Username != "" || r.Mechanism == "", "username", "is missing, but there is a mechanism to log in with")
	l.Unless(!strings.ContainsAny(r.Username, "\x00\x01\r\n"), "username", "must not contain control characters")
	mode := r.WithDefaults().TLS
	l.Unless(r.Username == "" || r.InsecureAuth || mode != TLSOff && mode != TLSOpportunistic,
		"tls", `is %q, which does not protect the password: use "starttls" or "implicit", or set insecure_auth = true`, mode)
}

// tlsFiles reads the certificates of a relay that has its defaults.
func (r Relay) tlsFiles() (*pemfile.Files, error) {
	return pemfile.Open(r.CAFile, r.ClientCert, r.ClientKey)
}

// tlsConfig returns the TLS settings for a connection to the relay, with the certificates as they are now.
func (r *relay) tlsConfig() *tls.Config {
	oldest, _ := pemfile.MinVersion(r.MinTLSVersion)
	roots, pair := r.certificates.Current()
	return &tls.Config{
		ServerName:   r.ServerName,
		RootCAs:      roots,
		Certificates: pair,
		MinVersion:   oldest,
		// Opportunistic TLS accepts any certificate: the alternative is no encryption.
		InsecureSkipVerify: r.TLS == TLSOpportunistic,
	}
}
