package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/internal/doctor"
	"straks/internal/doctor/dnstest"
	"straks/internal/eventually"
	"straks/internal/pgcluster"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
	"straks/smtp/returnpath"
)

// diagnosed runs doctor with -json, and returns its findings as "subject/check: level".
func diagnosed(t *testing.T, w *daemontest.World, s *dnstest.Server, want int) (levels map[string]string, findings []doctor.Finding, stderr string) {
	t.Helper()
	code, out, stderr := straks(t, "", "doctor", "-config", w.ConfigFile(), "-resolver", s.Addr, "-json")
	var answer struct {
		Resolver string
		Findings []doctor.Finding
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Resolver != s.Addr || code != want {
		t.Fatalf("%d, want %d: %v\n%s\n%s", code, want, err, out, stderr)
	}
	levels = make(map[string]string)
	for _, f := range answer.Findings {
		levels[f.Subject+"/"+f.Check] = string(f.Level)
	}
	return levels, answer.Findings, stderr
}

// TestDoctor: an operator publishes what the doctor says, and it is content; with the daemon running, it makes no bind.
func TestDoctor(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{DSN: true, SMTPUTF8: true}, "")
	w.EditConfig("[[organisation]]\n", "[mail]\nreturn_path = \"returns@example.org\"\n[email]\ndefault_sender = \"no-reply@example.org\"\n[[organisation]]\n")
	w.EditConfig("tls = \"off\"\n", "tls = \"off\"\negress = [\"198.51.100.7\", \"2001:db8::/64\"]\n")
	code, made, stderr := straks(t, "", "dkim", "new", "-selector", "s1", "-out", w.Dir, "example.org")
	_, stanza, _ := strings.Cut(made, "[[dkim]]")
	if code != exitDone {
		t.Fatal(stderr)
	}
	w.EditConfig("\n[[relay]]", "\n[[dkim]]"+stanza+"\n[[relay]]")
	s := dnstest.Serve(t, "")

	levels, findings, stderr := diagnosed(t, w, s, exitFailed)
	for name, want := range map[string]string{
		"example.org/SPF": "fix", "example.org/DKIM s1": "fix", "example.org/DKIM s1-ed25519": "fix", "example.org/DMARC": "fix",
		"relay mx/TLS": "ok", "relay mx/DSN": "ok", "relay mx/PIPELINING": "ok", "relay mx/return path": "ok", "smsc telco/bind": "note",
	} {
		if levels[name] != want {
			t.Errorf("%s is %q, want %q", name, levels[name], want)
		}
	}
	if !strings.Contains(stderr, "doctor: 4 things to change") {
		t.Errorf("stderr %q", stderr)
	}
	for _, f := range findings {
		for _, line := range f.Publish {
			s.Add(t, line)
		}
	}
	code, out, stderr := straks(t, "", "doctor", "-config", w.ConfigFile(), "-resolver", s.Addr)
	if code != exitDone && !strings.Contains(stderr, "doctor: 1 not looked at") { // the clock, in a container
		t.Fatalf("%d\n%s\n%s", code, out, stderr)
	}
	for _, words := range []string{"\nexample.org\n", "  ok      SPF             It holds 198.51.100.7 of relay mx.\n", "signature and the return path both count", "rsa, 2048 bits"} {
		if !strings.Contains(out, words) {
			t.Errorf("lacks %q:\n%s", words, out)
		}
	}

	w.Start()
	eventually.True(t, "the bind to be counted", func() bool { return w.SMSC.Stats().BindsNow == 1 })
	binds := w.SMSC.Stats().Binds
	if levels, _, _ := diagnosed(t, w, s, code); levels["smsc telco/bind"] != "ok" || w.SMSC.Stats().Binds != binds {
		t.Errorf("%v, %d binds more", levels, w.SMSC.Stats().Binds-binds)
	}
	if mails, submits := len(w.Relay.Messages()), len(w.SMSC.Submits()); mails+submits != 0 {
		t.Errorf("%d mails and %d SMS were sent", mails, submits)
	}
	// A daemon whose admin listener does not answer is there nevertheless.
	w.EditConfig("/admin.sock", "/other.sock")
	if levels, _, _ := diagnosed(t, w, s, exitFailed); levels["smsc telco/bind"] != "unknown" || w.SMSC.Stats().Binds != binds {
		t.Errorf("%v, %d binds more", levels, w.SMSC.Stats().Binds-binds)
	}
}

// TestDoctorWithoutSecrets: an operator who may not read the password sees what needs none.
func TestDoctorWithoutSecrets(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	if err := os.Remove(filepath.Join(w.Dir, "telco.password")); err != nil {
		t.Fatal(err)
	}
	s := dnstest.Serve(t, "")
	levels, _, _ := diagnosed(t, w, s, exitFailed)
	if levels["smsc telco/bind"] != "unknown" || levels["relay mx/TLS"] != "ok" || w.SMSC.Stats().Connections != 0 {
		t.Errorf("%v", levels)
	}
}

// TestDoctorOfSealedDatabase: the doctor looks at a database whose recipients are sealed, beside the node that runs, and without
// the key too. It prints nothing of the key or of a recipient.
func TestDoctorOfSealedDatabase(t *testing.T) {
	t.Parallel()
	s := dnstest.Serve(t, "")
	kind := journalKind{"sealed", servers(t, pgcluster.Options{Servers: 1}), true}
	must(t, kind.db.Database(t.Context(), kind.name))
	w := kind.world(t, smsctest.Profile{}, relaytest.Profile{})
	w.Start()
	w.Send("a", person)
	binds := w.SMSC.Stats().Binds
	look := func(bind string) {
		t.Helper()
		levels, findings, stderr := diagnosed(t, w, s, exitFailed)
		for name, want := range map[string]string{"database/reachable": "ok", "database/primary": "ok", "database/standby_names": "fix", "smsc telco/bind": bind} {
			if levels[name] != want {
				t.Errorf("%s is %q, want %q", name, levels[name], want)
			}
		}
		if all := fmt.Sprint(findings, stderr); strings.Contains(all, person[1:]) || strings.Contains(all, "straks-journal-") {
			t.Errorf("a secret is in %s", all)
		}
		if w.SMSC.Stats().Binds != binds {
			t.Error("the doctor has bound beside a node")
		}
	}
	look("ok")
	w.Stop()
	must(t, os.Remove(filepath.Join(w.Dir, "journal-key.password")))
	look("unknown")
	code, out, stderr := straks(t, "", "doctor", "-config", w.ConfigFile(), "-resolver", s.Addr)
	if code != exitFailed || !strings.Contains(out, "journal.key_file can't be read") {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
}

// TestDoctorShowsNothingHarmful: words of the DNS do not reach the terminal as they are.
func TestDoctorShowsNothingHarmful(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("[[organisation]]\n", "[mail]\nreturn_path = \"returns@example.org\"\n[email]\ndefault_sender = \"no-reply@example.org\"\n[[organisation]]\n")
	s := dnstest.Serve(t, `example.org. 60 IN TXT "v=spf1 \027[2J\226\128\174 -all"`+"\n"+`_dmarc.example.org. 60 IN TXT "v=DMARC1; p=\027]0;x\007"`)
	for _, form := range [][]string{{}, {"-json"}} {
		_, out, stderr := straks(t, "", append([]string{"doctor", "-config", w.ConfigFile(), "-resolver", s.Addr}, form...)...)
		if all := out + stderr; strings.ContainsAny(all, "\x1b\x07\u202e") || !strings.Contains(all, "no term of SPF") {
			t.Errorf("%q", all)
		}
	}
}

// TestFindingsInColumns: what is said stands in one column, whatever checks are named, and is wrapped where the terminal ends.
func TestFindingsInColumns(t *testing.T) {
	r, err := doctor.NewResolver("192.0.2.1:53")
	if err != nil {
		t.Fatal(err)
	}
	findings := []doctor.Finding{
		{Subject: "database", Check: "fsync", Level: doctor.OK, Says: "It is on."},
		{Subject: "database", Check: "synchronous_commit", Level: doctor.Fix, Says: "Orders are lost — with the server that has acknowledged them.", Run: []string{"alter system set synchronous_commit = on  -- which is too long for the line"}},
		{Subject: "example.org", Check: "DKIM a-selector-of-2026", Level: doctor.Note, Says: "It is published."},
	}
	for width, want := range map[int]string{
		0: `
database
  ok      fsync              It is on.
  FIX     synchronous_commit Orders are lost — with the server that has acknowledged them.
          run:
            alter system set synchronous_commit = on  -- which is too long for the line

example.org
  note    DKIM a-selector-of-2026
                             It is published.
`,
		62: `
database
  ok      fsync              It is on.
  FIX     synchronous_commit Orders are lost — with the server
                             that has acknowledged them.
          run:
            alter system set synchronous_commit = on  -- which is too long for the line

example.org
  note    DKIM a-selector-of-2026
                             It is published.
`,
	} {
		var out strings.Builder
		if err := printFindings(&out, width, r, findings); err != nil {
			t.Fatal(err)
		}
		if _, got, _ := strings.Cut(out.String(), "\n"); got != want {
			t.Errorf("at a width of %d:\n%s", width, got)
		}
	}
	if got := indented("a word-that-is-longer-than-any-line-of-this-terminal b", "  ", 33); got != "  a\n  word-that-is-longer-than-any-line-of-this-terminal\n  b\n" {
		t.Errorf("%q", got)
	}
}

func TestWaitingLine(t *testing.T) {
	w := &waiting{running: make(map[string]bool)}
	for i := range 5 {
		w.watch(fmt.Sprint("relay mx", i), "SMTP", false)
	}
	w.watch("relay mx1", "SMTP", true)
	if got := w.line(); got != "waiting for relay mx0 (SMTP), relay mx2 (SMTP), 2 more" {
		t.Errorf("%q", got)
	}
}

// TestDoctorFindsTheListener: the running daemon's own listener for reports is at the end of the way of reports, and
// one with another key is not.
func TestDoctorFindsTheListener(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	for _, name := range []string{"one", "other"} {
		put(t, filepath.Join(w.Dir, name+".key"), returnpath.NewKey().Text())
	}
	w.EditConfig("[[organisation]]\n", fmt.Sprintf("[mail]\nlisten = \"127.0.0.1:0\"\nbounce_domain = \"bounce.example.org\"\nreturn_path_key_file = %q\n[[organisation]]\n",
		filepath.Join(w.Dir, "one.key")))
	w.Start()
	s := dnstest.Serve(t, "bounce.example.org. 60 IN MX 10 mx.example.org.\nmx.example.org. 60 IN A 127.0.0.1")
	loop := func() (found doctor.Finding) {
		r, err := doctor.NewResolver(s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		file, none := w.ConfigFile(), ""
		plan, err := doctorPlan(t.Context(), adminFlags{config: &file, admin: &none})
		if err != nil {
			t.Fatal(err)
		}
		plan.Loop = true
		_, plan.MXPort, _ = net.SplitHostPort(w.Daemon.MailAddr())
		for _, f := range doctor.Examine(t.Context(), plan, r, nil) {
			if f.Check == "MX" {
				found = f
			}
		}
		return found
	}
	if f := loop(); f.Level != doctor.OK || !strings.Contains(f.Says, "Reports reach straks") {
		t.Errorf("%+v", f)
	}
	w.EditConfig("one.key", "other.key")
	if f := loop(); f.Level != doctor.Fix || !strings.Contains(f.Says, "refuses reports to us") {
		t.Errorf("%+v", f)
	}
}
