package dsn

import (
	"bytes"
	"strings"
)

// findQSBMF reads the bounce format of qmail-send, which is no MIME (QSBMF, by D. J. Bernstein): the
// first paragraph begins "Hi. This is the"; one paragraph for each recipient begins with '<'; a
// paragraph that begins with '-' ends the report, and the mail follows it. All recipients failed.
func (t *tree) findQSBMF() (r Result, original fields, ok bool) {
	if len(t.parts) != 1 || t.parts[0].kind != "text/plain" {
		return r, nil, false
	}
	rest := bytes.TrimLeft(t.parts[0].decoded(MaxOctets), "\r\n")
	if !bytes.HasPrefix(rest, []byte("Hi. This is the")) {
		return r, nil, false
	}
	var recipients []string
	octets := 0
	for len(rest) > 0 {
		var paragraph []byte
		paragraph, rest = nextBlock(rest)
		if bytes.HasPrefix(paragraph, []byte("-")) {
			header, _ := nextBlock(rest)
			original = readFields(header)
			break
		}
		if (bytes.HasPrefix(paragraph, []byte("<")) || len(recipients) > 0) && octets < maxText {
			recipients = append(recipients, string(paragraph[:min(len(paragraph), maxText)]))
			octets += len(paragraph)
		}
	}
	if len(recipients) == 0 {
		return r, nil, false
	}
	text := strings.Join(recipients, "\n\n")
	f := humanText(text[:min(len(text), maxText)])
	r = Result{Code: f.code, Reply: f.reply}
	r.Verdict, r.Phrase = reason(f, 5)
	return r, original, true
}
