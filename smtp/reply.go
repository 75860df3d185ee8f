package smtp

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// reply is one reply of a relay (RFC 5321 §4.2). As an error it is a reply other than
// the expected one.
type reply struct {
	code     int
	enhanced [3]int // RFC 3463; zeros where the reply has none
	text     string // the lines, joined by "\n", without reply code and enhanced code
}

func (r *reply) Error() string { return replyError(r.code, maskText(r.text, nil)).Error() }

func replyError(code int, text string) error { return fmt.Errorf("relay replied %d %s", code, text) }

// is reports whether the code is want or begins with its digits: 25 stands for 250 to 259.
func (r *reply) is(want int) bool { return strings.HasPrefix(strconv.Itoa(r.code), strconv.Itoa(want)) }

// negative reports whether the reply is a 4yz or 5yz.
func (r *reply) negative() bool { return r.is(4) || r.is(5) }

// Bounds of one reply. RFC 5321 §4.5.3.1.5 allows 512 octets in a line. The longest
// sensible reply, to EHLO, has under 2,000 octets.
const (
	maxReplyLine   = 2 << 10
	maxReplyLines  = 250
	maxReplyOctets = 32 << 10
)

var (
	errReplyTooLong = errors.New("reply exceeds 2 KiB in a line, 250 lines or 32 KiB")
	// errNotReply does not quote the octets that arrived: they may be anything.
	errNotReply = errors.New("the relay sent octets that are not an SMTP reply")
)

// replyReader is the only reader of replies. textproto.Reader sets no bounds, refuses a code
// that stands alone, and can't go on after a deadline.
type replyReader struct {
	in     *bufio.Reader // its buffer has maxReplyLine octets
	line   []byte        // part of a line, read before a deadline passed
	code   int           // of the lines
	lines  []string      // of an unfinished reply
	octets int
}

func newReplyReader(in *bufio.Reader) replyReader { return replyReader{in: in} }

// next reads one reply. After a time-out it may be called again: it then goes on with
// the octets that had arrived.
func (r *replyReader) next() (*reply, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return nil, err
		}
		code, last, text := splitLine(line)
		switch {
		case code != 0 && (r.code == 0 || r.code == code):
			r.code = code
		case code == 0 && r.code != 0: // text without a code: textproto takes it too
			last, text = false, line
		default:
			return nil, errNotReply
		}
		r.lines = append(r.lines, text)
		if last {
			done := newReply(r.code, r.lines)
			*r = newReplyReader(r.in)
			return done, nil
		}
		if len(r.lines) == maxReplyLines {
			return nil, errReplyTooLong
		}
	}
}

// readLine reads a line and removes its end, which may be a lone LF.
func (r *replyReader) readLine() (string, error) {
	part, err := r.in.ReadSlice('\n')
	r.line = append(r.line, part...)
	r.octets += len(part)
	if len(r.line) > maxReplyLine || r.octets > maxReplyOctets || errors.Is(err, bufio.ErrBufferFull) {
		return "", errReplyTooLong
	}
	if err != nil {
		return "", err
	}
	line := strings.TrimRight(string(r.line), "\r\n")
	r.line = r.line[:0]
	return line, nil
}

// splitLine returns the code of a line, whether the line is the last of its reply, and its text.
// The code is 0 where the line has none. A code may stand alone (RFC 5321 §4.2).
func splitLine(line string) (code int, last bool, text string) {
	if len(line) < 3 || line[0] < '1' || line[0] > '9' || strings.Trim(line[:3], "0123456789") != "" {
		return 0, false, ""
	}
	if len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false, ""
	}
	code, _ = strconv.Atoi(line[:3])
	return code, len(line) == 3 || line[3] == ' ', line[min(4, len(line)):]
}

// newReply takes the enhanced code, which stands at the head of each line (RFC 2034 §4), out
// of the text.
func newReply(code int, lines []string) *reply {
	head, _, _ := strings.Cut(lines[0], " ")
	enhanced, ok := parseEnhanced(head)
	if ok {
		for i, line := range lines {
			if first, rest, _ := strings.Cut(line, " "); first == head {
				lines[i] = rest
			}
		}
	}
	return &reply{code, enhanced, strings.Join(lines, "\n")}
}

// parseEnhanced parses an enhanced code: class 2, 4 or 5, subject and detail (RFC 3463 §2).
func parseEnhanced(s string) (code [3]int, ok bool) {
	numbers := strings.Split(s, ".")
	if len(numbers) != 3 || numbers[0] != "2" && numbers[0] != "4" && numbers[0] != "5" {
		return code, false
	}
	for i, number := range numbers {
		n, err := strconv.ParseUint(number, 10, 10)
		if err != nil || n > 999 {
			return [3]int{}, false
		}
		code[i] = int(n)
	}
	return code, true
}

// queueID finds the relay's identifier of the mail in the forms of Postfix ("Ok: queued as
// 4XY"), Exim ("OK id=1abC-00") and those like them.
func queueID(text string) string {
	for _, mark := range []string{"queued as ", "id=", "Queued as ", "queued with id ", "Message-Id: "} {
		_, after, _ := strings.Cut(text, mark)
		if words := strings.Fields(after); len(words) > 0 {
			id := strings.Trim(words[0], "<>.,;()[]")
			if id != "" && len(id) <= 64 && isASCII(id) && !strings.ContainsFunc(id, unicode.IsControl) && !strings.Contains(id, "@") {
				return id
			}
		}
	}
	return ""
}

// maxText bounds the text that is kept of a reply, in octets.
const maxText = 240

// maskText makes a relay's text fit for logs: one line, bounded, without the parts of a mail
// that relays quote: addresses, a local part alone, codes and links. l may be nil.
func maskText(text string, l *letter) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	var out strings.Builder
	for _, word := range words {
		masked := maskWord(word, l)
		if out.Len()+1+len(masked) > maxText {
			out.WriteString(" …")
			break
		}
		if out.Len() > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(masked)
	}
	return strings.ToValidUTF8(out.String(), "?")
}

func maskWord(word string, l *letter) string {
	if first := strings.IndexByte(word, '@'); first >= 0 {
		start := strings.LastIndexAny(word[:first], "<(") + 1
		word = word[:start] + maskAddress(word)
	}
	if l != nil && (l.to.namedIn(word) || l.from.namedIn(word) || l.quotedIn(word)) {
		return "***"
	}
	return word
}

// maskAddress returns "***@example.org" for an address, "***" for anything else.
func maskAddress(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "***"
	}
	return "***" + s[at:]
}

// namedIn reports whether the word contains the local part of the address. Local parts of
// one or two letters are not looked for: too many words contain them.
func (a address) namedIn(word string) bool {
	local := strings.ToLower(a.local)
	return len(local) > 2 && strings.Contains(strings.ToLower(word), local)
}

// quotedIn reports whether the word contains a code or a link of the mail.
func (l *letter) quotedIn(word string) bool {
	bare := strings.Trim(word, "<>()[]{}\"'.,:;!?")
	if strings.Contains(bare, "/") && l.contains(bare) {
		return true
	}
	for run := range strings.FieldsFuncSeq(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(run) > 2 && strings.ContainsFunc(run, unicode.IsDigit) && l.contains(run) {
			return true
		}
	}
	return false
}

// contains reports whether the mail's subject or body contains the word.
func (l *letter) contains(word string) bool {
	return strings.Contains(l.message.Subject, word) || strings.Contains(l.message.Body, word)
}
