package mtatest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"straks/internal/freeport"
)

// Sendmail is Debian's sendmail. Its configuration is made of its own macros, by m4.
func Sendmail(t *testing.T, c Config) string {
	t.Helper()
	sendmail, macros := find(t, "usr/libexec/sendmail/sendmail"), find(t, "usr/share/sendmail/cf")
	for _, tool := range []string{"m4", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (.ci/mail-deps installs it)", tool)
		}
	}
	dir := folder(t, "queue")
	if err := os.Chmod(filepath.Join(dir, "queue"), 0o700); err != nil {
		t.Fatal(err)
	}
	addr, mc, cf := freeport.Until(t), filepath.Join(dir, "mc"), filepath.Join(dir, "cf")
	write(t, mc, fmt.Sprintf(sendmailMC, dir, portOf(addr), c.BounceDomain, portOf(c.Reports), portOf(c.World), int(c.Lifetime.Seconds())))
	text, err := exec.Command("m4", "-D_CF_DIR_="+macros+"/", filepath.Join(macros, "m4/cf.m4"), mc).Output()
	if err != nil {
		t.Fatal(err)
	}
	write(t, cf, string(text))
	// It waits a minute for a host name with a dot.
	cmd := exec.Command("unshare", "--uts", "sh", "-c", `hostname relay.test; exec "$0" -bD -q1s -C "$1" -X "$2"`, sendmail, cf, filepath.Join(dir, "dialogue"))
	run(t, cmd, addr, filepath.Join(dir, "dialogue"))
	return addr
}

const sendmailMC = "OSTYPE(`linux')\n" +
	"define(`confDOMAIN_NAME', `relay.test')\n" +
	"define(`confPID_FILE', `%[1]s/pid')\n" +
	"define(`QUEUE_DIR', `%[1]s/queue')\n" +
	"define(`STATUS_FILE', `')\n" +
	"define(`ALIAS_FILE', `')\n" +
	"define(`HELP_FILE', `')\n" +
	"define(`confCW_FILE', `-o %[1]s/local')\n" +
	"define(`confDONT_PROBE_INTERFACES', `True')\n" +
	"define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')\n" +
	"define(`confTO_IDENT', `0')\n" +
	"define(`confTO_QUEUERETURN', `%[6]ds')\n" +
	"define(`confTO_QUEUEWARN', `1h')\n" +
	"define(`confMIN_QUEUE_AGE', `1s')\n" +
	"define(`confQUEUE_LA', `10000')\n" + // a busy machine is no reason to take no mail
	"define(`confREFUSE_LA', `10000')\n" +
	"define(`confTO_ICONNECT', `5s')\n" +
	"define(`ESMTP_MAILER_ARGS', `TCP $h %[4]s')\n" +
	"define(`RELAY_MAILER_ARGS', `TCP $h %[5]s')\n" +
	"define(`SMART_HOST', `relay:[127.0.0.1]')\n" +
	"FEATURE(`no_default_msa')\n" +
	"DAEMON_OPTIONS(`Name=MTA, Addr=127.0.0.1, Port=%[2]s')\n" +
	"FEATURE(`accept_unqualified_senders')\n" +
	"FEATURE(`accept_unresolvable_domains')\n" +
	"FEATURE(`promiscuous_relay')\n" +
	"FEATURE(`nocanonify')\n" +
	"LOCAL_NET_CONFIG\n" +
	"R$+ < @ %[3]s $* >\t$#esmtp $@ [127.0.0.1] $: $1 < @ %[3]s $2 >\n" +
	"MAILER(`smtp')\n"
