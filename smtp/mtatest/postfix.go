package mtatest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"straks/internal/freeport"
)

// Postfix is Debian's Postfix.
func Postfix(t *testing.T, c Config) string {
	t.Helper()
	if _, err := exec.LookPath("postfix"); err != nil {
		t.Skip("postfix is not installed (.ci/mail-deps installs it)")
	}
	if os.Getuid() != 0 {
		t.Skip("mail servers start as root only")
	}
	dir := folder(t, "conf", "queue", "data")
	own(t, filepath.Join(dir, "data"), "postfix")
	addr := freeport.Until(t)
	conf := filepath.Join(dir, "conf")
	reports := "smtp:[127.0.0.1]:" + portOf(c.Reports)
	if c.Socket != "" { // as docs/mail.md has it
		reports = "lmtp:unix:" + c.Socket
	}
	write(t, filepath.Join(conf, "recipients"), postfixRecipients)
	write(t, filepath.Join(conf, "main.cf"), fmt.Sprintf(postfixMain, dir, portOf(c.World), c.BounceDomain, reports, int(c.Lifetime.Seconds())))
	write(t, filepath.Join(conf, "master.cf"), fmt.Sprintf(postfixMaster, addr))
	log := filepath.Join(dir, "queue", "log")
	if out, err := exec.Command("postfix", "-c", conf, "start").CombinedOutput(); err != nil {
		text, _ := os.ReadFile(log)
		t.Skipf("postfix does not start here: %v\n%s%s", err, out, text)
	}
	t.Cleanup(func() {
		exec.Command("postfix", "-c", conf, "stop").Run()
		if text, _ := os.ReadFile(log); t.Failed() {
			t.Logf("%s", text)
		}
	})
	return addr
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
default_transport = smtp:[127.0.0.1]:%[2]s
transport_maps = inline:{ %[3]s=%[4]s }
relay_domains = %[3]s
relay_recipient_maps = regexp:%[1]s/conf/recipients
lmtp_destination_recipient_limit = 1
virtual_alias_domains = alias.example
virtual_alias_maps = inline:{ { list@alias.example = kari@mottaker.example, ola@mottaker.example } }
smtpd_relay_restrictions = permit_mynetworks, reject
maximal_queue_lifetime = %[5]ds
bounce_queue_lifetime = 1h
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
maillog_file = %[1]s/queue/log
maillog_file_prefixes = %[1]s
alias_maps =
alias_database =
local_recipient_maps =
`

const postfixRecipients = `/^(.*[=\/])?b\+[a-z2-7]{44}([=\/].*)?@/ OK
/^(postmaster|abuse)@/ OK
`

const postfixMaster = `%s inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
`
