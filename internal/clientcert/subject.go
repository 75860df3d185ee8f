package clientcert

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Subject is a distinguished name as a text (RFC 4514) in one form: equal names are equal texts. Letter case
// counts.
type Subject string

// attributes are the names of RFC 4514 §3 and some more, by their OID.
var attributes = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.15": "businessCategory",
	"2.5.4.17": "postalCode", "2.5.4.42": "GN", "2.5.4.97": "organizationIdentifier",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress",
}

// aliases are other names of attributes, in lower case.
var aliases = map[string]string{"s": "ST", "e": "emailAddress", "email": "emailAddress", "oid.2.5.4.97": "organizationIdentifier"}

// subjectOf returns the name in its DER form, which has the most general part first.
func subjectOf(der []byte) (Subject, error) {
	var all pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &all); err != nil || len(rest) > 0 {
		return "", errors.New("its subject can't be read")
	}
	parts := make([]string, 0, len(all))
	for _, set := range slices.Backward(all) {
		pairs := make([]string, 0, len(set))
		for _, a := range set {
			value, isText := a.Value.(string)
			if !isText {
				return "", errors.New("its subject has a part that is no text")
			}
			pairs = append(pairs, pair(a.Type.String(), value))
		}
		parts = append(parts, joined(pairs))
	}
	return Subject(strings.Join(parts, ",")), nil
}

// joined returns the text of one part of a name, which is a set.
func joined(pairs []string) string {
	slices.Sort(pairs)
	return strings.Join(pairs, "+")
}

func pair(oid, value string) string {
	name := attributes[oid]
	if name == "" {
		name = oid
	}
	return name + "=" + escaped(value)
}

// escaped escapes as RFC 4514 §2.4 says, control characters too.
func escaped(value string) string {
	var b strings.Builder
	for i := range len(value) {
		c := value[i]
		switch {
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\%02x`, c)
			continue
		case strings.IndexByte(`,+"\<>;`, c) >= 0, c == ' ' && (i == 0 || i == len(value)-1), c == '#' && i == 0:
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// ParseSubject reads a name like "CN=backend,O=Digdir,C=NO", as "openssl x509 -noout -subject -nameopt RFC2253" prints it.
// Blanks around its parts do not count. The error continues the sentence that begins with the name.
func ParseSubject(s string) (Subject, error) {
	var parts, pairs []string
	for rest := s; ; {
		name, after, ok := strings.Cut(rest, "=")
		oid, known := oidOf(strings.TrimSpace(name))
		if !ok || !known {
			return "", fmt.Errorf("has %q where the name of an attribute and '=' are expected, as in CN=backend,O=Digdir,C=NO", name)
		}
		value, end, err := unescaped(strings.TrimLeft(after, " "))
		if err != nil {
			return "", err
		}
		if value == "" {
			return "", fmt.Errorf("has no value for %s", strings.TrimSpace(name))
		}
		pairs = append(pairs, pair(oid, value))
		if end == "" || end[0] != '+' {
			parts, pairs = append(parts, joined(pairs)), nil
		}
		if end == "" {
			return Subject(strings.Join(parts, ",")), nil
		}
		rest = end[1:]
	}
}

// oidOf returns the OID of an attribute that is given by name or OID.
func oidOf(name string) (string, bool) {
	if alias := aliases[strings.ToLower(name)]; alias != "" {
		name = alias
	}
	for oid, known := range attributes {
		if strings.EqualFold(known, name) {
			return oid, true
		}
	}
	isOID := len(name) > 2 && strings.Trim(name, "0123456789.") == "" && name[0] != '.' && strings.Contains(name, ".")
	return name, isOID
}

// unescaped returns the value at the beginning of s, and what follows, which is empty or begins with a separator.
func unescaped(s string) (value, rest string, err error) {
	var b []byte
	kept := 0 // octets that are no blanks at the end
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ',' || c == '+':
			return text(b[:kept], s[i:])
		case c == '\\' && i+1 < len(s) && strings.IndexByte(`,+"\<>;=# `, s[i+1]) >= 0:
			i++
			b = append(b, s[i])
			kept = len(b)
		case c == '\\' && i+2 < len(s):
			octet, err := hex.DecodeString(s[i+1 : i+3])
			if err != nil {
				return "", "", fmt.Errorf(`has \%s, which escapes nothing: write \, for a comma, or \2c`, s[i+1:i+3])
			}
			i += 2
			b = append(b, octet[0])
			kept = len(b)
		case c == '\\':
			return "", "", errors.New(`ends in the middle of an escape`)
		case strings.IndexByte(`"<>;`, c) >= 0 || c == '#' && len(b) == 0:
			return "", "", fmt.Errorf(`has %q: write \%c`, c, c)
		default:
			if b = append(b, c); c != ' ' {
				kept = len(b)
			}
		}
	}
	return text(b[:kept], "")
}

func text(value []byte, rest string) (string, string, error) {
	if !utf8.Valid(value) {
		return "", "", errors.New("has a value that is not in UTF-8")
	}
	return string(value), rest, nil
}
