package inbox

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

func TestMailIsTakenApart(t *testing.T) {
	w := start(t, smsctest.Profile{}, nil)
	order := daemontest.Mail("k", "kari@example.org")
	order.Recipient.Settings.Subject = "Koden din – «æøå» 🙂"
	order.Recipient.Settings.ContentType = "Html"
	order.Recipient.Settings.Body = `<p>Kode <b>123456</b>. <a href="https://example.org/x?a=1&amp;b=2">Logg inn</a> <a href="mailto:x@y.no">post</a></p>`
	if _, err := w.Client.SendEmail(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	var m Message
	if err := json.Unmarshal([]byte(w.ask("GET", "/messages/latest?to=KARI@example.org", nil).body), &m); err != nil {
		t.Fatal(err)
	}
	e := m.Email
	if m.Channel != ChannelEmail || e.Subject != "Koden din – «æøå» 🙂" || strings.TrimSpace(e.HTML) != order.Recipient.Settings.Body || !strings.Contains(m.Text, "Kode 123456") {
		t.Errorf("%+v %+v", m, e)
	}
	if !slices.Equal(e.Links, []string{"https://example.org/x?a=1&b=2"}) {
		t.Errorf("links %q", e.Links)
	}
	if !slices.ContainsFunc(e.Headers, func(h Header) bool { return h.Name == "To" && strings.Contains(h.Value, "kari@example.org") }) {
		t.Errorf("headers %+v", e.Headers)
	}
	raw := w.ask("GET", "/messages/1/eml", nil)
	if took := w.Relay.Messages(); raw.body != string(took[0].Data) || raw.header.Get("Content-Type") != "message/rfc822" || !strings.Contains(raw.header.Get("Content-Disposition"), ".eml") {
		t.Errorf("the .eml: %v\n%q", raw.header, raw.body)
	}
}

// TestStrangeMails: nothing that a relay takes breaks the page, and the mail is kept.
func TestStrangeMails(t *testing.T) {
	box := New(1 << 20)
	deep := "Content-Type: multipart/mixed; boundary=a\r\n\r\n" + strings.Repeat("--a\r\n\r\nx\r\n", 300) + "--a--\r\n"
	for i, c := range []struct{ data, text, fault string }{
		{"", "", ""},
		{"no header at all", "", "header"},
		{"Subject: x\r\n\r\n\xff\xfe", "\uFFFD", ""},
		{"Content-Type: text/plain; charset=iso-8859-1\r\n\r\n\xe6\xf8\xe5", "æøå", ""},
		{"Content-Transfer-Encoding: base64\r\n\r\nS29kZQ==", "Kode", ""},
		{"Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\nhalf a", "half a", "EOF"},
		{"Content-Type: text/plain; charset=unheard-of\r\n\r\nx", "x", ""},
		{deep, "x", "more than 100 parts"},
		{"Subject: =?utf-8?q?=C3?=\r\n\r\nx", "x", ""},
	} {
		box.Mailed(relaytest.Message{To: "a@x.example", Data: []byte(c.data)})
		m := box.Get(int64(i + 1))
		if strings.TrimSpace(m.Text) != c.text || !strings.Contains(m.Email.Fault, c.fault) || string(m.Email.raw) != c.data {
			t.Errorf("%q became %q, fault %q", c.data, m.Text, m.Email.Fault)
		}
	}
}

func TestFrame(t *testing.T) {
	for page, want := range map[string]string{
		`<p style="color:red">a</p>`:                      `<p style="color:red">a</p>`,
		`<style>p{color:red}</style><p>a`:                 `<style>p{color:red}</style><p>a`,
		`<img src="data:image/png;base64,AA==">`:          `<img src="data:image/png;base64,AA==">`,
		`a<script>alert("</p>")</script>b`:                `ab`,
		`a<SCRIPT src=x>c`:                                `a`,
		`<svg/onload=alert(1)>`:                           `<svg>`,
		`<img src=x onerror=alert(1)>`:                    `<img>`,
		`<img srcset="//e.example/x 2x" lowsrc=1>`:        `<img lowsrc="1">`,
		`<a href="https://x.example" target=_top ping=y>`: `<a href="https://x.example">`,
		`<a href=" JaVaScRiPt:alert(1)">x</a>`:            `<a>x</a>`,
		`<link rel=preconnect href=//e.example>a`:         `a`,
		`<meta http-equiv=refresh content="0;url=x">a`:    `a`,
		`<base href=//e.example>a`:                        `a`,
		`<iframe src=x>b</iframe>a`:                       `a`,
		`<form action=//e.example><button formaction=y>`:  `<form><button>`,
		`<p style="background:URL(//e.example)">a`:        `<p>a`,
		`<object data=x><b>y</b></object>z`:               `z`,
		`a<!-- <script> -->b`:                             `ab`,
		`<!doctype html><body background=x>`:              `<body>`,
		`<image xlink:href="//e.example"></image>`:        `<image></image>`,
	} {
		got, _ := frameHTML(page)
		if _, body, _ := strings.Cut(got, "\n"); body != want {
			t.Errorf("%s\nbecame %s\nwant   %s", page, body, want)
		}
	}
}

// TestFrameHeaders: the frame's document has an origin of its own, and its policy runs and loads nothing.
func TestFrameHeaders(t *testing.T) {
	w := start(t, smsctest.Profile{}, nil)
	w.box.Mailed(relaytest.Message{To: "a@x.example", Data: []byte("Content-Type: text/html\r\n\r\n<p>x")})
	policy := w.ask("GET", "/messages/1/html", nil).header.Get("Content-Security-Policy")
	for _, want := range []string{"sandbox ", "default-src 'none'", "form-action 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	for _, never := range []string{"allow-scripts", "allow-same-origin", "script-src", "allow-forms", "allow-top"} {
		if strings.Contains(policy, never) {
			t.Errorf("the policy has %s: %s", never, policy)
		}
	}
}

// FuzzFrame: no tag that a browser would read in what the frame gets is one that must be left out.
func FuzzFrame(f *testing.F) {
	f.Add(`<p>a<script>b</script><svg><style><img src=x onerror=y>`)
	f.Fuzz(func(t *testing.T, page string) {
		framed, _ := frameHTML(page)
		_, framed, _ = strings.Cut(framed, "\n")
		for z := html.NewTokenizer(strings.NewReader(framed)); z.Next() != html.ErrorToken; {
			tag := z.Token()
			if (tag.Type == html.StartTagToken || tag.Type == html.SelfClosingTagToken) && (slices.Contains(dropped, tag.Data) || clean(&tag) > 0) {
				t.Errorf("%q became %q, which has %s", page, framed, tag.Data)
			}
		}
	})
}
