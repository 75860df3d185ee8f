package config

import (
	"net"
	"net/mail"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"straks/api"
	"straks/internal/faults"
	"straks/smpp"
)

// Warning is about a key with which the daemon starts nevertheless.
type Warning = faults.Fault

// Invalid is the error of a file with faults.
type Invalid struct {
	Path   string
	Faults faults.Faults // by key
}

// Error returns every fault on a line of its own.
func (e *Invalid) Error() string {
	count := ""
	if n := len(e.Faults); n > 1 {
		count = strconv.Itoa(n) + " faults:"
	}
	return strings.TrimSpace(e.Path+": "+count) + "\n  " + strings.ReplaceAll(e.Faults.Error(), "\n", "\n  ")
}

// checker checks one table of a file.
type checker struct {
	*faults.List
	file *file
}

// file is shared by the checkers of all tables.
type file struct {
	now      time.Time
	top      map[string]any
	sealed   bool // secrets are not read
	warnings []Warning
	files    []File
	grace    time.Duration // api.client_crl_grace
}

// in returns the checker for a table within this one.
func (c *checker) in(name string) *checker { return &checker{c.In(name), c.file} }

// at returns the checker for element i of an array of tables.
func (c *checker) at(name string, i int) *checker { return &checker{c.At(name, i), c.file} }

func (c *checker) warn(name, format string, args ...any) {
	one := faults.New()
	one.Add(c.Key(name), format, args...)
	c.file.warnings = append(c.file.warnings, one.All()...)
}

var indices = regexp.MustCompile(`\[[0-9]+\]`)

// header returns the key of a table as it stands in the file's brackets: without the
// indices of arrays, which TOML does not have.
func (c *checker) header(name string) string { return indices.ReplaceAllString(c.Key(name), "") }

// used reports whether the file has this key of a table at its top.
func (c *checker) used(table, name string) bool {
	keys, ok := c.file.top[table].(map[string]any)
	return ok && keys[name] != nil
}

// listen checks the address of a listener; without a host it is every interface.
func (c *checker) listen(name, addr string) bool {
	if !c.Required(name, addr) {
		return false
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		c.Add(name, "is %q, not host:port", addr)
		return false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		c.Add(name, "is %q, whose port is not a number up to 65535", addr)
		return false
	}
	return true
}

// private reports whether the address cannot be reached from the internet.
func private(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast())
}

func (c *checker) basePath(name, p string) {
	c.Unless(api.ValidBasePath(p), name, "is %q; it starts with '/', does not end with one, and has none of \"{}?#%%\", \"//\", \"..\" and blanks; \"/\" alone for none", p)
}

// sender checks an SMS sender, by the gateway's rules.
func (c *checker) sender(name, s string) {
	err := smpp.CheckSender(s)
	c.Unless(err == nil, name, "is %q: %v", s, err)
}

func (c *checker) mailAddress(name, s string) {
	a, err := mail.ParseAddress(s)
	c.Unless(err == nil && a.Address == s, name, "is %q, not an address like no-reply@example.org", s)
}
