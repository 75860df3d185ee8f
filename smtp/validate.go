package smtp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// ConfigFault is one fault of the configuration.
type ConfigFault struct {
	Key     string // dotted, like "relay[0].addr"
	Message string // what is wrong, or how to correct it
}

func (f *ConfigFault) Error() string { return f.Key + ": " + f.Message }

// Validate returns every fault of the relays at once: an error that joins
// *ConfigFault values, or nil. It reads the certificate files.
func Validate(relays []Relay) error {
	var faults []error
	seen := make(map[string]int)
	for i, r := range relays {
		v := validator{prefix: fmt.Sprintf("relay[%d].", i)}
		if first, ok := seen[r.Name]; ok {
			v.fault("name", "is also the name of relay[%d]; names must differ", first)
		} else {
			seen[r.Name] = i
		}
		v.relay(r)
		faults = append(faults, v.faults...)
	}
	return errors.Join(faults...)
}

type validator struct {
	prefix string
	faults []error
}

func (v *validator) fault(key, format string, args ...any) {
	v.faults = append(v.faults, &ConfigFault{v.prefix + key, fmt.Sprintf(format, args...)})
}

func (v *validator) relay(r Relay) {
	if r.Name == "" || strings.Trim(r.Name, nameChars) != "" || len(r.Name) > 64 {
		v.fault("name", "must be 1 to 64 letters, digits, '-', '_' or '.'")
	}
	v.addr(r.Addr)
	if r.Helo != "" && !isHostname(r.Helo) && !isAddressLiteral(r.Helo) {
		v.fault("helo", "must be a host name or an address literal like [192.0.2.1]")
	}
	if r.MaxConns < 0 || r.MaxConns > 1000 {
		v.fault("max_conns", "must be 1 to 1000")
	}
	v.duration("keep_alive", r.KeepAlive)
	v.duration("idle_timeout", r.IdleTimeout)
	v.duration("dial_timeout", r.DialTimeout)
	v.duration("command_timeout", r.CommandTimeout)
	v.duration("data_timeout", r.DataTimeout)
	v.tls(r)
	v.auth(r)
}

const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

func (v *validator) addr(addr string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		v.fault("addr", "must be host:port, like mx.example.org:25")
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		v.fault("addr", "has no port between 1 and 65535")
	}
	if net.ParseIP(host) == nil && !isHostname(host) {
		v.fault("addr", "has neither an IP address nor a host name before the port")
	}
}

func (v *validator) duration(key string, d time.Duration) {
	if d < 0 {
		v.fault(key, "must not be negative; leave it out for the default")
	} else if d != 0 && d < time.Millisecond {
		v.fault(key, "is under a millisecond; write the unit, like \"5s\"")
	}
}

func (v *validator) tls(r Relay) {
	switch r.TLS {
	case "", TLSOff, TLSOpportunistic, TLSStartTLS, TLSImplicit:
	default:
		v.fault("tls", `must be "off", "opportunistic", "starttls" or "implicit"`)
	}
	if _, ok := tlsVersions[r.MinTLSVersion]; !ok {
		v.fault("min_tls_version", `must be "1.2" or "1.3"`)
	}
	mode := r.WithDefaults().TLS
	if r.CAFile != "" && (mode == TLSOff || mode == TLSOpportunistic) {
		v.fault("ca_file", `has no effect with tls = %q; use "starttls" or "implicit"`, mode)
	}
	if r.ClientCert != "" && mode == TLSOff {
		v.fault("client_cert", `has no effect with tls = "off"`)
	}
	if _, err := trusted(r); err != nil {
		v.fault("ca_file", "%v", err)
	}
	if _, err := ownCertificate(r); err != nil {
		v.fault("client_cert", "%v", err)
	}
}

func (v *validator) auth(r Relay) {
	switch r.Mechanism {
	case "", "PLAIN", "LOGIN":
	default:
		v.fault("mechanism", `must be "PLAIN" or "LOGIN"`)
	}
	if r.Username == "" {
		if r.Password != "" {
			v.fault("username", "is missing, but there is a password")
		}
		return
	}
	if r.Password == "" {
		v.fault("password_file", "is missing or empty, but there is a username")
	}
	mode := r.WithDefaults().TLS
	if !r.InsecureAuth && (mode == TLSOff || mode == TLSOpportunistic) {
		v.fault("tls", `is %q, which does not protect the password: use "starttls" or "implicit", or set insecure_auth = true`, mode)
	}
}

var tlsVersions = map[string]uint16{"": tls.VersionTLS12, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// trusted returns the roots for the relay's certificate; nil means the system's.
func trusted(r Relay) (*x509.CertPool, error) {
	if r.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(r.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no PEM certificate", r.CAFile)
	}
	return pool, nil
}

// ownCertificate returns our certificate, if there is one.
func ownCertificate(r Relay) ([]tls.Certificate, error) {
	if r.ClientCert == "" && r.ClientKey == "" {
		return nil, nil
	}
	if r.ClientCert == "" || r.ClientKey == "" {
		return nil, errors.New("client_cert and client_key go together")
	}
	cert, err := tls.LoadX509KeyPair(r.ClientCert, r.ClientKey)
	if err != nil {
		return nil, err
	}
	return []tls.Certificate{cert}, nil
}
