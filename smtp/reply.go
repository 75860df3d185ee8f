package smtp

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// reply is one reply of a relay (RFC 5321 §4.2). As an error it is a reply other than
// the expected one.
type reply struct {
	code     int
	enhanced [3]int // RFC 3463; zeros where the reply has none
	text     string // the lines, joined by "\n", without reply code and enhanced code
}

// Error returns the codes, and the phrase of our own table that the text contains. No other word of
// a relay is shown: it may quote the mail, its recipient or our password.
func (r *reply) Error() string {
	said := "relay replied " + r.codes()
	if phrase := knownPhrase(r.text); phrase != "" {
		said += " (" + phrase + ")"
	}
	return said
}

// verbatim returns the whole reply, for an operator's eyes only.
func (r *reply) verbatim() string {
	return strings.TrimRight(r.codes()+" "+r.text, " ")
}

// codes returns the reply code, and the enhanced code where there is one.
func (r *reply) codes() string {
	if r.enhanced == ([3]int{}) {
		return strconv.Itoa(r.code)
	}
	return fmt.Sprintf("%d %d.%d.%d", r.code, r.enhanced[0], r.enhanced[1], r.enhanced[2])
}

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
