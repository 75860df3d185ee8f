package dsn

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The forms of codes in a text. What stands beside a code must not make it an address (192.0.2.1) or a
// part of a longer number.
var (
	// "550 5.1.1", "550-5.1.1", "550 #5.1.1"
	bothCodes = regexp.MustCompile(`(?:^|[^0-9A-Za-z.])([45][0-9][0-9])[ \t\r\n-]+[#(\[]*([45]\.[0-7]\.[0-9]{1,3})(?:[^0-9.]|\.(?:[^0-9]|$)|$)`)
	// "5.1.1"
	enhancedCode = regexp.MustCompile(`(?:^|[^0-9A-Za-z.])([245]\.[0-7]\.[0-9]{1,3})(?:[^0-9.]|\.(?:[^0-9]|$)|$)`)
	// "#5.1.1", as qmail and Exchange write it
	markedCode = regexp.MustCompile(`#([45]\.[0-7]\.[0-9]{1,3})(?:[^0-9.]|\.(?:[^0-9]|$)|$)`)
	// "550 text" where a reply begins
	replyCode = regexp.MustCompile(`(?m)(?:^|: |said: |<<< |\()([45][0-9][0-9])(?:[ \t-]|\r?$)`)
)

// replyCodes are those of RFC 5321 §4.2.3 and its extensions. Three other digits may be a part of a
// login code that a report quotes.
var replyCodes = []int{421, 422, 431, 432, 441, 442, 446, 447, 449, 450, 451, 452, 453, 454, 455, 458, 459, 471,
	500, 501, 502, 503, 504, 510, 511, 512, 513, 515, 517, 521, 523, 530, 534, 535, 538, 541,
	550, 551, 552, 553, 554, 555, 556, 557, 571}

// maxMatches bounds the codes that are looked at in one text.
const maxMatches = 20

// parseCode parses an enhanced code of one of the forms above.
func parseCode(s string) (c Code) {
	for i, number := range strings.SplitN(s, ".", 3) {
		c[i], _ = strconv.Atoi(number)
	}
	return c
}

func parseReply(s string) int {
	if n, err := strconv.Atoi(s); err == nil && slices.Contains(replyCodes, n) {
		return n
	}
	return 0
}

// finding is what a text says of a failure.
type finding struct {
	code  Code // none, or said
	reply int
	text  string // the text that the codes stand in, for phrases

	madeUp bool // see Result.MadeUp
}

// diagnosis reads a Diagnostic-Code (RFC 3464 §2.3.6): a type, ';', and a text of any form.
func diagnosis(value string) finding {
	_, text, typed := strings.Cut(value, ";")
	if !typed {
		text = value
	}
	f := finding{text: text}
	f.code, f.reply = codesIn(withoutComments(text), enhancedCode)
	if f.code == (Code{}) { // qmail and others put the code in parentheses
		code, reply := codesIn(text, enhancedCode)
		f.code, f.reply = code, max(f.reply, reply)
	}
	return f
}

// humanText reads the text that a server wrote for people.
func humanText(text string) finding {
	f := finding{text: text}
	f.code, f.reply = codesIn(text, markedCode)
	if f.code == (Code{}) && f.reply != 0 { // the reply's own words count before the server's
		if at := replyCode.FindStringSubmatchIndex(text); at != nil {
			f.text, _, _ = strings.Cut(text[at[2]:], "\n\n")
		}
	}
	return f
}

// codesIn returns the first reply code with an enhanced code that is said, else the first enhanced code
// of the form alone, else the first reply code.
func codesIn(text string, alone *regexp.Regexp) (Code, int) {
	reply := 0
	for _, m := range bothCodes.FindAllStringSubmatch(text, maxMatches) {
		n := parseReply(m[1])
		if c := parseCode(m[2]); c.said() {
			return c, n
		}
		if reply == 0 {
			reply = n
		}
	}
	for _, m := range replyCode.FindAllStringSubmatch(text, maxMatches) {
		if reply == 0 {
			reply = parseReply(m[1])
		}
	}
	for _, m := range alone.FindAllStringSubmatch(text, maxMatches) {
		if c := parseCode(m[1]); c[0] != 2 && c.said() {
			return c, reply
		}
	}
	return Code{}, reply
}
