package daemon_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

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

// No log line of any level has a number, an address, a text, a key or a token, whatever
// fails.
func TestLogTellsNoSecret(t *testing.T) {
	t.Parallel()
	p := smsctest.Profile{Rules: smsctest.Sandbox().Rules}
	p.Receipt.EchoText = true
	w := daemontest.NewStopped(t, p, quoting(), "[smsc.errors]\n\"013\" = \"barred\"\n")
	log := w.KeepLog()
	w.Start()

	for _, ending := range []string{"9801", "9901", "9903", "9904", "9908", "9911", "9914", "12"} {
		order := daemontest.SMS("hemmelig-nokkel-"+ending, "+479483"+ending)
		order.Recipient.Settings.Body = "Din kode er 483920, vennlig hilsen Vigdis."
		w.Client.SendSMS(t.Context(), order) // the last is not a number
	}
	for _, local := range []string{"ok", "nosuch", "badsyntax", "spam", "later", "toolate", "filtered", "lost", "ugyldig vigdis"} {
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
	w.SMSC.Down()
	w.Refused("hemmelig-nokkel-down", "+4794839812")
	w.Relay.Close()
	w.Client.SendEmail(t.Context(), daemontest.Mail("hemmelig-nokkel-gone", "vigdis@example.org"))
	w.Stop()
	searchSecrets(t, w, log.String())
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

// uuids are ids of shipments and orders, which logs may have: they contain any digits.
var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// searchSecrets checks every value of every line.
func searchSecrets(t *testing.T, w *daemontest.World, log string) {
	t.Helper()
	secret := regexp.MustCompile(`(?i)vigdis|483920|9483\d|hemmelig|koden|` + regexp.QuoteMeta(w.Token))
	levels := map[string]int{}
	for line := range strings.Lines(log) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		levels[fields["level"].(string)]++
		delete(fields, "time") // any digits
		delete(fields, "ms")
		rest, _ := json.Marshal(fields)
		if found := secret.Find(uuids.ReplaceAll(rest, []byte("id"))); found != nil {
			t.Errorf("%q is in %s", found, rest)
		}
	}
	if levels["DEBUG"] == 0 || levels["INFO"] < 15 || levels["WARN"] < 3 {
		t.Errorf("%v log lines: has the test a log?\n%s", levels, log)
	}
}
