package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is one thing that is wrong, or looks wrong, with one key.
type Fault struct {
	Key     string // dotted, like "smsc[0].addr"
	Message string // reads on after the key
}

func (f Fault) String() string { return f.Key + " " + f.Message }

// Warning is a Fault with which the daemon starts all the same.
type Warning = Fault

// Faults is everything that keeps a configuration from being used, as one error.
type Faults struct {
	Path string
	List []Fault // by key
}

// Error tells every fault on a line of its own.
func (f *Faults) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d faults:", f.Path, len(f.List))
	if len(f.List) == 1 {
		b.Reset()
		fmt.Fprintf(&b, "%s:", f.Path)
	}
	for _, fault := range f.List {
		fmt.Fprintf(&b, "\n  %v", fault)
	}
	return b.String()
}

// checker collects faults and warnings under one table's key.
type checker struct {
	prefix string // with its dot; empty at the top
	now    time.Time
	found  *findings
}

// findings is what all checkers of one file share.
type findings struct {
	faults   []Fault
	warnings []Warning
	top      map[string]any
	sealed   bool // secrets stay where they are
}

// in is the checker for a table within this one.
func (c *checker) in(name string) *checker {
	return &checker{c.dotted(name) + ".", c.now, c.found}
}

// at is the checker for one table of an array.
func (c *checker) at(name string, i int) *checker {
	return c.in(indexed(name, i))
}

func (c *checker) dotted(name string) string { return c.prefix + name }

var indices = regexp.MustCompile(`\[[0-9]+\]`)

// header is the key of a table as the file heads it: without the numbers of arrays, which
// TOML does not know.
func (c *checker) header(name string) string { return indices.ReplaceAllString(c.dotted(name), "") }

func indexed(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// fault notes what is wrong. Only a key's first fault counts: what follows from
// a wrong type is no news.
func (c *checker) fault(name, format string, args ...any) {
	key := c.dotted(name)
	if !slices.ContainsFunc(c.found.faults, func(f Fault) bool { return f.Key == key }) {
		c.found.faults = append(c.found.faults, Fault{key, fmt.Sprintf(format, args...)})
	}
}

func (c *checker) warn(name, format string, args ...any) {
	c.found.warnings = append(c.found.warnings, Fault{c.dotted(name), fmt.Sprintf(format, args...)})
}

// used tells whether the file gives this key of a table at its top.
func (c *checker) used(table, name string) bool {
	keys, ok := c.found.top[table].(map[string]any)
	return ok && keys[name] != nil
}

func (c *checker) required(name, s string) bool {
	if strings.TrimSpace(s) == "" {
		c.fault(name, "is missing")
		return false
	}
	return true
}

// unique notes a value that a table before this one has too.
func (c *checker) unique(name, value string, seen map[string]string) {
	if first, ok := seen[value]; ok && value != "" {
		c.fault(name, "%q is %s already", value, first)
		return
	}
	seen[value] = c.dotted(name)
}

func (c *checker) between(name string, d, least, most time.Duration) {
	if d < least || d > most {
		c.fault(name, "is %s; between %s and %s", formatDuration(d), formatDuration(least), formatDuration(most))
	}
}

func (c *checker) count(name string, n, least, most int) {
	if n < least || n > most {
		c.fault(name, "is %d; between %d and %d", n, least, most)
	}
}

func (c *checker) size(name string, n, least, most Size) {
	if n < least || n > most {
		c.fault(name, "is %v; between %v and %v", n, least, most)
	}
}

func (c *checker) oneOf(name, s string, allowed ...string) {
	if !slices.Contains(allowed, s) {
		c.fault(name, "is %q; one of %q", s, allowed)
	}
}

// listen checks where to listen: without a host, on every interface.
func (c *checker) listen(name, addr string) bool {
	if !c.required(name, addr) {
		return false
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		c.fault(name, "is %q, not host:port", addr)
		return false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		c.fault(name, "is %q, whose port is not a number up to 65535", addr)
		return false
	}
	return true
}

// private tells whether the address is one that the world can't reach.
func private(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast())
}

func (c *checker) basePath(name, p string) {
	if p != "/" && (!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") || strings.ContainsAny(p, "{}?# ")) {
		c.fault(name, "is %q; it starts with '/' and ends without one; \"/\" alone for none", p)
	}
}
