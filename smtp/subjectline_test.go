package smtp

import (
	"bytes"
	"math/rand/v2"
	"mime"
	stdmail "net/mail"
	"strings"
	"testing"
	"time"
)

// headerOf returns the header lines of a mail with that subject.
func headerOf(t *testing.T, subject string) (lines []string, data []byte) {
	t.Helper()
	m := to("kari@mottaker.example")
	m.Subject = subject
	l, err := newLetter(m, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := strings.Cut(string(l.data), "\r\n\r\n")
	return strings.Split(header, "\r\n"), l.data
}

// folds fails the test unless the subject arrives as written, in two parsers, and no line with an encoded word has
// more than 76 characters (RFC 2047 §2).
func folds(t *testing.T, subject string) {
	t.Helper()
	lines, data := headerOf(t, subject)
	for _, line := range lines {
		if len(line) > 76 && strings.Contains(line, "=?") || len(line) > 998 || strings.TrimSpace(line) == "" {
			t.Errorf("%q: line of %d: %q", subject, len(line), line)
		}
	}
	header, _ := read(t, data)
	if got, err := header.Subject(); got != subject || err != nil {
		t.Errorf("%q became %q, %v", subject, got, err)
	}
	std, err := stdmail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := new(mime.WordDecoder).DecodeHeader(std.Header.Get("Subject")); got != subject || err != nil {
		t.Errorf("%q became %q for net/mail, %v", subject, got, err)
	}
}

func TestSubjectFolds(t *testing.T) {
	for _, subject := range []string{
		"", "Din kode", "Påminnelse om søknaden – åpne lenka før klokka åtte på kvelden, ellers går fristen ut",
		strings.Repeat("\U0001F511", 60), strings.Repeat("a", 61), strings.Repeat("a", 998), strings.Repeat("ord ", 200) + "slutt",
		strings.Repeat("a", 60), "a  b", "a" + strings.Repeat(" ", 300) + "b", strings.Repeat("=?", 200), "x " + strings.Repeat("b", 400) + " å",
		"https://avsender.example/" + strings.Repeat("sti/", 40), strings.Repeat("é", 400), "?_=", "=?utf-8?q?Kode?=",
	} {
		folds(t, subject)
	}
	alphabet := []rune("abcdefghijkl     ,.?=_<>\"\\()æøå–€漢\U0001F511e\u0301")
	random := rand.New(rand.NewPCG(20, 47))
	for range 2000 {
		var subject strings.Builder
		for range random.IntN(150) {
			subject.WriteRune(alphabet[random.IntN(len(alphabet))])
		}
		folds(t, subject.String())
	}
}
