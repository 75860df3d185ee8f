package mtatest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"straks/internal/freeport"
)

// OpenSMTPD is Debian's OpenSMTPD. Its folders are compiled in, so it gets empty ones in a mount namespace of its own.
func OpenSMTPD(t *testing.T, c Config) string {
	t.Helper()
	smtpd := find(t, "usr/sbin/smtpd")
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip(err)
	}
	own(t, folder(t), "opensmtpd") // the user is there
	own(t, folder(t), "opensmtpq")
	addr, conf := freeport.Until(t), filepath.Join(folder(t), "smtpd.conf")
	write(t, conf, fmt.Sprintf(opensmtpdConf, portOf(addr), c.BounceDomain, portOf(c.Reports), portOf(c.World), int(c.Lifetime.Seconds())))
	cmd := exec.Command("unshare", "--mount", "sh", "-c", opensmtpdFolders+`exec "$0" -d -v -f "$1"`, smtpd, conf)
	if out, err := exec.Command("unshare", "--mount", "sh", "-c", opensmtpdFolders+`"$0" -n -f "$1"`, smtpd, conf).CombinedOutput(); err != nil {
		t.Skipf("OpenSMTPD does not start here: %v\n%s", err, out)
	}
	run(t, cmd, addr)
	return addr
}

const opensmtpdFolders = `set -e
mount -t tmpfs -o mode=0755 tmpfs /var/spool
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=0755 tmpfs /var/lib
mkdir -m 711 /var/spool/smtpd
mkdir -p /var/lib/opensmtpd/empty
`

const opensmtpdConf = `queue ttl %[5]ds
listen on 127.0.0.1 port %[1]s hostname relay.test
action "reports" relay host "smtp://127.0.0.1:%[3]s"
action "world" relay host "smtp://127.0.0.1:%[4]s"
match from any for domain "%[2]s" action "reports"
match from any for any action "world"
`
