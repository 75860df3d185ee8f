package dsn

import (
	"bytes"
	"io"
	"mime"
	"strings"

	"github.com/emersion/go-message"
)

// Bounds of a mail. What is beyond them is not read.
const (
	// MaxOctets bounds what Parse reads of a mail. A report comes before the mail that it returns, so
	// the end of a longer one is not missed.
	MaxOctets = 1 << 20

	maxDepth    = 10       // parts within parts
	maxParts    = 200      // of one mail; also blocks of one report
	maxBoundary = 200      // octets; RFC 2046 §5.1.1 allows 70
	maxText     = 16 << 10 // octets of what a server wrote for people
)

// part is one leaf of the MIME tree, or one attached mail.
type part struct {
	kind     string // media type, in lower case, without parameters
	fields   fields // its header
	body     []byte // not decoded
	attached int    // how many mails it is attached in
}

// tree is a mail and its parts, in the order in which they stand in the mail.
type tree struct {
	root  fields
	parts []part
}

func readTree(mail []byte) *tree {
	mail = bytes.TrimLeft(mail[:min(len(mail), MaxOctets)], "\r\n")
	if bytes.HasPrefix(mail, []byte("From ")) { // the first line in a mailbox file
		_, mail = nextLine(mail)
	}
	t := new(tree)
	t.root = t.add(mail, 0, 0)
	return t
}

// add reads a mail or a part, and everything in it. It returns its header. Each octet is read once for
// each level of the tree, maxDepth times at most.
func (t *tree) add(octets []byte, depth, attached int) fields {
	header, body := cutHeader(octets)
	p := part{fields: readFields(header), body: body, attached: attached}
	var boundary string
	p.kind, boundary = mediaType(p.fields.get("content-type"))
	switch {
	case depth >= maxDepth || len(t.parts) >= maxParts:
	case strings.HasPrefix(p.kind, "multipart/"):
		for _, child := range split(body, boundary) {
			if len(t.parts) >= maxParts {
				break
			}
			t.add(child, depth+1, attached)
		}
	case p.kind == "message/rfc822" || p.kind == "message/global":
		at := len(t.parts)
		t.parts = append(t.parts, p)
		t.parts[at].fields = t.add(bytes.TrimLeft(p.decoded(MaxOctets), "\r\n"), depth+1, attached+1)
	default:
		t.parts = append(t.parts, p)
	}
	return p.fields
}

// decoded returns at most limit octets of the body without its transfer encoding. Where the encoding is
// unknown or broken, it returns what can be read.
func (p part) decoded(limit int64) []byte {
	encoding := p.fields.word("content-transfer-encoding")
	if encoding != "base64" && encoding != "quoted-printable" {
		return p.body[:min(int64(len(p.body)), limit)]
	}
	var h message.Header
	h.Set("Content-Type", p.kind)
	h.Set("Content-Transfer-Encoding", encoding)
	entity, err := message.New(h, bytes.NewReader(p.body))
	if err != nil {
		return p.body[:min(int64(len(p.body)), limit)]
	}
	octets, _ := io.ReadAll(io.LimitReader(entity.Body, limit))
	return octets
}

// mediaType reads a Content-Type. The kind of a missing or unreadable one is text/plain (RFC 2045 §5.2).
func mediaType(value string) (kind, boundary string) {
	value = withoutComments(value)
	kind, params, err := mime.ParseMediaType(value)
	if err == nil {
		return kind, params["boundary"]
	}
	name, rest, _ := strings.Cut(value, ";")
	kind = strings.ToLower(strings.TrimSpace(name))
	if !strings.Contains(kind, "/") {
		return "text/plain", ""
	}
	return kind, lenientBoundary(rest)
}

// lenientBoundary reads the boundary where the parameters break the rules: many servers do not quote a
// boundary with '/' or '=' in it.
func lenientBoundary(params string) string {
	at := strings.Index(strings.ToLower(params), "boundary=")
	if at < 0 || at+len("boundary=") > len(params) { // letter case may change lengths
		return ""
	}
	value := params[at+len("boundary="):]
	if quoted, ok := strings.CutPrefix(value, `"`); ok {
		value, _, _ = strings.Cut(quoted, `"`)
		return value
	}
	if end := strings.IndexAny(value, "; \t"); end >= 0 {
		value = value[:end]
	}
	return value
}

// split returns the parts of a multipart body. The library's reader has no bound on the header of a
// part, loses all parts after a malformed one, and fails on lines of 4 KiB before the first part.
func split(body []byte, boundary string) [][]byte {
	boundary = strings.TrimRight(boundary, " \t")
	if boundary == "" || len(boundary) > maxBoundary {
		return nil
	}
	delimiter := []byte("--" + boundary)
	var parts [][]byte
	begin := -1 // of the part that is open
	for rest := body; len(rest) > 0 && len(parts) < maxParts; {
		at := len(body) - len(rest)
		var line []byte
		line, rest = nextLine(rest)
		tail, ok := bytes.CutPrefix(line, delimiter)
		last := bytes.HasPrefix(tail, []byte("--"))
		if !ok || len(bytes.Trim(bytes.TrimPrefix(tail, []byte("--")), " \t\r")) > 0 {
			continue
		}
		if begin >= 0 {
			parts = append(parts, body[begin:at])
		}
		begin = len(body) - len(rest)
		if last {
			return parts
		}
	}
	if begin >= 0 && len(parts) < maxParts { // the mail was cut
		parts = append(parts, body[begin:])
	}
	return parts
}
