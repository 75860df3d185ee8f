package smtp

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/emersion/go-message/mail"

	"straks/internal/freeport"
	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// TestPostfix sends through a real Postfix, an instance on loopback whose next hop is a relaytest
// relay: that relay gets the mail as other relays would.
func TestPostfix(t *testing.T) {
	if _, err := exec.LookPath("postfix"); err != nil {
		t.Skip("postfix is not installed; .ci/mail-deps installs it")
	}
	if os.Getuid() != 0 {
		t.Skip("postfix starts as root only")
	}
	world := listen(t, relaytest.Profile{SMTPUTF8: true, DSN: true})
	config := Relay{Name: "postfix", Addr: startPostfix(t, world.Addr()), Helo: "straks.example.org", MinIdle: 1}
	p := runPool(t, config)
	if s := p.States()[0]; !s.SMTPUTF8 {
		t.Fatalf("state %+v", s)
	}

	plain := to("kari@mottaker.example")
	norwegian := to("pål.bjørnøy@blåbærsyltetøy.example")
	norwegian.HTML, norwegian.Body = true, "<p>Koden er <b>483920</b> – æøå"
	for i, m := range []Message{plain, norwegian} {
		m.Reports = true
		res := p.Send(within(t), m)
		if res.Outcome != handover.Accepted || res.QueueID == "" {
			t.Fatalf("got %+v", res)
		}
		got, err := world.WaitMessages(within(t), i+1)
		if err != nil {
			t.Fatal(err)
		}
		arrived := got[i]
		a, _ := parseAddress(m.To)
		if arrived.To != a.String() || arrived.From != m.ReturnPath || arrived.EnvelopeID != m.ID {
			t.Errorf("envelope %s -> %s, id %s", arrived.From, arrived.To, arrived.EnvelopeID)
		}
		r, err := mail.CreateReader(strings.NewReader(string(arrived.Data)))
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := r.Header.Subject(); s != m.Subject {
			t.Errorf("subject %q", s)
		}
	}

	refused := p.Send(within(t), to("kari@refused.example"))
	if refused.Outcome != handover.Refused || refused.Refusal != NoSuchMailbox || strings.Contains(refused.Err.Error(), "kari") {
		t.Errorf("got %+v", refused)
	}
	if later := p.Send(within(t), to("kari@later.example")); later.Outcome != handover.NotSent || later.Code/100 != 4 {
		t.Errorf("got %+v", later)
	}
	if after := p.Send(within(t), plain); after.Outcome != handover.Accepted {
		t.Errorf("got %+v", after)
	}
	if s := p.States()[0]; s.Open != 1 {
		t.Errorf("state %+v", s)
	}
}

// postfixFolder returns a folder with those of an instance of Postfix: conf, queue and data.
func postfixFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postfix") // t.TempDir is closed to Postfix's own user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, sub := range []string{"", "conf", "queue", "data"} {
		path := filepath.Join(dir, sub)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Skip(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	if err := os.Chown(filepath.Join(dir, "data"), uid, -1); err != nil {
		t.Skip(err)
	}
	return dir
}

// startPostfix runs an instance of Postfix until the test's end and returns its address.
func startPostfix(t *testing.T, nextHop string) string {
	t.Helper()
	dir := postfixFolder(t)
	conf := filepath.Join(dir, "conf")
	addr := freeport.Until(t)
	host, port, _ := net.SplitHostPort(nextHop)
	write(t, filepath.Join(conf, "main.cf"), fmt.Sprintf(mainCF, dir, host, port))
	write(t, filepath.Join(conf, "master.cf"), fmt.Sprintf(masterCF, addr))
	if out, err := exec.Command("postfix", "-c", conf, "start").CombinedOutput(); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "queue", "log"))
		t.Skipf("postfix does not start here: %v\n%s%s", err, out, log)
	}
	t.Cleanup(func() {
		exec.Command("postfix", "-c", conf, "stop").Run()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "queue", "log"))
			t.Logf("%s", log)
		}
	})
	return addr
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A short queue id may have digits only, which are not taken for an id: they may be a code.
const mainCF = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
default_transport = smtp:[%[2]s]:%[3]s
smtputf8_enable = yes
enable_long_queue_ids = yes
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_recipient_access inline:{
 { refused.example = 550 5.1.1 No such user },
 { later.example = 450 4.2.0 Greylisted } }
maillog_file = %[1]s/queue/log
maillog_file_prefixes = %[1]s
alias_maps =
alias_database =
local_recipient_maps =
`

const masterCF = `%s inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
`
