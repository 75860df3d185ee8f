package api

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of RFC 5321 §4.5.3.1 in octets, the domain's as an A-label. A path is
// 256 octets with its angle brackets.
const (
	maxLocal   = 64
	maxDomain  = 253
	maxAddress = 254
)

var (
	errAddress = errors.New("must be exactly one e-mail address like name@example.org, without a display name, angle brackets, quotes, or blanks")
	errLocal   = errors.New("has a part before the @ that is no valid dot-separated name of at most 64 octets")
	errDomain  = errors.New("has a domain after the @ that does not exist in this form: names of letters, digits and hyphens, separated by dots, like example.org")
	errLong    = errors.New("must be at most 254 octets long")
)

// checkAddress returns nil for an address that can be given to a relay: a
// dot-string and a domain name of at least two labels (RFC 5321 §4.1.2), both
// in Unicode if need be (RFC 6531 §3.3). Quoted local parts and address
// literals are valid there, but mailboxes hardly use them, and many relays
// misread them.
func checkAddress(s string) error {
	if len(s) > maxAddress {
		return errLong
	}
	local, domain, ok := strings.Cut(s, "@")
	if !ok || !utf8.ValidString(s) || strings.ContainsAny(s, "<>\",;: \t()[]\\") || strings.Contains(domain, "@") {
		return errAddress
	}
	if !dotString(local) {
		return errLocal
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || len(ascii) > maxDomain || !hostName(ascii) {
		return errDomain
	}
	if len(local)+1+len(ascii) > maxAddress {
		return errLong
	}
	return nil
}

// dotString reports whether s is atoms separated by single dots (RFC 5321
// §4.1.2, RFC 6531 §3.3). Of Unicode it accepts printable characters only: no character
// that makes an address look like another (zero-width, direction marks).
func dotString(s string) bool {
	if s == "" || len(s) > maxLocal {
		return false
	}
	last := '.'
	for _, r := range s {
		switch {
		case r == '.':
			if last == '.' {
				return false
			}
		case r >= utf8.RuneSelf:
			if !unicode.IsPrint(r) {
				return false
			}
		case !atext(byte(r)):
			return false
		}
		last = r
	}
	return last != '.'
}

// atext are the ASCII characters of an atom (RFC 5322 §3.2.3).
func atext(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// hostName reports whether an A-label domain has two labels or more, none of them
// empty or too long (RFC 1035 §2.3.4), and ends in one that is no number: an
// IPv4 address is no domain.
func hostName(ascii string) bool {
	labels := strings.Split(ascii, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(labels) >= 2 && len(last) >= 2 && strings.Trim(last, "0123456789") != ""
}
