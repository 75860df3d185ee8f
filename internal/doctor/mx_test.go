package doctor

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/miekg/dns"

	"straks/internal/config"
	"straks/internal/doctor/dnstest"
	"straks/smtp/relaytest"
	"straks/smtp/returnpath"
)

// withBounceDomain returns a plan of mails that have a return path of their own, and its key.
func withBounceDomain(t *testing.T) (*Plan, *returnpath.Keys) {
	t.Helper()
	dir, key := t.TempDir(), returnpath.NewKey()
	for name, text := range map[string]string{"key": key.Text(), "straks.toml": `
api.listen = "127.0.0.1:8080"
journal.path = "/nowhere/journal.db"
organisation = [{name = "ttd"}]
email.default_sender = "no-reply@example.org"
relay = [{name = "mx", addr = "127.0.0.1:25"}]
mail = {bounce_domain = "bounce.example.org", return_path_key_file = "` + dir + `/key"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, _, err := config.Load(filepath.Join(dir, "straks.toml"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := returnpath.NewKeys(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Plan{Config: cfg, Loop: true}, keys
}

// mailServer is a server that takes the recipients for which reply returns "250 …". It counts the mails.
func mailServer(t *testing.T, reply func(local string) string) (port string) {
	t.Helper()
	s, err := relaytest.Listen("127.0.0.1:0", relaytest.Profile{Script: func(c net.Conn) {
		fmt.Fprint(c, "220 x\r\n")
		for in := bufio.NewScanner(c); in.Scan(); {
			said := "250 ok"
			switch verb, rest, _ := strings.Cut(in.Text(), ":"); verb {
			case "RCPT TO":
				local, _, _ := strings.Cut(strings.Trim(rest, "<>"), "@")
				said = reply(local)
			case "DATA":
				t.Error("a mail was sent")
			}
			fmt.Fprint(c, said+"\r\n")
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	_, port, _ = net.SplitHostPort(s.Addr())
	return port
}

const goodMX = "bounce.example.org. 60 IN MX 20 other.example.org.\nbounce.example.org. 60 IN MX 10 mx.example.org.\nmx.example.org. 60 IN A 127.0.0.1\nother.example.org. 60 IN A 127.0.0.1\n"

func TestLoop(t *testing.T) {
	p, keys := withBounceDomain(t)
	straks := func(local string) string {
		if _, err := keys.Parse(local); err != nil {
			return "550 5.1.1 no such address"
		}
		return "250 ok"
	}
	for name, c := range map[string]struct {
		reply func(string) string
		want  []string
	}{
		"straks":         {straks, []string{"ok", "Reports reach straks"}},
		"takes all":      {func(string) string { return "250 ok" }, []string{"fix", "reject_unverified_recipient"}},
		"takes none":     {func(string) string { return "554 5.7.1 relay access denied" }, []string{"fix", "554 5.7.1", "pass mail for bounce.example.org on"}},
		"the other way":  {func(l string) string { return map[bool]string{true: "550 no", false: "250 ok"}[straks(l)[0] == '2'] }, []string{"fix", "takes one that is not"}},
		"store is away":  {func(string) string { return "451 4.3.0 later" }, []string{"unknown", "451 4.3.0", "later"}},
		"hangs up":       {func(string) string { return "421 bye" }, []string{"unknown"}},
		"speaks no SMTP": {func(string) string { return "hello" }, []string{"unknown", "could not be asked"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := *p
			p.MXPort = mailServer(t, c.reply)
			s := dnstest.Serve(t, goodMX)
			wants(t, p.mxCheck(within(t), resolver(t, s), "bounce.example.org"), c.want, c.want)
		})
	}
	p.MXPort = "1"
	wants(t, p.mxCheck(within(t), resolver(t, dnstest.Serve(t, goodMX)), "bounce.example.org"), []string{"unknown", "port 25"}, []string{"unknown"})
}

func TestMX(t *testing.T) {
	p, _ := withBounceDomain(t)
	p.Loop = false
	for name, c := range map[string]struct {
		zone string
		want [][]string
	}{
		"good":       {goodMX, [][]string{{"ok", "mx.example.org, other.example.org"}}},
		"none":       {"", [][]string{{"fix", "no MX", "publish: bounce.example.org. 3600 IN MX 10 reports.bounce.example.org."}}},
		"null":       {"bounce.example.org. 60 IN MX 0 .", [][]string{{"fix", "takes no mail", "remove: bounce.example.org. 3600 IN MX 0 .", "publish: "}}},
		"implicit":   {"bounce.example.org. 60 IN A 192.0.2.1", [][]string{{"note", "publish: bounce.example.org. 3600 IN MX 10 bounce.example.org."}}},
		"no address": {"bounce.example.org. 60 IN MX 1 mx.example.org.", [][]string{{"fix", "publish: mx.example.org. 3600 IN A"}}},
		"alias": {"bounce.example.org. 60 IN MX 1 mx.example.org.\nmx.example.org. 60 IN CNAME real.example.org.\nreal.example.org. 60 IN A 192.0.2.1",
			[][]string{{"fix", "alias", "remove: bounce.example.org. 3600 IN MX 10 mx.example.org.", "publish: bounce.example.org. 3600 IN MX 10 real.example.org."}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := p.mxCheck(within(t), resolver(t, dnstest.Serve(t, c.zone)), "bounce.example.org")
			wants(t, got, c.want...)
			publishes(t, got)
		})
	}
	s := dnstest.Serve(t, goodMX)
	s.Change(func(now *dnstest.State) {
		now.Rcodes["mx.example.org."] = dns.RcodeServerFailure
		now.Rcodes["bounce.example.net."] = dns.RcodeServerFailure
	})
	wants(t, p.mxCheck(within(t), resolver(t, s), "bounce.example.org"), []string{"unknown", "mx.example.org", "SERVFAIL"})
	wants(t, p.mxCheck(within(t), resolver(t, s), "bounce.example.net"), []string{"unknown", "SERVFAIL"})
}

// TestForged: the listener must take the one for ours, and not the other.
func TestForged(t *testing.T) {
	_, keys := withBounceDomain(t)
	for range 100 {
		ours := keys.Address(uuid.New(), "bounce.example.org")
		local, _, _ := strings.Cut(forgedOf(ours), "@")
		if _, err := keys.Parse(local); err == nil || len(forgedOf(ours)) != len(ours) {
			t.Fatalf("%s: %v", local, err)
		}
	}
}

// TestPlan: what is looked at, in which order.
func TestPlan(t *testing.T) {
	p, _ := withBounceDomain(t)
	names := func(p *Plan) string {
		var all []string
		for _, c := range p.checks(resolver(t, dnstest.Serve(t, ""))) {
			all = append(all, c.subject+"/"+c.name)
		}
		return strings.Join(all, " ")
	}
	if got := names(p); got != "bounce.example.org/SPF bounce.example.org/MX example.org/DMARC relay mx/SMTP this machine/clock" {
		t.Error(got)
	}
	p.Config.Organisations[0].EmailSenderDomains = []string{"Other.example", "example.org"}
	if got := names(p); got != "bounce.example.org/SPF bounce.example.org/MX other.example/DMARC example.org/DMARC relay mx/SMTP this machine/clock" {
		t.Error(got)
	}
	p.Config.Organisations[0].EmailSenderDomains = nil
	p.Config.Mail.BounceDomain, p.Config.Mail.ReturnPath = "", "returns@EXAMPLE.org"
	if got := names(p); got != "example.org/SPF example.org/DMARC relay mx/SMTP this machine/clock" {
		t.Error(got)
	}
	p.Config.Mail.ReturnPath = ""
	if got := names(p); got != "return path/SPF example.org/DMARC relay mx/SMTP this machine/clock" {
		t.Error(got)
	}
	wants(t, nullSender(), []string{"note", "null sender", "run: straks mail key"})
	p.Config.Relays = nil
	if got := names(p); got != "this machine/clock" {
		t.Error(got)
	}
}
