package smtp

import (
	"context"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"straks/internal/eventually"
	"straks/internal/freeport"
	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// recipe is a Postfix with the files of configs/postfix, and what is around it.
type recipe struct {
	addr     string
	world    *relaytest.Relay // the servers of all receivers
	listener *relaytest.Relay // that of straks, for reports
	conf     string
}

// startRecipe changes what the README says must be changed, the places of the files, and the next hop of all mails.
func startRecipe(t *testing.T, world, listener *relaytest.Relay) *recipe {
	t.Helper()
	if _, err := exec.LookPath("postfix"); err != nil {
		t.Skip("postfix is not installed; .ci/mail-deps installs it")
	}
	if os.Getuid() != 0 {
		t.Skip("postfix starts as root only")
	}
	dir := postfixFolder(t)
	p := &recipe{addr: freeport.Until(t), world: world, listener: listener, conf: filepath.Join(dir, "conf")}
	if err := os.CopyFS(p.conf, os.DirFS("../configs/postfix")); err != nil {
		t.Fatal(err)
	}
	edit := func(file, old, new string) {
		path := filepath.Join(p.conf, file)
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), old) {
			t.Fatalf("%s lacks %q: %v", file, old, err)
		}
		write(t, path, strings.ReplaceAll(string(text), old, new))
	}
	host, port, _ := net.SplitHostPort(listener.Addr())
	edit("transport", "[127.0.0.1]:2525", "["+host+"]:"+port)
	edit("transport", "bounce.example.org", "retur.example")
	edit("senders", "example.org             OK", "avsender.example OK")
	edit("senders", "bounce.example.org      OK", "retur.example OK")
	edit("master.cf", "smtp      inet", p.addr+" inet")
	host, port, _ = net.SplitHostPort(world.Addr())
	settings := []string{"relay_domains=retur.example", "myhostname=relay.test", "queue_directory=" + dir + "/queue", "data_directory=" + dir + "/data",
		"default_transport=smtp:[" + host + "]:" + port, "maillog_file=" + dir + "/log", "maillog_file_prefixes=" + dir}
	for _, command := range [][]string{append([]string{"postconf", "-c", p.conf, "-e"}, settings...), {"postfix", "-c", p.conf, "check"}, {"postfix", "-c", p.conf, "start"}} {
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if err != nil || strings.Contains(string(out), "warning:") {
			log, _ := os.ReadFile(dir + "/log")
			t.Fatalf("%s: %v\n%s%s", strings.Join(command, " "), err, out, log)
		}
	}
	t.Cleanup(func() {
		exec.Command("postfix", "-c", p.conf, "stop").Run()
		if log, _ := os.ReadFile(dir + "/log"); t.Failed() {
			t.Logf("%s", log)
		}
	})
	return p
}

// command sends commands on a connection from an address, and returns the last reply.
func (p *recipe) command(t *testing.T, from string, commands ...string) string {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	raw, err := dialer.DialContext(within(t), "tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := textproto.NewConn(raw)
	said := ""
	for _, command := range append([]string{""}, commands...) {
		if command != "" {
			if err := c.PrintfLine("%s", command); err != nil {
				t.Fatal(err)
			}
		}
		code, text, err := c.ReadResponse(0)
		if code == 0 {
			t.Fatalf("%s: %v", command, err)
		}
		said = fmt.Sprint(code, " ", text)
	}
	return said
}

// TestPostfixRecipe sends through a real Postfix with the files of configs/postfix.
func TestPostfixRecipe(t *testing.T) {
	world := listen(t, relaytest.Profile{Rules: relaytest.StandardRules()})
	listener := listen(t, relaytest.Profile{Rules: []relaytest.Rule{{Local: "forged", Code: 550, Enhanced: [3]int{5, 1, 1}}}})
	p := startRecipe(t, world, listener)
	keys := dkimKeys(t, "avsender.example")
	config := Relay{Name: "postfix", Addr: p.addr, Helo: "straks.secret.example"}
	pool := signingPool(t, config, keys)

	seen, err := Probe(within(t), config, "b+1@retur.example")
	if err != nil || seen.Refused != nil || !seen.Offers("DSN") || !seen.Offers("PIPELINING") || !seen.Offers("SMTPUTF8") || seen.Offers("CHUNKING") {
		t.Fatalf("%+v, %v", seen, err)
	}
	mail := func(recipient string) Message {
		m := to(recipient)
		m.Reports = true
		return m
	}
	m := mail("kari@mottaker.example")
	if res := pool.Send(within(t), m); res.Outcome != handover.Accepted {
		t.Fatalf("%+v", res)
	}
	got, err := world.WaitMessages(within(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	if all := string(got[0].Data); strings.Contains(all, "Received:") || strings.Contains(all, "secret") || got[0].From != m.ReturnPath {
		t.Errorf("from %q, want %q; straks's name or address leaves:\n%s", got[0].From, m.ReturnPath, all)
	}
	signatures := verify(t, got[0].Data, recordsOf(t, keys))
	for i, v := range signatures {
		if v.Err != nil || len(signatures) != len(keys) {
			t.Errorf("signature %d of %d: %v", i, len(signatures), v.Err)
		}
	}

	// Reports come to the listener: of that mail, and of one that is refused.
	if res := pool.Send(within(t), mail("nosuch@mottaker.example")); res.Outcome != handover.Accepted {
		t.Fatalf("%+v", res)
	}
	var failures, relayed int
	eventually.True(t, "the reports to come", func() bool {
		failures, relayed = 0, 0
		for _, m := range listener.Messages() {
			if m.To != "b+1@retur.example" || m.From != "" {
				t.Fatalf("a report from %q to %q", m.From, m.To)
			}
			failures += strings.Count(string(m.Data), "\r\nAction: failed")
			relayed += strings.Count(string(m.Data), "\r\nAction: relayed")
		}
		return failures == 1 && relayed == 1
	})

	p.refusals(t)
	for setting, want := range map[string]string{"maximal_queue_lifetime": "30m", "bounce_queue_lifetime": "30m", "delay_warning_time": "5m"} {
		out, err := exec.CommandContext(context.Background(), "postconf", "-c", p.conf, "-h", setting).Output()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%s is %s, want %s (%v)", setting, out, want, err)
		}
	}
	log, err := os.ReadFile(filepath.Join(filepath.Dir(p.conf), "log"))
	if err != nil || strings.Contains(string(log), "warning:") {
		t.Errorf("Postfix warns of something: %v", err)
	}
}

// refusals tries what must not be relayed.
func (p *recipe) refusals(t *testing.T) {
	for _, c := range []struct{ from, sender, recipient, want string }{
		{"127.0.0.1", "varsel@avsender.example", "kari@mottaker.example", "250"},
		{"127.0.0.1", "varsel@under.avsender.example", "kari@mottaker.example", "250"},
		{"127.0.0.1", "", "kari@mottaker.example", "250"},
		{"127.0.0.1", "x@stranger.example", "kari@mottaker.example", "554"},
		{"127.0.0.2", "varsel@avsender.example", "kari@mottaker.example", "554"}, // not one of "clients"
		{"127.0.0.2", "", "kari@mottaker.example", "554"},
		{"127.0.0.2", "", "b+1@retur.example", "250"}, // a report from elsewhere
		{"127.0.0.2", "", "forged@retur.example", "550"},
		{"127.0.0.2", "x@stranger.example", "forged@retur.example", "550"},
	} {
		said := ""
		eventually.True(t, "the address to be verified", func() bool { // 450 while that goes on
			said = p.command(t, c.from, "EHLO x.example", "MAIL FROM:<"+c.sender+">", "RCPT TO:<"+c.recipient+">")
			return !strings.HasPrefix(said, "450")
		})
		if !strings.HasPrefix(said, c.want) {
			t.Errorf("%s: <%s> to <%s>: %s, want %s", c.from, c.sender, c.recipient, said, c.want)
		}
	}
}
