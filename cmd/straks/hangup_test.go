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

// A daemon that gets SIGHUP logs what to do instead and continues; SIGTERM still ends it.
func TestHangup(t *testing.T) {
	t.Parallel()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	p := startProcess(w)
	for range 3 {
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	eventually.True(t, "an order after SIGHUP", func() bool {
		_, err := w.ClientAt(p.api).SendSMS(t.Context(), daemontest.SMS("k", "+4799999999"))
		return err == nil
	})
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, p.log.String())
	}
	if !strings.Contains(p.log.String(), "SIGHUP is ignored") {
		t.Errorf("not told:\n%s", p.log.String())
	}
}
