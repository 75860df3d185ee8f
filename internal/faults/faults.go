// Package faults collects what is wrong with a configuration, so that an operator sees
// every fault at once. The packages that own a part of the configuration check it with a
// List; package config joins their faults with its own.
package faults

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is one thing that is wrong with one key.
//
// A message has no string that the file gives to a key which may hold a secret, by right or by mistake:
// passwords, tokens, names of files, names and addresses of carriers and tokens, unknown keys.
type Fault struct {
	Key     string // dotted, like "smsc[0].addr"
	Stanza  string // the element of an array of tables that the key is in, by its name: smsc "telco"; or empty
	Message string // continues the sentence that begins with the key: "is missing"
}

// Where returns the key, and the stanza where there is one.
func (f Fault) Where() string {
	if f.Stanza == "" {
		return f.Key
	}
	return f.Key + " (" + f.Stanza + ")"
}

func (f Fault) String() string { return f.Where() + " " + f.Message }

// Faults are those of one configuration, as one error.
type Faults []Fault

// Error returns every fault, each on a line of its own.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns nil where there are none.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// List collects the faults of one table of a configuration. The lists that In and At
// return share their faults with it. The zero value is that of the top table.
type List struct {
	prefix string // with its dot; empty at the top
	found  *Faults
}

// New returns an empty list for the top table.
func New() *List { return &List{found: new(Faults)} }

// In returns the list for a table within this one.
func (l *List) In(name string) *List { return &List{l.Key(name) + ".", l.found} }

// At returns the list for element i of an array of tables.
func (l *List) At(name string, i int) *List { return l.In(Index(name, i)) }

// Key returns the dotted key of a name in this table.
func (l *List) Key(name string) string { return l.prefix + name }

// Index returns the key of element i of an array.
func Index(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }

// All returns the faults so far, of all tables.
func (l *List) All() Faults { return *l.found }

// Add records a fault. Only the first fault of a key counts: the others follow from it.
func (l *List) Add(name, format string, args ...any) {
	key := l.Key(name)
	if !slices.ContainsFunc(*l.found, func(f Fault) bool { return f.Key == key }) {
		*l.found = append(*l.found, Fault{Key: key, Message: fmt.Sprintf(format, args...)})
	}
}

// Unless records a fault where ok is false.
func (l *List) Unless(ok bool, name, format string, args ...any) {
	if !ok {
		l.Add(name, format, args...)
	}
}

// Join records the faults that another package has found, whose keys are whole.
func (l *List) Join(others Faults) {
	top := &List{found: l.found}
	for _, f := range others {
		top.Add(f.Key, "%s", f.Message)
	}
}

// Required reports whether s is not blank.
func (l *List) Required(name, s string) bool {
	ok := strings.TrimSpace(s) != ""
	l.Unless(ok, name, "is missing")
	return ok
}

// Unique checks that no earlier call with the same map had the value.
func (l *List) Unique(name, value string, seen map[string]string) {
	if first, ok := seen[value]; ok && value != "" {
		l.Add(name, "is that of %s already", first)
		return
	}
	seen[value] = l.Key(name)
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ValidName reports whether an organisation, a token, an SMSC or a relay may have this
// name: names stand in logs, in labels of metrics, and in the journal's keys.
func ValidName(s string) bool { return nameForm.MatchString(s) }

// Name checks a required name.
func (l *List) Name(name, s string) {
	if l.Required(name, s) {
		l.Unless(ValidName(s), name, "must be 1 to 64 letters, digits, '.', '-' and '_', a letter or digit first")
	}
}

// Duration checks that d is from least to most.
func (l *List) Duration(name string, d, least, most time.Duration) {
	l.Unless(d >= least && d <= most, name, "is %s, must be between %s and %s", FormatDuration(d), FormatDuration(least), FormatDuration(most))
}

// Range checks that n is from least to most.
func Range[N ~int | ~int64 | ~float64](l *List, name string, n, least, most N) {
	l.Unless(n >= least && n <= most, name, "is %v, must be between %v and %v", n, least, most)
}

// OneOf checks that s is one of the values.
func (l *List) OneOf(name, s string, allowed ...string) {
	l.Unless(slices.Contains(allowed, s), name, `is %q, must be one of "%s"`, s, strings.Join(allowed, `", "`))
}

// HostPort checks the address of a peer: a host and a port from 1 to 65535.
func (l *List) HostPort(name, addr string) {
	if !l.Required(name, addr) {
		return
	}
	host, port, err := net.SplitHostPort(addr)
	n, portErr := strconv.ParseUint(port, 10, 16)
	l.Unless(err == nil && portErr == nil && host != "" && n > 0, name, `must be host and port, like "10.0.0.5:2775"`)
}

const day = 24 * time.Hour

// FormatDuration writes a duration as a configuration has it: whole days as "90d".
func FormatDuration(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return d.String()
}
