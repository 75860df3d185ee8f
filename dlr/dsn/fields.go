package dsn

import (
	"bufio"
	"bytes"
	"strings"

	"github.com/emersion/go-message/textproto"
)

// Bounds of a header. What is beyond maxHeader is not read: a report has what counts near its top.
const (
	maxHeader = 64 << 10 // octets of one header, or of one block of a report
	maxValue  = 4 << 10  // octets of one value that is parsed further
	maxNoise  = 100      // lines of one header that are no fields
)

// field is one header field (RFC 5322 §2.2). Its name is in lower case, its value unfolded.
type field struct{ name, value string }

type fields []field

// readFields reads a header. A line that is no field is skipped: the library stops at such a line, and
// would lose the fields after it.
func readFields(header []byte) fields {
	header = header[:min(len(header), maxHeader)]
	in := bufio.NewReader(bytes.NewReader(header))
	var all fields
	for range maxNoise {
		h, err := textproto.ReadHeader(in)
		for f := h.Fields(); f.Next(); {
			all = append(all, field{strings.ToLower(f.Key()), strings.ReplaceAll(f.Value(), "\r", "")})
		}
		if _, end := in.Peek(1); err == nil || end != nil {
			break
		}
	}
	return all
}

// get returns the value of the first field of that name, which is in lower case; empty for none.
func (fs fields) get(name string) string {
	for _, f := range fs {
		if f.name == name {
			return f.value[:min(len(f.value), maxValue)]
		}
	}
	return ""
}

func (fs fields) has(name string) bool {
	for _, f := range fs {
		if f.name == name {
			return true
		}
	}
	return false
}

// bare returns the first field of that name without comments.
func (fs fields) bare(name string) string { return withoutComments(fs.get(name)) }

// word returns the first word of a field: letters, digits, '-' and '.', in lower case.
func (fs fields) word(name string) string {
	value := strings.ToLower(fs.bare(name))
	end := strings.IndexFunc(value, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
	if end >= 0 {
		value = value[:end]
	}
	return value
}

// withoutComments removes comments (RFC 5322 §3.2.2), which nest, and blanks at both ends. A comment that
// is not closed reaches to the end.
func withoutComments(s string) string {
	if strings.IndexByte(s, '(') < 0 {
		return strings.TrimSpace(s)
	}
	var out strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			if depth == 0 {
				out.WriteString(s[i : i+2])
			}
			i++
			continue
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			depth++
			continue
		case c == ')' && depth > 0:
			depth--
			out.WriteByte(' ')
			continue
		}
		if depth == 0 {
			out.WriteByte(s[i])
		}
	}
	return strings.TrimSpace(out.String())
}

// nextLine cuts the first line off, and removes its end: LF or CRLF, and CRCRLF, which is CRLF after a
// program that took it for LF.
func nextLine(b []byte) (line, rest []byte) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return bytes.TrimRight(b, "\r"), nil
	}
	return bytes.TrimRight(b[:end], "\r"), b[end+1:]
}

// cutHeader splits a mail or a MIME part at its first empty line.
func cutHeader(b []byte) (header, body []byte) {
	for rest := b; len(rest) > 0; {
		var line []byte
		at := len(b) - len(rest)
		line, rest = nextLine(rest)
		if len(line) == 0 {
			return b[:at], rest
		}
	}
	return b, nil
}

// blocks splits the body of a report at its blank lines, and reads each block as a header. It reads
// maxParts blocks at most.
func blocks(body []byte) []fields {
	var all []fields
	for read := 0; read < maxParts; read++ {
		var block []byte
		if block, body = nextBlock(body); len(block) == 0 {
			break
		}
		if fs := readFields(block); len(fs) > 0 {
			all = append(all, fs)
		}
	}
	return all
}

// nextBlock cuts off the blank lines at the beginning, and the lines up to the next blank one.
func nextBlock(b []byte) (block, rest []byte) {
	begun := false
	for rest = b; len(rest) > 0; {
		before := rest
		var line []byte
		line, rest = nextLine(rest)
		switch blank := len(bytes.TrimSpace(line)) == 0; {
		case !begun && !blank:
			b, begun = before, true
		case begun && blank:
			return b[:len(b)-len(before)], rest
		}
	}
	if !begun {
		return nil, nil
	}
	return b, nil
}
