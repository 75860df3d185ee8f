package smtp

import (
	"cmp"
	"crypto/tls"
	"net"
	"time"

	"straks/internal/faults"
	"straks/internal/pemfile"
)

// Validate returns every fault of the relays at once. It reads the certificate files.
func Validate(relays []Relay) faults.Faults {
	top, names := faults.New(), make(map[string]string)
	for i, r := range relays {
		l := top.At("relay", i)
		l.Name("name", r.Name)
		l.Unique("name", r.Name, names)
		r.validate(l)
		r.validateTLS(l)
		r.validateLogin(l)
	}
	return top.All()
}

func (r Relay) validate(l *faults.List) {
	l.HostPort("addr", r.Addr)
	host, _, _ := net.SplitHostPort(r.Addr)
	l.Unless(net.ParseIP(host) != nil || isHostname(host), "addr", "has neither an IP address nor a host name before the port")
	l.Unless(r.Helo == "" || isHostname(r.Helo) || isAddressLiteral(r.Helo),
		"helo", "must be a host name or an address literal like [192.0.2.1]")
	l.Unless(r.MaxConns >= 0 && r.MaxConns <= 1000, "max_conns", "must be 1 to 1000")
	duration := func(key string, d time.Duration) {
		l.Unless(d >= 0, key, "must not be negative; leave it out for the default")
		l.Unless(d == 0 || d >= time.Millisecond, key, `is under a millisecond; write the unit, like "5s"`)
	}
	duration("keep_alive", r.KeepAlive)
	duration("idle_timeout", r.IdleTimeout)
	duration("dial_timeout", r.DialTimeout)
	duration("command_timeout", r.CommandTimeout)
	duration("data_timeout", r.DataTimeout)
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
	l.OneOf("mechanism", cmp.Or(r.Mechanism, "PLAIN"), "PLAIN", "LOGIN")
	l.Unless(r.Username != "" || r.Password == "", "username", "is missing, but there is a password")
	l.Unless(r.Username == "" || r.Password != "", "password_file", "is missing or empty, but there is a username")
	mode := r.WithDefaults().TLS
	l.Unless(r.Username == "" || r.InsecureAuth || mode != TLSOff && mode != TLSOpportunistic,
		"tls", `is %q, which does not protect the password: use "starttls" or "implicit", or set insecure_auth = true`, mode)
}

// tlsConfig returns the TLS settings for connections to the relay, which has its defaults.
func (r Relay) tlsConfig() (*tls.Config, error) {
	roots, err := pemfile.Pool(r.CAFile)
	if err != nil {
		return nil, err
	}
	pair, err := pemfile.Pair(r.ClientCert, r.ClientKey)
	if err != nil {
		return nil, err
	}
	oldest, _ := pemfile.MinVersion(r.MinTLSVersion)
	return &tls.Config{
		ServerName:   r.ServerName,
		RootCAs:      roots,
		Certificates: pair,
		MinVersion:   oldest,
		// Opportunistic TLS accepts any certificate: the alternative is no encryption.
		InsecureSkipVerify: r.TLS == TLSOpportunistic,
	}, nil
}
