package smtp

import (
	"errors"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// address is a mailbox that is safe in a command or a header field: neither part can end the
// angle brackets, the line or the field.
type address struct {
	local  string // dot-atom, in NFC; may have UTF-8 (RFC 6531 §3.3)
	domain string // A-labels, lower case
}

func (a address) String() string { return a.local + "@" + a.domain }

// utf8 reports whether the address needs SMTPUTF8.
func (a address) utf8() bool { return !isASCII(a.local) }

// Errors of parseAddress, in words for the author of the order. They never quote the address.
var (
	errNoAt       = errors.New("must be one address of the form name@domain")
	errLocalPart  = errors.New("has a character before the @ that is not allowed there")
	errLocalSize  = errors.New("has more than 64 octets before the @")
	errDomain     = errors.New("has a domain that is not valid")
	errDomainSize = errors.New("is longer than 254 octets")
)

// parseAddress accepts what may follow "RCPT TO:<" (RFC 5321 §4.1.2, RFC 6531 §3.3), except quoted
// local parts and address literals. Comments, display names and lists are refused too. Nobody
// needs them for a one-time code, and they allow injection.
func parseAddress(s string) (address, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return address{}, errNoAt
	}
	local, err := parseLocalPart(s[:at])
	if err != nil {
		return address{}, err
	}
	domain, err := parseDomain(s[at+1:])
	if err != nil {
		return address{}, err
	}
	a := address{local, domain}
	if len(a.String()) > 254 { // RFC 5321 §4.5.3.1.3, less the brackets
		return address{}, errDomainSize
	}
	return a, nil
}

// parseLocalPart accepts a dot-atom (RFC 5322 §3.2.3) with UTF-8 letters.
func parseLocalPart(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errLocalPart
	}
	s = norm.NFC.String(s)
	if len(s) > 64 { // RFC 5321 §4.5.3.1.1
		return "", errLocalSize
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, notAtomText) {
			return "", errLocalPart
		}
	}
	return s, nil
}

func notAtomText(r rune) bool {
	if r < utf8.RuneSelf {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`()<>[]:;@\,."`, r)
	}
	return r == utf8.RuneError || !unicode.IsGraphic(r) || unicode.IsSpace(r)
}

// parseDomain returns the domain in A-labels (RFC 5891 §5), which DNS and relays without SMTPUTF8
// understand.
func parseDomain(s string) (string, error) {
	if !isASCII(s) || strings.Contains(strings.ToLower(s), "xn--") {
		ascii, err := idna.Lookup.ToASCII(s)
		if err != nil || !utf8.ValidString(s) {
			return "", errDomain
		}
		// For unassigned code points it returns labels that it refuses as input.
		if again, err := idna.Lookup.ToASCII(ascii); err != nil || again != ascii {
			return "", errDomain
		}
		s = ascii
	}
	s = strings.ToLower(s)
	top := s[strings.LastIndexByte(s, '.')+1:]
	if !isHostname(s) || top == s || strings.Trim(top, "0123456789") == "" {
		return "", errDomain
	}
	return s, nil
}

// isHostname reports whether s is labels of letters, digits and hyphens (RFC 1123 §2.1).
func isHostname(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				return false
			}
		}
	}
	return true
}

// isAddressLiteral reports whether s is like [192.0.2.1] or [IPv6:2001:db8::1] (RFC 5321 §4.1.3).
func isAddressLiteral(s string) bool {
	if !strings.HasPrefix(s, "[") || !strings.HasSuffix(s, "]") {
		return false
	}
	inner := s[1 : len(s)-1]
	ip, err := netip.ParseAddr(strings.TrimPrefix(inner, "IPv6:"))
	return err == nil && ip.Zone() == "" && ip.Is6() == strings.HasPrefix(inner, "IPv6:")
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
