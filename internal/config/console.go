package config

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"straks/console"
	"straks/internal/faults"
)

// Console is the listener of the operator's console: pages for a browser. Without the section there is none.
type Console struct {
	Listen      string        // host:port. Absent: there is no console
	TLSCertFile string        // PEM chain; with tls_key_file, the listener speaks TLS. Required, except on a loopback address
	TLSKeyFile  string        // PEM key: a path, or a name in $CREDENTIALS_DIRECTORY
	URL         string        // where browsers find it: "https://console.example.org". Required with console.oidc
	Session     time.Duration // from a login until the next: 12h
	Idle        time.Duration // without a request until the next login: 2h
	Users       []ConsoleUser `toml:"user"` // none: only console.oidc
	OIDC        ConsoleOIDC   // no issuer: only users
}

// ConsoleUser is a user with a password, made with "straks console user".
type ConsoleUser struct {
	Name   string   // in logs. Required
	Bcrypt string   // the hash of the password. Required
	Roles  []string // "view" (states and counts), "support" (messages, recipients, block lists), "operate" (pause, drain, try now): ["view"]

	roles []console.Role
}

func (u *ConsoleUser) setDefaults() { u.Roles = []string{string(console.View)} }

// ConsoleOIDC is a provider of logins by OpenID Connect.
type ConsoleOIDC struct {
	Name             string   // on the button: the issuer's host
	Issuer           string   // https URL, below which /.well-known/openid-configuration is
	ClientID         string   // Required
	ClientSecretFile string   // file that holds the secret: a path, or the name of a credential. None: a public client
	Scopes           []string // beside "openid": ["profile"]
	NameClaim        string   // of the name in logs: "preferred_username"
	RoleClaim        string   // of the groups or roles; dots lead into objects, as in "realm_access.roles": "groups"
	View             []string // values of role_claim that give the role view. A user without any role is refused
	Support          []string // likewise, support
	Operate          []string // likewise, operate

	secret string
}

func (o *ConsoleOIDC) setDefaults() {
	*o = ConsoleOIDC{Scopes: []string{"profile"}, NameClaim: "preferred_username", RoleClaim: "groups"}
}

func (s *Console) setDefaults() { s.Session, s.Idle = console.DefaultSession, console.DefaultIdle }

// On reports whether there is a console.
func (s *Console) On() bool { return s.Listen != "" }

// check checks the section if the file has it.
func (s *Console) check(c *checker) {
	if _, given := c.file.top["console"]; !given || !c.listen("listen", s.Listen) {
		return
	}
	c.keyPair("tls_cert_file", &s.TLSCertFile, "tls_key_file", &s.TLSKeyFile)
	c.Unless(s.TLSCertFile != "" || c.file.sealed || loopback(s.Listen), "tls_cert_file",
		"is missing: console.listen can be reached from other machines, and passwords would cross the network in the clear. Give a certificate, or listen on 127.0.0.1 for a proxy that speaks TLS")
	c.Duration("session", s.Session, time.Minute, 30*day)
	c.Duration("idle", s.Idle, time.Minute, 30*day)
	c.Unless(len(s.Users) > 0 || s.OIDC.Issuer != "", "user", "is missing, and so is console.oidc: nobody can log in. \"straks console user NAME\" makes one")
	if s.URL != "" || s.OIDC.Issuer != "" {
		s.checkURL(c)
	}
	seen := make(map[string]string)
	for i := range s.Users {
		at := c.at("user", i)
		s.Users[i].check(at)
		at.Unique("name", s.Users[i].Name, seen)
	}
	s.OIDC.check(c.in("oidc"))
}

func (s *Console) checkURL(c *checker) {
	u, err := url.Parse(s.URL)
	switch {
	case s.URL == "":
		c.Add("url", "is missing: the provider of console.oidc sends browsers back there, as in \"https://console.example.org\"")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil:
		c.Add("url", "is %q, want https:// and the host, as in \"https://console.example.org\"", s.URL)
	case u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "0")):
		c.Add("url", "is %q: it must begin with https://, or browsers keep no login", s.URL)
	}
	s.URL = strings.TrimRight(s.URL, "/")
}

// loopback reports whether the address is of this machine alone.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (u *ConsoleUser) check(c *checker) {
	c.Name("name", u.Name)
	if c.Required("bcrypt", u.Bcrypt) {
		err := console.CheckHash(u.Bcrypt)
		c.Unless(err == nil, "bcrypt", "%v", err)
	}
	c.Unless(len(u.Roles) > 0, "roles", "is empty, so that the user may do nothing: give view, support or operate")
	for i, name := range u.Roles {
		role, err := console.ParseRole(name)
		c.Unless(err == nil, faults.Index("roles", i), "%v", err)
		u.roles = append(u.roles, role)
	}
}

func (o *ConsoleOIDC) check(c *checker) {
	if o.Issuer == "" {
		c.Unless(o.ClientID == "" && o.ClientSecretFile == "", "issuer", "is missing")
		return
	}
	u, err := url.Parse(o.Issuer)
	ok := err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && loopback(net.JoinHostPort(u.Hostname(), "0")))
	c.Unless(ok, "issuer", "is %q, must be an https URL", o.Issuer)
	if o.Name == "" && err == nil {
		o.Name = u.Hostname()
	}
	c.Required("client_id", o.ClientID)
	c.Required("name_claim", o.NameClaim)
	c.Required("role_claim", o.RoleClaim)
	o.secret = c.secret("client_secret_file", o.ClientSecretFile)
	c.Unless(len(o.View)+len(o.Support)+len(o.Operate) > 0, "view", "is missing, and so are support and operate: nobody would have a role")
}

// Accounts returns the users with passwords.
func (s *Console) Accounts() []console.Account {
	var all []console.Account
	for _, u := range s.Users {
		all = append(all, console.Account{Name: u.Name, Bcrypt: u.Bcrypt, Roles: u.roles})
	}
	return all
}

// Provider returns the provider of logins, nil for none.
func (s *Console) Provider() *console.OIDC {
	o := &s.OIDC
	if o.Issuer == "" {
		return nil
	}
	p := &console.OIDC{Name: o.Name, Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.secret, Redirect: s.URL + "/login/oidc/callback",
		Scopes: o.Scopes, NameClaim: o.NameClaim, RoleClaim: o.RoleClaim, Roles: make(map[string][]console.Role)}
	for role, values := range map[console.Role][]string{console.View: o.View, console.Support: o.Support, console.Operate: o.Operate} {
		for _, value := range values {
			p.Roles[value] = append(p.Roles[value], role)
		}
	}
	return p
}
