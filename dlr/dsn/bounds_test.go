package dsn

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// What a report quotes must not leave the package: it may be the mail, with its code.
func TestNothingOfTheReportLeaves(t *testing.T) {
	secrets := []string{"482913", "kari", "nordmann", "example"}
	const words = " 482913 Kari Nordmann <kari@nordmann.example> 482 913 4829.1.3 "
	for _, v := range vectors(t) {
		var out []byte
		body := false
		for line := range bytes.Lines(lf(v.mail)) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			name, _, isField := bytes.Cut(line, []byte(":"))
			structure := bytes.HasPrefix(line, []byte("--")) || bytes.Contains(line, []byte("boundary=")) || bytes.Contains(line, []byte("Content-"))
			switch {
			case len(line) == 0 || structure:
			case isField && slices.Contains([]string{"action", "status"}, strings.ToLower(string(name))):
				line = append(bytes.Clone(line), []byte(" ("+words+")")...)
			case !isField || body || slices.Contains([]string{"diagnostic-code", "remote-mta", "subject", "final-recipient"}, strings.ToLower(string(name))):
				line = append(bytes.Clone(line), words...)
			}
			body = body || len(line) == 0
			out = append(append(out, line...), '\n')
		}
		r := Parse(out, Envelope{})
		if statuses[v.expected["status"]].Report() && !r.Verdict.Report() {
			t.Errorf("%s: got %v: the words hide the report", v.name, r)
		}
		for _, secret := range secrets {
			if said := strings.ToLower(fmt.Sprintf("%+v %v", r, r)); strings.Contains(said, secret) {
				t.Errorf("%s: %q is in %s", v.name, secret, said)
			}
		}
	}
}

// allPhrases are the phrases that Result may have.
func allPhrases() []string {
	return slices.Concat(expiryPhrases, mailboxPhrases, contentPhrases, fullPhrases, []string{deniedPhrase, ""})
}

var allowed = regexp.MustCompile(`^[a-z_]+(: [a-z]*( ?[45][0-9][0-9])?( ?[245]\.[0-7]\.[0-9]{1,3})?( ?\([a-z .&:]+\))?)?$`)

// FuzzParse: nothing panics, and what leaves is of the allowed forms.
func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.mail)
	}
	for _, shape := range shapesOfCost {
		f.Add(shape.mail(200))
	}
	f.Fuzz(func(t *testing.T, mail []byte) {
		before := bytes.Clone(mail)
		r := Parse(mail, Envelope{})
		if !bytes.Equal(before, mail) {
			t.Error("the mail was changed")
		}
		if said := r.String(); !allowed.MatchString(said) {
			t.Errorf("%q is not of the allowed form", said)
		}
		if !slices.Contains(allPhrases(), r.Phrase) || r.Action != "" && actions[r.Action] == Nothing {
			t.Errorf("%+v: words that are not ours", r)
		}
		if len(r.Keys) > maxKeys || r.Code != (Code{}) && !r.Code.said() || r.Verdict.String() == "invalid" {
			t.Errorf("%+v", r)
		}
		if !r.Verdict.Report() && (r.Code != (Code{}) || r.Reply != 0 || r.Phrase != "" || r.Action != "") {
			t.Errorf("%+v: no report, and says something", r)
		}
	})
}

// shapesOfCost are mails that cost much for their size.
var shapesOfCost = []struct {
	name string
	mail func(octets int) []byte
}{
	{"fields", func(n int) []byte { return repeat("a:\n", "", n, "") }},
	{"lines that are no fields", func(n int) []byte { return repeat("a\n", "", n, "") }},
	{"one folded field", func(n int) []byte { return repeat(" (\n", "Content-Type: a", n, "\n\nx") }},
	{"parameters", func(n int) []byte { return repeat("; a=b", "Content-Type: multipart/report", n, "\n\nx") }},
	{"parts", func(n int) []byte { return repeat("--b\n\n", "Content-Type: multipart/report; boundary=b\n\n", n, "") }},
	{"lines like boundaries", func(n int) []byte { return repeat("--bx\n", "Content-Type: multipart/report; boundary=b\n\n", n, "") }},
	{"nested parts with one boundary", func(n int) []byte {
		return repeat("--b\nContent-Type: multipart/mixed; boundary=b\n\n", "Content-Type: multipart/mixed; boundary=b\n\n", n, "")
	}},
	{"nested mails", func(n int) []byte { return repeat("Content-Type: message/rfc822\n\n", "", n, "") }},
	{"nested encodings", func(n int) []byte {
		return repeat("=3D", strings.Repeat("Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n", 2), n, "")
	}},
	{"blocks", func(n int) []byte {
		return repeat("Action: failed\n\n", "Content-Type: message/delivery-status\n\n", n, "")
	}},
	{"blank lines", func(n int) []byte { return repeat("\n", "Content-Type: message/delivery-status\n\n", n, "") }},
	{"one block", func(n int) []byte {
		return repeat("Action: failed\n", "Content-Type: message/delivery-status\n\n", n, "")
	}},
	{"codes", func(n int) []byte {
		return repeat("550 5.0.0 ", "Content-Type: message/delivery-status\n\nAction: failed\nDiagnostic-Code: ", n, "")
	}},
	{"parentheses", func(n int) []byte {
		return repeat("(", "Content-Type: message/delivery-status\n\nAction: failed\nStatus: ", n, "")
	}},
	{"text", func(n int) []byte {
		return repeat("550 5.0.0 ", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n", n, "\n--b\nContent-Type: message/delivery-status\n\nAction: failed\n")
	}},
	{"texts", func(n int) []byte {
		return repeat("--b\n\n"+strings.Repeat("x", 1000)+"\n", "Content-Type: multipart/mixed; boundary=b\n\n", n, "\n--b\nContent-Type: message/delivery-status\n\nAction: failed\n")
	}},
	{"paragraphs", func(n int) []byte { return repeat("<a>:\nno\n\n", "Subject: x\n\nHi. This is the q\n\n", n, "") }},
	{"one paragraph", func(n int) []byte { return repeat("550 5.0.0\n", "Subject: x\n\nHi. This is the q\n\n<a>:\n", n, "") }},
	{"base64", func(n int) []byte {
		return repeat("QQ ", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n", n, "")
	}},
	{"attached headers", func(n int) []byte {
		return repeat("--b\nContent-Type: text/rfc822-headers\n\nMessage-Id: <01a20a30-0000-7000-8000-9d200bed7799@a>\n", "Content-Type: multipart/mixed; boundary=b\n\n", n, "")
	}},
}

func repeat(s, before string, octets int, after string) []byte {
	return []byte(before + strings.Repeat(s, octets/len(s)) + after)
}

// The memory that a mail costs is bounded: all that is allocated for it, freed or not.
func TestMemory(t *testing.T) {
	for _, shape := range shapesOfCost {
		mail := shape.mail(MaxOctets)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Parse(mail, Envelope{})
		runtime.ReadMemStats(&after)
		if octets := after.TotalAlloc - before.TotalAlloc; octets > 32*MaxOctets {
			t.Errorf("%s: allocated %d octets", shape.name, octets)
		} else if testing.Verbose() {
			t.Logf("%s: %d KiB", shape.name, octets>>10)
		}
	}
}
