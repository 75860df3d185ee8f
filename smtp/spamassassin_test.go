package smtp

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ordinaryMails are login codes as services send them, by name, with the most points that each may have.
func ordinaryMails() map[string]struct {
	mail Message
	most float64
} {
	type scored = struct {
		mail Message
		most float64
	}
	mail := func(subject, body string, html bool) Message {
		m := to("kari@mottaker.example")
		m.Subject, m.Body, m.HTML = subject, body, html
		return m
	}
	const (
		plainMost, htmlMost = 0.5, 1.0
		// The points of a mail that is nothing but an image are for the service's own HTML. The text part, which
		// has the subject, gets none; with an empty one it was 7.1.
		imageMost = 2.0
		preheader = `<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">Koden gjelder i fem minutter.&nbsp;&zwnj;&nbsp;&zwnj;</div>`
		card      = `<table role="presentation" width="100%"><tr><td style="padding:24px"><h1 style="font-size:20px">Din kode</h1>
<p style="font-size:28px;letter-spacing:4px"><strong>483 920</strong></p><p>Koden gjelder i fem minutter. Del den ikke med noen.</p>
<p>Hilsen <a href="https://avsender.example">Avsender</a></p></td></tr></table>`
	)
	page := func(body string) string {
		return `<!doctype html><html lang="nb"><head><meta charset="utf-8"><title>Din kode</title><style>body{font-family:sans-serif}</style></head><body>` + body + `</body></html>`
	}
	return map[string]scored{
		"plain nb":       {mail("Din kode", "Koden din er 483920. Den gjelder i fem minutter.\n\nHilsen\nBlåbærsyltetøy kommune", false), plainMost},
		"plain en":       {mail("Your code", "Your code is 483920. It is valid for five minutes. Do not share it.\n", false), plainMost},
		"plain short":    {mail("Your code", "Your code is 482913.", false), plainMost},
		"plain long":     {mail("Én gang til – koden din fra Blåbærsyltetøy kommune", strings.Repeat("Koden din er 483920. ", 40), false), plainMost},
		"code alone":     {mail("Kode", "483920", false), plainMost},
		"html nb":        {mail("Din kode", page(card), true), htmlMost},
		"html en":        {mail("Your code", page(`<p>Your code is <b>483920</b>. It is valid for five minutes.</p>`), true), htmlMost},
		"html fragment":  {mail("Din kode", "<p>Koden er <b>483920</b> – gjelder i fem minutter.", true), htmlMost},
		"html preheader": {mail("Din kode", page(preheader+card), true), htmlMost},
		"html image":     {mail("Din kode er 483920", page(`<img src="https://avsender.example/kode.png" alt="" width="600" height="200">`), true), imageMost},
	}
}

// TestSpamAssassin scores ordinary mails, signed, by local rules.
func TestSpamAssassin(t *testing.T) {
	program, err := exec.LookPath("spamassassin")
	if err != nil {
		t.Skip("spamassassin is not installed; .ci/mail-deps installs it")
	}
	mails, names := ordinaryMails(), []string(nil)
	var all []Message
	for name, m := range mails {
		names, all = append(names, name), append(all, m.mail)
	}
	var box strings.Builder
	for i, data := range sendSigned(t, dkimKeys(t, "avsender.example"), all) {
		fmt.Fprintf(&box, "From varsel@avsender.example %s\n", time.Now().UTC().Format(time.ANSIC))
		fmt.Fprintf(&box, "X-Name: %s\n", names[i])
		box.WriteString(strings.ReplaceAll(string(data), "\r\n", "\n") + "\n")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "mails")
	if err := os.WriteFile(path, []byte(box.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "-L", "-x", "--mbox", path)
	command.Env = append(os.Environ(), "HOME="+dir)
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	status := regexp.MustCompile(`(?s)\nX-Spam-Status: \w+, score=(-?[0-9.]+) .*?tests=(.*?)\n\S`)
	named := regexp.MustCompile(`(?m)^X-Name: (.*)$`)
	seen := 0
	for _, mail := range strings.Split("\n"+string(out), "\nFrom ")[1:] {
		name, result := named.FindStringSubmatch(mail), status.FindStringSubmatch(mail)
		if name == nil || result == nil {
			continue
		}
		seen++
		score, err := strconv.ParseFloat(result[1], 64)
		t.Logf("%-15s %s %s", name[1], result[1], strings.Join(strings.Fields(result[2]), " "))
		if err != nil || score > mails[name[1]].most {
			t.Errorf("%s has %s points, at most %v are allowed: %s", name[1], result[1], mails[name[1]].most, result[2])
		}
	}
	if seen != len(names) {
		t.Errorf("%d of %d mails were scored\n%s", seen, len(names), out)
	}
}
