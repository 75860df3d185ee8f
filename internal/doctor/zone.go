package doctor

import (
	"fmt"
	"strings"
)

// maxString is the most octets of one string in a TXT record (RFC 1035 §3.3.14). Readers join the strings.
const maxString = 255

// TXT returns a TXT record as a line of a zone file (RFC 1035 §5.1), with a time to live of an hour.
func TXT(name, text string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. 3600 IN TXT (", strings.TrimSuffix(name, "."))
	for len(text) > 0 {
		n := min(len(text), maxString)
		fmt.Fprintf(&b, " %s", quoted(text[:n]))
		text = text[n:]
	}
	b.WriteString(" )")
	return b.String()
}

// quoted returns a string of a zone file: quotation marks and backslashes are escaped, other octets than
// printable ASCII are numbers.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// unescaped undoes the escapes of package dns: it returns the octets of a string.
func unescaped(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		var c int
		if n, _ := fmt.Sscanf(s[i+1:min(i+4, len(s))], "%3d", &c); n == 1 && i+3 < len(s) && c < 256 {
			out = append(out, byte(c))
			i += 3
			continue
		}
		i++
		out = append(out, s[i])
	}
	return string(out)
}
