package smtp

import (
	"bytes"
	"errors"
	"io"
	stdmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/mail"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// part is a text part as a mail reader sees it.
type part struct{ mediaType, text string }

// read parses a mail with go-message.
func read(t *testing.T, data []byte) (mail.Header, []part) {
	t.Helper()
	r, err := mail.CreateReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var parts []part
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return r.Header, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatal(err)
		}
		mediaType, params, _ := p.Header.(*mail.InlineHeader).ContentType()
		if params["charset"] != "utf-8" {
			t.Errorf("charset %q", params["charset"])
		}
		parts = append(parts, part{mediaType, strings.ReplaceAll(string(text), "\r\n", "\n")})
	}
}

// legalLines fails the test for lines that RFC 5321 or 5322 forbids.
func legalLines(t *testing.T, data []byte) {
	t.Helper()
	if !bytes.HasSuffix(data, []byte("\r\n")) {
		t.Error("the last line has no end")
	}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(data, []byte("\r\n")), []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
			t.Errorf("illegal line %q", line)
		}
	}
}

func TestPlainMail(t *testing.T) {
	bodies := map[string]string{
		"ascii":       "Koden er 483920",
		"norwegian":   "Blåbærsyltetøy: 483920\n\nHilsen Øystein",
		"cyrillic":    "Ваш код подтверждения",
		"emoji":       "🔐 483920",
		"long line":   strings.Repeat("abcdefghij", 300),
		"dots":        "first\n.\n..\n.second\n",
		"lone CR, LF": "a\rb\nc\r\nd\r.\r\ne",
		"spaces":      "trailing  \n\ttab\n\n\n",
		"control":     "bell \x07 and escape \x1b[31m",
		"smuggled":    "a\r\n.\r\nMAIL FROM:<x@y.example>\r\n",
	}
	relay := listen(t, relaytest.Profile{})
	p := newPool(t, plain("mx", relay))
	n := 0
	for name, body := range bodies {
		m := to("kari@mottaker.example")
		m.Body, m.Subject = body, "Én gang til – kode ✉"
		if res := p.Send(within(t), m); res.Outcome != handover.Accepted {
			t.Fatalf("%s: %+v", name, res)
		}
		n++
		got := relay.Messages()
		if len(got) != n {
			t.Fatalf("%s: %d mails of %d", name, len(got), n)
		}
		data := got[n-1].Data
		legalLines(t, data)
		header, parts := read(t, data)
		want := strings.TrimSuffix(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body), "\n") + "\n"
		if len(parts) != 1 || parts[0] != (part{"text/plain", want}) {
			t.Errorf("%s: %q", name, parts)
		}
		if s, err := header.Subject(); s != m.Subject || err != nil {
			t.Errorf("%s: subject %q, %v", name, s, err)
		}
	}
}

// Text that a mail reader would decode or trim arrives as it was written.
func TestSubjectArrivesAsWritten(t *testing.T) {
	for _, subject := range []string{
		"Din kode", "Én gang til – kode ✉", "=?utf-8?q?Kode?=", "kode =?utf-8?b?S29kZQ==?= her", " kode ", "=?",
		strings.Repeat("🦔=?utf-8?q?Kode?= ", 30) + "é",
	} {
		m := to("kari@mottaker.example")
		m.Subject = subject
		l, err := newLetter(m, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		legalLines(t, l.data)
		header, _ := read(t, l.data)
		if s, err := header.Subject(); s != subject || err != nil {
			t.Errorf("%q became %q, %v", subject, s, err)
		}
	}
}

func TestHeaderFields(t *testing.T) {
	date := time.Date(2026, 2, 4, 11, 33, 9, 0, time.UTC)
	m := to("kari@mottaker.example")
	m.Organisation = "skatt"
	l, err := newLetter(m, date)
	if err != nil {
		t.Fatal(err)
	}
	got, err := stdmail.ReadMessage(bytes.NewReader(l.data)) // another parser than the builder's
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"From": "<varsel@avsender.example>", "To": "<kari@mottaker.example>", "Subject": "Din kode",
		"Message-Id": "<" + m.ID + "@avsender.example>", "Date": "Wed, 04 Feb 2026 11:33:09 +0000",
		"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "OOF, AutoReply", "Mime-Version": "1.0",
		"Feedback-Id": "instant:skatt:notification:straks",
	} {
		if values := got.Header[field]; len(values) != 1 || values[0] != want {
			t.Errorf("%s: %q", field, values)
		}
	}
	for _, field := range []string{"Reply-To", "List-Unsubscribe", "BIMI-Selector", "Sender", "Return-Path"} {
		if values := got.Header[field]; values != nil {
			t.Errorf("%s: %q", field, values)
		}
	}
}

// A name and an address for replies arrive as written, in lines that every relay takes.
func TestSenderName(t *testing.T) {
	for _, name := range []string{"", "Skatteetaten", "NAV (arbeid)", "Kjell, Inc.", `Bank "A" \ Co`, "Digdir.no", "Språkrådet", strings.Repeat("Ø", maxName),
		strings.Repeat("a", maxName), "=?utf-8?q?x?=", strings.Repeat("\U0001F511", maxName), "To  blanke", "Statens vegvesen, trafikant- og kjøretøyområdet i Nord-Norge"} {
		m := to("kari@mottaker.example")
		m.From, m.Name, m.ReplyTo = strings.Repeat("v", 60)+"@"+strings.Repeat("avsender.", 10)+"example", name, "svar@blåbær.example"
		l, err := newLetter(m, time.Now())
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		header, _, _ := strings.Cut(string(l.data), "\r\n\r\n")
		for line := range strings.SplitSeq(header, "\r\n") {
			if strings.Contains(line, "=?") && len(line) > 76 || len(line) > 998 {
				t.Errorf("%q: a line of %d: %q", name, len(line), line)
			}
		}
		got, err := stdmail.ReadMessage(bytes.NewReader(l.data))
		if err != nil {
			t.Fatal(err)
		}
		for field, want := range map[string]string{"From": m.From, "Reply-To": "svar@xn--blbr-roah.example"} {
			found, err := got.Header.AddressList(field)
			if err != nil || len(found) != 1 || found[0].Name != name || found[0].Address != want {
				t.Errorf("%q: %s is %v, %v: %q", name, field, found, err, got.Header.Get(field))
			}
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{"": true, "NAV": true, " NAV": false, "a\r\nBcc: b": false, "a@b": false, "a\u202eb": false, "a\xff": false,
		strings.Repeat("ø", 71): false, strings.Repeat("ø", 70): true, "a\tb": false} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestHTMLMail(t *testing.T) {
	m := to("kari@mottaker.example")
	m.HTML, m.Body = true, "<html><head><style>p{}</style><title>x</title></head><body><p>Koden er&nbsp;<b>483920</b></p>\n<p><a href=\"https://straks.example/æ\">Logg inn</a></body></html>"
	l, err := newLetter(m, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	legalLines(t, l.data)
	_, parts := read(t, l.data)
	if len(parts) != 2 {
		t.Fatalf("parts %q", parts)
	}
	if want := (part{"text/plain", "Koden er 483920\n\nLogg inn <https://straks.example/æ>\n"}); parts[0] != want {
		t.Errorf("got %q", parts[0])
	}
	if want := (part{"text/html", m.Body + "\n"}); parts[1] != want {
		t.Errorf("got %q", parts[1])
	}
}

// A mail of images alone has its subject as text.
func TestTextOfImages(t *testing.T) {
	for _, body := range []string{"", "<img src=x>", "<div hidden>x</div>", "&nbsp;<p> </p>"} {
		m := to("kari@mottaker.example")
		m.HTML, m.Body = true, body
		l, err := newLetter(m, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, parts := read(t, l.data); len(parts) != 2 || parts[0].text != m.Subject+"\n" {
			t.Errorf("%q: %q", body, parts)
		}
	}
}

func TestTextOf(t *testing.T) {
	tests := []struct{ html, text string }{
		{"", "\n"},
		{"Kode: 1234", "Kode: 1234\n"},
		{"  a \n b<b>c</b> d ", "a bc d\n"},
		{"<p>a</p><p>b</p>", "a\n\nb\n"},
		{"<div>a</div><div>b</div>", "a\nb\n"},
		{"a<br>b<br/><br>c<br><br><br><br>d", "a\nb\n\nc\n\nd\n"},
		{"<ul><li>en<li>to</ul>slutt", "- en\n- to\n\nslutt\n"},
		{"<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\nc\n"},
		{"x<script>alert('<p>')</script>y<style>p{}</style>z", "xyz\n"},
		{"<script>never closed <p>a</p>", "\n"},
		{"<pre>  a\n    b\n</pre>c", "  a\n    b\n\nc\n"},
		{`<a href="https://x.example/?a=1&amp;b=2">her</a>.`, "her <https://x.example/?a=1&b=2>.\n"},
		{`<a href="https://x.example/">https://x.example/</a>`, "https://x.example/\n"},
		{`<a href="javascript:alert(1)">her</a>`, "her\n"},
		{`<a href="mailto:a@b.example">post</a>`, "post <mailto:a@b.example>\n"},
		{`<a href="MAILTO:a@b.example?subject=x">a@b.example</a>`, "a@b.example\n"},
		{`<a href="tel:+4799999999">ring</a> <a href="tel:+4799999999">+4799999999</a>`, "ring <tel:+4799999999> +4799999999\n"},
		{"<ol><li>en<li>to</ol><ol start=7><li>sju<li value=9>ni<li>ti</ol>", "1. en\n2. to\n\n7. sju\n9. ni\n10. ti\n"},
		{"<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol><li>d", "1. a\n\n- b\n\n2. c\n\n- d\n"},
		{`<div style="display:none">Skjult <div>mer</div> tekst</div>Kode 1234`, "Kode 1234\n"},
		{`<div style="color:red; DISPLAY : None !important">x</div><span hidden>y</span><p style="mso-hide:all">z</p>Kode`, "Kode\n"},
		{`<p hidden>x<p>Kode</p>`, "Kode\n"},
		{`<ul><li hidden>x<ul><li>y</ul><li>Kode</ul>`, "- Kode\n"},
		{`<table><tr><td hidden>x<td>Kode<tr hidden><td>y</table>slutt`, "Kode\n\nslutt\n"},
		{`<table><tr><td><div hidden>x</td><td>Kode</td></tr></table>`, "Kode\n"},
		{`<div hidden><table><tr><td>x<td>y</table><ul><li>z</ul></div>Kode`, "Kode\n"},
		{`<ul><li hidden>x<ul><li>y</ul></li><li>Kode</li></ul>`, "- Kode\n"},
		{`<img hidden alt=x><br hidden><input hidden>Kode`, "Kode\n"},
		{"<select><option>a<option>b</select><iframe>x</iframe><object>y<object>z</object>w</object><audio>v</audio><noscript>u</noscript>Kode", "Kode\n"},
		{`<p style="display:block">Kode</p><p style="background:url(display:none.png)">b`, "Kode\n\nb\n"},
		{`<img src=x alt="Logo"> Hei`, "Logo Hei\n"},
		{"&lt;b&gt; &amp; &aring;&#248;&nbsp;&euro;", "<b> & åø €\n"},
		{"a<!-- nei -->b", "ab\n"},
		{"a</p></p></a></pre>b<", "a\n\nb<\n"},
		{strings.Repeat("<div>", 100_000) + "dypt", "dypt\n"},
	}
	for _, test := range tests {
		if got := textOf(test.html); got != test.text {
			t.Errorf("%.60q gives %q, want %q", test.html, got, test.text)
		}
	}
}

func FuzzTextOf(f *testing.F) {
	f.Add("<p>Kode <b>1234</b></p><a href='https://x.example'>x</a>")
	f.Add("<pre>\n a</pre><script><li>")
	f.Fuzz(func(t *testing.T, source string) {
		text := textOf(source)
		if len(text) > 8*len(source)+8 {
			t.Errorf("%d octets became %d", len(source), len(text))
		}
		if strings.Contains(text, "\n\n\n") {
			t.Errorf("two empty lines: %q", text)
		}
	})
}

func TestCheck(t *testing.T) {
	p := newPool(t, Relay{Name: "mx", Addr: "127.0.0.1:1"})
	if err := p.Check(to("kari@mottaker.example")); err != nil {
		t.Error(err)
	}
	bad := Message{ID: "a b", From: "x", To: "y\r\n@z.example", Subject: "a\r\nBcc: evil@x.example", Body: "a\x00b"}
	var faults Faults
	if !errors.As(p.Check(bad), &faults) {
		t.Fatal("no faults")
	}
	seen := make(map[Field]bool)
	for _, f := range faults {
		seen[f.Field] = true
	}
	for _, field := range []Field{FieldID, FieldFrom, FieldTo, FieldSubject, FieldBody} {
		if !seen[field] {
			t.Errorf("no fault of %s in %v", field, faults)
		}
	}
	if strings.Contains(faults.Error(), "evil") {
		t.Error("the fault quotes the mail")
	}
	if res := p.Send(within(t), bad); res.Outcome != handover.Refused || res.Refusal != BadAddress {
		t.Errorf("got %+v", res)
	}
}
