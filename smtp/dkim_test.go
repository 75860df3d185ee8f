package smtp

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// dkimKeys makes an RSA and an Ed25519 key for the domain.
func dkimKeys(t testing.TB, domain string) []DKIMKey {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return []DKIMKey{{domain, "s1", rsaKey}, {domain, "s1-ed25519", edKey}}
}

// recordsOf returns the TXT records of the keys, by name.
func recordsOf(t testing.TB, keys []DKIMKey) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, k := range keys {
		record, err := k.Record()
		if err != nil {
			t.Fatal(err)
		}
		all[k.Name()] = record
	}
	return all
}

// awkwardMails are mails whose text, subject or addresses a signature could stumble over.
func awkwardMails() []Message {
	bodies := []string{
		"", "Koden er 483920", "Blåbærsyltetøy: 483920\n\nHilsen Øystein", "Ваш код подтверждения", "🔐 483920",
		strings.Repeat("abcdefghij", 300), "first\n.\n..\n.second\n", "a\rb\nc\r\nd\r.\r\ne", "trailing  \n\ttab\n\n\n",
		"bell \x07 and escape \x1b[31m", "a\r\n.\r\nMAIL FROM:<x@y.example>\r\n", "\n\n\n", " \n\t\n ", "\n\nfirst line third",
		"From here\n>From there\n", "DKIM-Signature: v=1\n\nb=;", strings.Repeat("linje  med  blanke \n", 5000), "=\n=3D\n=20",
	}
	subjects := []string{
		"", "Din kode", "Én gang til – kode ✉", "=?utf-8?q?Kode?=", "kode =?utf-8?b?S29kZQ==?= her", " kode ", "=?", "to  blanke",
		strings.Repeat("🦔=?utf-8?q?Kode?= ", 30) + "é", strings.Repeat("ord ", 200), strings.Repeat("x", 500), "; b=abc; l=0", "a: b",
	}
	var mails []Message
	for i, body := range bodies {
		m := to("kari@mottaker.example")
		m.Body, m.Subject = body, subjects[i%len(subjects)]
		mails = append(mails, m)
		m.HTML, m.Body = true, "<html><head><style>p{}</style></head><body><p>"+body+"</p>\n<a href=\"https://straks.example/æ\">Logg inn</a>"
		mails = append(mails, m)
	}
	for _, addresses := range [][2]string{
		{"pål@avsender.example", "kari@mottaker.example"}, {"varsel@avsender.example", "pål.bjørnøy@blåbærsyltetøy.example"},
		{"варсел@avsender.example", "δοκιμή@παράδειγμα.example"}, {"o'neill+x=y/z@Avsender.Example", "a_b{c}|d~e@mottaker.example"},
		{strings.Repeat("å", 32) + "@avsender.example", "kari@" + strings.Repeat("lang", 15) + "." + strings.Repeat("lang", 15) + ".example"},
	} {
		for _, html := range []bool{false, true} {
			m := to(addresses[1])
			m.From, m.Subject, m.HTML, m.Body = addresses[0], "Kode på vei", html, "Koden er <b>483920</b> – æøå"
			mails = append(mails, m)
		}
	}
	return mails
}

// signingPool returns a pool that signs. It is not run.
func signingPool(t testing.TB, relay Relay, keys []DKIMKey) *Pool {
	t.Helper()
	p, err := New(Config{Relays: []Relay{relay}, Keys: keys}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Run(ctx, Handler{})
	})
	return p
}

// sendSigned sends the mails, and returns what arrived at the relay.
func sendSigned(t testing.TB, keys []DKIMKey, mails []Message) [][]byte {
	t.Helper()
	relay := listen(t, relaytest.Profile{SMTPUTF8: true})
	p := signingPool(t, plain("mx", relay), keys)
	var arrived [][]byte
	for i, m := range mails {
		if res := p.Send(within(t), m); res.Outcome != handover.Accepted {
			t.Fatalf("mail %d: %+v", i, res)
		}
		got := relay.Messages()
		arrived = append(arrived, got[len(got)-1].Data)
	}
	return arrived
}

// verify verifies all signatures of a mail.
func verify(t testing.TB, mail []byte, records map[string]string) []*dkim.Verification {
	t.Helper()
	all, err := dkim.VerifyWithOptions(bytes.NewReader(mail), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		return []string{records[name]}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func passes(all []*dkim.Verification) bool {
	return len(all) > 0 && !slices.ContainsFunc(all, func(v *dkim.Verification) bool { return v.Err != nil })
}

// TestDKIMSignsWhatArrives: both signatures of every awkward mail hold for the octets that the relay got.
func TestDKIMSignsWhatArrives(t *testing.T) {
	keys := dkimKeys(t, "avsender.example")
	known, mails := recordsOf(t, keys), awkwardMails()
	for i, mail := range sendSigned(t, keys, mails) {
		legalLines(t, mail)
		_, body, _ := bytes.Cut(mail, []byte("\r\n\r\n"))
		if slices.ContainsFunc(body, func(c byte) bool { return c >= 0x80 }) {
			t.Errorf("mail %d: a relay without 8BITMIME would convert the body, and break the signatures", i)
		}
		all := verify(t, mail, known)
		if len(all) != 2 || !passes(all) || all[0].Domain != "avsender.example" {
			t.Errorf("mail %d: %+v\n%.2000s", i, all, mail)
		}
	}
}

// TestDKIMTags: the tags are those that the package promises.
func TestDKIMTags(t *testing.T) {
	keys := dkimKeys(t, "avsender.example")
	begin := time.Now().Add(-time.Second)
	mail := sendSigned(t, keys, []Message{to("kari@mottaker.example")})[0]
	for i, signature := range strings.SplitN(string(mail), "DKIM-Signature:", 4)[1:] {
		unfolded := strings.ReplaceAll(signature, "\r\n ", "")
		tag := func(name string) string {
			for pair := range strings.SplitSeq(strings.Split(unfolded, "\r\n")[0], ";") {
				if n, value, _ := strings.Cut(strings.TrimSpace(pair), "="); n == name {
					return value
				}
			}
			return ""
		}
		names := strings.Split(tag("h"), ":")
		for _, field := range []string{"From", "Subject", "To", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type"} {
			if n := len(names) - len(slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == field })); n != 2 {
				t.Errorf("h= names %s %d times: %s", field, n, tag("h"))
			}
		}
		if tag("c") != "relaxed/relaxed" || tag("l") != "" || tag("s") != keys[i].Selector || tag("d") != keys[i].Domain {
			t.Errorf("tags of %s", unfolded)
		}
	}
	for _, v := range verify(t, mail, recordsOf(t, keys)) {
		if v.Time.Before(begin) || v.Expiration.Sub(v.Time) < 7*24*time.Hour {
			t.Errorf("valid from %v until %v", v.Time, v.Expiration)
		}
	}
}

// TestDKIMBreaks: no change that a reader would see leaves a signature whole.
func TestDKIMBreaks(t *testing.T) {
	keys := dkimKeys(t, "avsender.example")
	known := recordsOf(t, keys)
	mail := string(sendSigned(t, keys, []Message{to("kari@mottaker.example")})[0])
	if !passes(verify(t, []byte(mail), known)) {
		t.Fatal("the mail as it was sent does not verify")
	}
	changed := map[string]string{
		"text":   strings.Replace(mail, "483920", "111111", 1),
		"append": mail + "Ring 81 54 93 00\r\n",
	}
	for _, field := range []string{"From: <x@y.example>", "Subject: x", "To: <x@y.example>", "Date: Wed, 04 Feb 2026 11:33:09 +0000",
		"Message-ID: <x@y.example>", "Reply-To: <x@y.example>", "MIME-Version: 1.0", "Content-Type: text/html"} {
		changed["above: "+field] = field + "\r\n" + mail
		changed["below: "+field] = strings.Replace(mail, "\r\n\r\n", "\r\n"+field+"\r\n\r\n", 1)
	}
	for name, text := range changed {
		for _, v := range verify(t, []byte(text), known) {
			if v.Err == nil {
				t.Errorf("%s: a signature holds", name)
			}
		}
	}
}

// TestDKIMChoosesTheDomain: the keys of the From's own domain sign, else those of the nearest domain above, else none.
func TestDKIMChoosesTheDomain(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := newSigner([]DKIMKey{{"example.org", "a", private}, {"mail.example.org", "b", private}, {"xn--blbr-roah.example", "c", private}}, newMetrics().signed, slog.New(slog.DiscardHandler))
	for from, want := range map[string]string{
		"x@example.org": "example.org", "x@EXAMPLE.org": "example.org", "x@mail.example.org": "mail.example.org",
		"x@a.b.mail.example.org": "mail.example.org", "x@other.example.org": "example.org", "x@blåbær.example": "xn--blbr-roah.example",
		"x@notexample.org": "", "x@example.org.example": "", "x@org.example": "",
	} {
		before := testutil.ToFloat64(s.mails.WithLabelValues(dkimUnsigned))
		m := to("kari@mottaker.example")
		m.From = from
		l, err := newLetter(m, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		s.sign(l, time.Now())
		signed := bytes.HasPrefix(l.data, []byte("DKIM-Signature:"))
		if signed != (want != "") || signed && !bytes.Contains(l.data, []byte(" d="+want+";")) {
			t.Errorf("%s: want %q in %.200s", from, want, l.data)
		}
		if unsigned := testutil.ToFloat64(s.mails.WithLabelValues(dkimUnsigned)) > before; unsigned != (want == "") {
			t.Errorf("%s: counted as unsigned: %v", from, unsigned)
		}
	}
}

// TestDKIMFailureIsCounted: a mail that can't be signed leaves without the signature, and is counted.
func TestDKIMFailureIsCounted(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak := DKIMKey{"avsender.example", "", private} // no selector: go-msgauth refuses it
	s := newSigner([]DKIMKey{weak, {"avsender.example", "b", private}}, newMetrics().signed, slog.New(slog.DiscardHandler))
	l := mustLetter(t, "kari@mottaker.example")
	s.sign(l, time.Now())
	if n := strings.Count(string(l.data), "DKIM-Signature:"); n != 1 || testutil.ToFloat64(s.mails.WithLabelValues(dkimFailed)) != 1 {
		t.Errorf("%d signatures, %v failures", n, testutil.ToFloat64(s.mails.WithLabelValues(dkimFailed)))
	}
}
