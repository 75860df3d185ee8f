package smtp

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// signedFiles writes the records and every awkward mail, as a relay got it, to files. The last two mails were
// changed on the way.
func signedFiles(t *testing.T) (records string, known map[string]string, whole, changed []string) {
	t.Helper()
	keys := dkimKeys(t, "avsender.example")
	known = recordsOf(t, keys)
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for i, mail := range sendSigned(t, keys, awkwardMails()) {
		whole = append(whole, write(fmt.Sprintf("%03d.eml", i), mail))
	}
	mail := sendSigned(t, keys, []Message{to("kari@mottaker.example")})[0]
	changed = append(changed, write("text.eml", []byte(strings.Replace(string(mail), "483920", "111111", 1))),
		write("field.eml", []byte("Reply-To: <x@y.example>\r\n"+string(mail))))
	text, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	return write("records.json", text), known, whole, changed
}

// TestDKIMByOthers: verifiers that share no code with ours find each signature right, and those of a changed
// mail wrong.
func TestDKIMByOthers(t *testing.T) {
	records, _, whole, changed := signedFiles(t)
	for _, v := range []struct {
		name, present string // present: a command that succeeds where the verifier is installed
		command       string
		algorithms    []string // that it knows
	}{
		{"dkimpy", `/usr/bin/python3 -c "import dkim, nacl"`, "/usr/bin/python3 testdata/verify_dkimpy.py", []string{"rsa-sha256", "ed25519-sha256"}},
		{"Mail::DKIM", "perl -MMail::DKIM -e 1", "perl testdata/verify_mail_dkim.pl", []string{"rsa-sha256"}},
	} {
		t.Run(v.name, func(t *testing.T) {
			if err := exec.Command("sh", "-c", v.present).Run(); err != nil {
				t.Skipf("%s is not installed; .ci/mail-deps installs it", v.name)
			}
			args := append(strings.Fields(v.command), records)
			command := exec.Command(args[0], append(append(args[1:], whole...), changed...)...)
			var complaints strings.Builder
			command.Stderr = &complaints
			out, err := command.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, complaints.String())
			}
			results := make(map[[2]string]string)
			for line := range strings.Lines(string(out)) {
				columns := strings.SplitN(strings.TrimSpace(line), "\t", 3)
				results[[2]string{columns[0], columns[1]}] = columns[2]
			}
			for _, algorithm := range v.algorithms {
				for _, file := range whole {
					if got := results[[2]string{file, algorithm}]; got != "pass" {
						t.Errorf("%s, %s: %q", filepath.Base(file), algorithm, got)
					}
				}
				for _, file := range changed {
					if got := results[[2]string{file, algorithm}]; got == "pass" || got == "" {
						t.Errorf("%s, %s, which was changed: %q", filepath.Base(file), algorithm, got)
					}
				}
			}
		})
	}
}

// TestDKIMByOpenDKIM asks opendkim-testmsg, which reads public keys from the DNS only: from a server on loopback,
// in a mount namespace whose /etc/resolv.conf names it.
func TestDKIMByOpenDKIM(t *testing.T) {
	if _, err := exec.LookPath("opendkim-testmsg"); err != nil {
		t.Skip("opendkim-testmsg is not installed; .ci/mail-deps installs it")
	}
	if err := exec.Command("unshare", "--mount", "true").Run(); err != nil {
		t.Skip("no right to mount")
	}
	_, known, whole, changed := signedFiles(t)
	resolver := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(resolver, []byte("nameserver "+serveDNS(t, known)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const script = `mount --bind "$1" /etc/resolv.conf || exit; shift
for file; do opendkim-testmsg -t "$(dirname "$file")" <"$file" >/dev/null 2>&1; echo "$file $?"; done`
	out, err := exec.Command("unshare", append(append([]string{"--mount", "sh", "-c", script, "sh", resolver}, whole...), changed...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, file := range whole {
		if !strings.Contains(string(out), file+" 0\n") {
			t.Errorf("%s is wrong", filepath.Base(file))
		}
	}
	for _, file := range changed {
		if strings.Contains(string(out), file+" 0\n") || !strings.Contains(string(out), file) {
			t.Errorf("%s, which was changed, is right", filepath.Base(file))
		}
	}
}

// TestDKIMThroughPostfix: a relay that we did not write passes every awkward mail on without breaking a signature.
func TestDKIMThroughPostfix(t *testing.T) {
	if _, err := exec.LookPath("postfix"); err != nil {
		t.Skip("postfix is not installed; .ci/mail-deps installs it")
	}
	if os.Getuid() != 0 {
		t.Skip("postfix starts as root only")
	}
	world := listen(t, relaytest.Profile{SMTPUTF8: true})
	keys := dkimKeys(t, "avsender.example")
	p := signingPool(t, Relay{Name: "postfix", Addr: startPostfix(t, world.Addr()), Helo: "straks.example.org"}, keys)
	mails := awkwardMails()
	for i, m := range mails {
		if res := p.Send(within(t), m); res.Outcome != handover.Accepted {
			t.Fatalf("mail %d: %+v", i, res)
		}
	}
	arrived, err := world.WaitMessages(within(t), len(mails))
	if err != nil {
		t.Fatal(err)
	}
	known := recordsOf(t, keys)
	for _, mail := range arrived {
		if all := verify(t, mail.Data, known); len(all) != 2 || !passes(all) {
			t.Errorf("%+v\n%.2000s", all, mail.Data)
		}
	}
}

// serveDNS answers for the TXT records on an address of loopback, and returns that address. The port is the only
// one that resolv.conf knows.
func serveDNS(t *testing.T, records map[string]string) string {
	t.Helper()
	ip := fmt.Sprintf("127.%d.%d.%d", 1+rand.N(254), rand.N(256), 1+rand.N(254))
	conn, err := net.ListenPacket("udp", net.JoinHostPort(ip, "53"))
	if err != nil {
		t.Skipf("no server at port 53: %v", err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		answer := new(dns.Msg).SetReply(question)
		record, ok := records[strings.ToLower(strings.TrimSuffix(question.Question[0].Name, "."))]
		if !ok {
			answer.Rcode = dns.RcodeNameError
		}
		var parts []string
		for ; len(record) > 255; record = record[255:] {
			parts = append(parts, record[:255])
		}
		answer.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: question.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1}, Txt: append(parts, record)}}
		w.WriteMsg(answer)
	})
	server := &dns.Server{PacketConn: conn, Handler: handler}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		conn.Close()
		<-ended
	})
	return ip
}
