package daemon_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"straks/internal/canary"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
	"straks/smtp/relaytest"
)

// quoting is a relay whose replies quote the recipient and the mail, as many do.
func quoting() relaytest.Profile {
	rules := relaytest.StandardRules()
	for i := range rules {
		rules[i].Text = "<" + rules[i].Local + ".vigdis@example.org> " + rules[i].Local + ".vigdis: no; subject Hemmelig483920, see https://example.org/k/483920"
	}
	return relaytest.Profile{Rules: rules}
}

// echoing is a relay that offers a login and refuses it, and quotes the password.
func echoing(password string) relaytest.Profile {
	return relaytest.Profile{Script: relaytest.Dialogue(
		relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250 AUTH PLAIN\r\n"},
		relaytest.Reply{Verb: "AUTH", Text: "535 5.7.8 Error: authentication failed: " + password + "\r\n"})}
}

// Canaries: words that are nowhere but in the place that they are looked for.
const (
	smscPassword  = "kanari1"
	relayPassword = "kanari-passord"
)

// A number, an address, a text, a code, a key, a token or a password is in no log line of any level,
// no metric, status, trace of goroutines or answer to an operator, whatever fails. The journal has the
// recipients, and none of the others; with a key, not even these. The audit has none of them either.
func TestCanaries(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testCanaries(t, false) })
	t.Run("sealed", func(t *testing.T) { testCanaries(t, true) })
}

func testCanaries(t *testing.T, seal bool) {
	t.Parallel()
	p := smsctest.Profile{Rules: smsctest.Sandbox().Rules}
	p.Receipt.EchoText = true
	w := daemontest.NewStopped(t, p, quoting(), "[smsc.errors]\n\"013\" = \"barred\"\n")
	addRelay(w, echoing(relayPassword))
	w.EditConfig("[journal]\n", fmt.Sprintf("[audit]\ndir = %q\n[journal]\n", filepath.Join(w.Dir, "audit")))
	if seal {
		w.SealJournal()
	}
	log := w.KeepLog()
	w.ShortenDeadline()
	w.Start()

	for _, ending := range smsctest.Endings() {
		order := daemontest.SMS("hemmelig-nokkel-"+ending.Suffix, "+4794839999"[:11-len(ending.Suffix)]+ending.Suffix)
		order.SendersReference = "" // the journal has it; its default here has the key
		order.Recipient.Settings.Body = "Din kode er 483920, vennlig hilsen Vigdis."
		w.Client.SendSMS(t.Context(), order)
	}
	w.Client.SendSMS(t.Context(), daemontest.SMS("hemmelig-nokkel-12", "+47948312")) // not a number
	for _, local := range []string{"ok", "nosuch", "badsyntax", "spam", "full", "later", "toolate", "filtered", "lost", "ugyldig vigdis"} {
		order := daemontest.Mail("hemmelig-nokkel-"+local, local+".vigdis@example.org")
		order.Recipient.Settings.Subject, order.Recipient.Settings.Body = "Hemmelig483920", "Koden er https://example.org/k/483920"
		w.Client.SendEmail(t.Context(), order)
	}
	requestBadly(w)
	w.SMSC.SendMO("4794839801", "2077", "STOPP")
	w.SMSC.SendMO("4794839801", "2077", "Vigdis: 483920")
	w.SMSC.Deliver(&wire.Message{ESMClass: 4, Source: "4794839801", Dest: "2077", ShortMessage: []byte("id:4794839801 stat:VIGDIS text:483920")})
	eventually.True(t, "the strange receipt to be met", func() bool { return strings.Contains(log.String(), "receipt lost") })
	w.SMSC.Write(wirePrefix("4794839801 Vigdis 483920"))
	eventually.True(t, "the garbage to be met", func() bool { return strings.Contains(log.String(), "bind lost") })
	eventually.True(t, "the login to be refused", func() bool { return strings.Contains(log.String(), "relay refuses the login") })
	searchOperators(t, w)
	w.SMSC.Down()
	down := daemontest.SMS("hemmelig-nokkel-down", "+4794839812")
	down.SendersReference = ""
	w.Client.SendSMS(t.Context(), down)
	w.Relay.Close()
	w.Client.SendEmail(t.Context(), daemontest.Mail("hemmelig-nokkel-gone", "vigdis@example.org"))
	searchOperators(t, w)
	w.Stop()
	searchLog(t, w, log.String())
	searchJournal(t, w, seal)
}

// addRelay adds a relay that needs a login, and gives both carriers the canaries as passwords.
func addRelay(w *daemontest.World, profile relaytest.Profile) {
	w.T.Helper()
	relay, err := relaytest.Listen("127.0.0.1:0", profile)
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { relay.Close() })
	password := filepath.Join(w.Dir, "mx2.password")
	for file, text := range map[string]string{password: relayPassword, filepath.Join(w.Dir, "telco.password"): smscPassword} {
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			w.T.Fatal(err)
		}
	}
	w.EditConfig("[[relay]]\n", fmt.Sprintf("[[relay]]\nname = \"mx2\"\naddr = %q\ntls = \"off\"\nusername = \"straks\"\ninsecure_auth = true\npassword_file = %q\n\n[[relay]]\n",
		relay.Addr(), password))
}

// requestBadly makes requests that are refused.
func requestBadly(w *daemontest.World) {
	w.T.Helper()
	base := "http://" + w.Daemon.APIAddr() + "/notifications/api/v1/future/"
	for _, r := range []struct{ path, token, body string }{
		{"orders/instant/sms", "hemmelig-token-483920", "{}"},
		{"orders/instant/sms", w.Token, `{"4794839801":"Vigdis 483920`},
		{"orders/instant/sms", w.Token, `{"recipientSms":"+4794839801","sendersReference":483920,"idempotencyId":{"Vigdis":1}}`},
		{"orders/instant/sms?to=4794839801", w.Token, "Vigdis"},
		{"shipment/4794839801", w.Token, ""},
		{"vigdis", w.Token, "483920"},
	} {
		req, err := http.NewRequestWithContext(w.T.Context(), "POST", base+r.path, strings.NewReader(r.body))
		if err != nil {
			w.T.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.T.Fatal(err)
		}
		resp.Body.Close()
	}
	conn, err := net.DialTimeout("tcp", w.Daemon.APIAddr(), 10*time.Second)
	if err != nil {
		w.T.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /vigdis?4794839801 HTTP/1.1\r\nHost: 483920 \x00\r\n\r\n")
	io.ReadAll(conn)
}

// wirePrefix returns text with the header of an unknown PDU.
func wirePrefix(text string) []byte {
	return append([]byte{0, 0, 1, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0}, text+strings.Repeat(" ", 1000)...)
}

// forbidden matches what operators never see: of numbers, in whatever form.
func forbidden(w *daemontest.World, numbers string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)vigdis|483920|hemmelig|koden|kanari|` + numbers + `|` + regexp.QuoteMeta(w.Token))
}

const (
	// partOfNumber is in each number, also in one that is cut short. Figures may have it.
	partOfNumber = `9483\d`
	// wholeNumber is a number without its country code.
	wholeNumber = `94839[89]\d\d`
)

// searchLog checks every value of every line.
func searchLog(t *testing.T, w *daemontest.World, log string) {
	t.Helper()
	found, levels, err := canary.Log(log, forbidden(w, partOfNumber))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range found {
		t.Error(line)
	}
	if levels["DEBUG"] == 0 || levels["INFO"] < 15 || levels["WARN"] < 3 {
		t.Errorf("%v log lines: has the test a log?\n%s", levels, log)
	}
}

// searchOperators checks what the private listener answers.
func searchOperators(t *testing.T, w *daemontest.World) {
	t.Helper()
	secret := forbidden(w, wholeNumber)
	for path, has := range map[string]string{"/metrics": "straks_", "/status": "telco", "/readyz": "\n", "/debug/pprof/goroutine?debug=2": "goroutine 1 "} {
		_, text := w.Admin(path)
		if !strings.Contains(text, has) {
			t.Errorf("%s answers\n%s", path, text)
		}
		if found := secret.FindString(canary.Plain(text)); found != "" {
			t.Errorf("%q is in the answer of %s:\n%s", found, path, text)
		}
	}
}

// searchJournal checks every octet of the journal's folder, except the files that hold passwords and
// the configuration. Recipients are in the journal only, and only where that is not sealed.
func searchJournal(t *testing.T, w *daemontest.World, seal bool) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(w.Dir, "straks.toml")); err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, name := range filesOf(t, w.Dir) {
		if filepath.Ext(name) == ".password" {
			continue
		}
		octets, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		size += len(octets)
		for _, secret := range []string{"vennlig hilsen", "Hemmelig483920", "k/483920", "Din kode", "hemmelig-nokkel", smscPassword, relayPassword, w.Token} {
			if bytes.Contains(octets, []byte(secret)) {
				t.Errorf("%q is in %s", secret, name)
			}
		}
		has := recipients.Find(octets)
		switch journal := filepath.Base(name) == filepath.Base(w.JournalFile()); {
		case has == nil && journal && !seal:
			t.Error("the journal has no recipient: has the test a journal?")
		case has != nil && (seal || !journal):
			t.Errorf("%q is in %s", has, name)
		}
	}
	if size == 0 {
		t.Error("no file was searched")
	}
}

// recipients matches those of TestCanaries, without the country code.
var recipients = regexp.MustCompile(`(?i)\.vigdis@example|` + wholeNumber)

func filesOf(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
