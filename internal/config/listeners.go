package config

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"straks/internal/faults"
)

// Metrics is the listener for monitoring: /metrics, /healthz and /readyz. It has no
// authentication.
type Metrics struct {
	Listen string // host:port; empty: the admin listener serves these too
}

// DefaultAdmin is the admin listener where the configuration names none: in the folder
// that RuntimeDirectory=straks of the systemd unit makes.
const DefaultAdmin = "/run/straks/admin.sock"

// Admin is the listener for operators: /status, /journal/backup and pprof. On a unix
// socket the file system decides about access; on TCP a token does.
type Admin struct {
	Listen    string   // absolute path of a unix socket, or host:port: /run/straks/admin.sock
	Mode      FileMode // of the socket: 0660
	Group     string   // of the socket, name or number; the daemon must be a member: its own
	TokenFile string   // on TCP: the file with the bearer token that a request must have. Required, except without metrics.listen
	Hosts     []string // on TCP: names under which it is reached, beside addresses, localhost and the machine's own: none

	token string
}

func (a *Admin) setDefaults() { *a = Admin{Listen: DefaultAdmin, Mode: 0o660} }

// Socket reports whether it listens on a unix socket.
func (a *Admin) Socket() bool { return IsSocket(a.Listen) }

// Token returns the bearer token that a request must have on TCP, empty for none. It is
// not the token where secrets were not read.
func (a *Admin) Token() string { return a.token }

// IsSocket reports whether the address of a listener is the path of a unix socket.
func IsSocket(addr string) bool { return strings.ContainsRune(addr, filepath.Separator) }

// checkPrivate checks the two private listeners, which depend on each other.
func (cfg *Config) checkPrivate(c *checker) {
	at, m := c.in("metrics"), cfg.Metrics.Listen
	if m != "" && at.listen("listen", m) && !private(m) {
		at.warn("listen", "is reachable from outside this network, and has no authentication")
	}
	cfg.Admin.check(c.in("admin"), m == "")
	switch {
	case m != "":
	case cfg.Admin.Socket():
		at.warn("listen", "is missing: /metrics, /healthz and /readyz are on the admin socket only, where neither Prometheus nor a load balancer reaches them")
	default:
		at.warn("listen", "is missing: admin.listen serves /metrics, /healthz and /readyz too. Give them a listener of their own, and leave admin.listen out for a unix socket")
	}
}

// alone is whether there is no metrics listener, as in configurations from before there was
// one: then no token is required.
func (a *Admin) check(c *checker, alone bool) {
	if a.Socket() {
		a.checkSocket(c)
		return
	}
	if strings.TrimSpace(a.Listen) != "" && !strings.ContainsRune(a.Listen, ':') {
		c.Add("listen", "is %q, neither host:port nor the absolute path of a unix socket", a.Listen)
		return
	}
	ok := c.listen("listen", a.Listen)
	for _, key := range []string{"mode", "group"} {
		if c.used("admin", key) {
			c.warn(key, "has no effect: admin.listen is not a unix socket")
		}
	}
	for i, host := range a.Hosts {
		c.Unless(host != "" && !strings.ContainsAny(host, ":/[] "), faults.Index("hosts", i), "is %q, must be a name without a port", host)
	}
	a.token = c.secret("token_file", a.TokenFile)
	switch {
	case a.TokenFile != "" && a.token != "" && !c.file.sealed:
		err := CheckToken(a.token)
		c.Unless(err == nil, "token_file", "names a file whose token %v", err)
	case a.TokenFile == "" && !alone:
		c.Add("token_file", "is missing: admin.listen is on TCP, where anybody who can connect could copy the journal. Leave admin.listen out for a unix socket, or give a token")
	case a.TokenFile == "":
		c.warn("token_file", "is missing: anybody who can connect to admin.listen can read phone numbers and addresses, and copy a journal in a file")
	}
	if ok && !private(a.Listen) && a.TokenFile == "" {
		c.warn("listen", "is reachable from outside this network, and has no authentication")
	} else if ok && !private(a.Listen) {
		c.warn("listen", "is reachable from outside this network, and does not encrypt its token")
	}
}

// maxSocketPath is the longest path of a socket, in octets: sun_path has 108 with its
// final NUL, and a new socket has a name with ".new" at first.
const maxSocketPath = 108 - 1 - len(".new")

// socket checks the path and the permissions of a unix socket.
func (c *checker) socket(key, path, modeKey string, mode FileMode) {
	c.Unless(filepath.IsAbs(path), key, "is %q; the path of a unix socket must be absolute", path)
	c.Unless(len(path) <= maxSocketPath, key, "has %d octets; the path of a unix socket has %d at most", len(path), maxSocketPath)
	c.Unless(!strings.HasSuffix(path, "/"), key, "is %q, a folder; it must be the path of the socket itself", path)
	c.Unless(mode&0o600 == 0o600 && mode <= 0o777, modeKey, "is %q; the owner at least must read and write: \"0600\", or \"0660\" for a group too", mode)
}

func (a *Admin) checkSocket(c *checker) {
	c.socket("listen", a.Listen, "mode", a.Mode)
	if a.Mode&0o002 != 0 {
		c.warn("mode", "is %q: everybody on this machine can read phone numbers and addresses, and copy a journal in a file", a.Mode)
	}
	for _, key := range []string{"token_file", "hosts"} {
		if c.used("admin", key) {
			c.warn(key, "has no effect: admin.listen is a unix socket, which mode and group protect")
		}
	}
}

// minToken is the least length of a token, in octets: 128 bits in base64.
const minToken = 22

// CheckToken returns why the token can't be used, or nil. The error continues the sentence
// that begins with the token.
func CheckToken(token string) error {
	for _, r := range token {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("has a character that can't stand in a header: use ASCII without spaces")
		}
	}
	if len(token) < minToken {
		return fmt.Errorf("has %d characters, must have %d at least: \"openssl rand -base64 32\" makes one", len(token), minToken)
	}
	return nil
}

// FileMode is a file's permissions, written in octal: "0660".
type FileMode fs.FileMode

// UnmarshalText reads three or four octal digits.
func (m *FileMode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 12)
	if err != nil || len(text) < 3 || len(text) > 4 {
		return fmt.Errorf("is %q, not permissions in octal like \"0660\"", text)
	}
	*m = FileMode(n)
	return nil
}

// String writes four octal digits.
func (m FileMode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

// MarshalText writes what UnmarshalText reads.
func (m FileMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }
