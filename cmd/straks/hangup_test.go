package main

import (
	"strings"
	"syscall"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// A daemon that gets SIGHUP reads its configuration again: a good one takes effect, the log's level too, and a bad one
// does not. SIGTERM still ends the daemon.
func TestHangup(t *testing.T) {
	t.Parallel()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	p := startProcess(w)
	hangUp := func(done string) {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually.True(t, done, func() bool { return strings.Contains(p.log.String(), done) })
	}
	w.EditConfig("[journal]", "[log]\nlevel = \"debug\"\n[journal]")
	hangUp("configuration read again")
	if _, err := w.ClientAt(p.api).SendEmail(t.Context(), daemontest.Mail("k", "kari@mottaker.example")); err != nil { // whose hand-over is of level debug
		t.Error(err)
	}
	eventually.True(t, "a line of level debug", func() bool { return strings.Contains(p.log.String(), "DEBUG") })
	w.EditConfig("[journal]", "[[route]]\nsmscs = [\"nobody\"]\n[journal]")
	hangUp("configuration refused; the one in use stays")
	if code, _, stderr := straks(t, "", "reload", "-config", w.ConfigFile()); code != exitFailed || !strings.Contains(stderr, "route[0].smscs[0]") {
		t.Errorf("reload: %d, %s", code, stderr)
	}
	w.EditConfig("[[route]]\nsmscs = [\"nobody\"]\n", "")
	w.EditConfig("send_deadline = \"20s\"", "send_deadline = \"21s\"")
	code, stdout, stderr := straks(t, "", "reload", "-config", w.ConfigFile())
	if code != exitDone || !strings.Contains(stdout, "was read again") || !strings.Contains(stderr, "api has changed, and takes effect after a restart") {
		t.Errorf("reload: %d, %s%s", code, stdout, stderr)
	}
	if _, err := w.ClientAt(p.api).SendSMS(t.Context(), daemontest.SMS("k2", "+4799999999")); err != nil {
		t.Error(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, p.log.String())
	}
}
