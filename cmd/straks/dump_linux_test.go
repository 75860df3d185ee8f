package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// A daemon that crashes in the middle of an order leaves no core file, though the system would
// take one, and nothing of the order in the trace of its goroutines.
func TestNoCore(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	if before.Max == 0 {
		t.Skip("no right to core files here: the hard limit is 0")
	}
	submitted := make(chan struct{}, 1)
	w := daemontest.NewStopped(t, smsctest.Profile{OnSubmit: func(smsctest.Submit) { submitted <- struct{}{} },
		Behaviour: smsctest.Behaviour{Delay: time.Hour}}, relaytest.Profile{}, "")
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: before.Max, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	p := startProcess(w, "GOTRACEBACK=crash") // inherits the limit
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	order := daemontest.SMS("hemmelig-nokkel", "+4794839801")
	order.Recipient.Settings.Body = "Din kode er HKQTZR."
	go w.ClientAt(p.api).SendSMS(t.Context(), order) // its daemon dies
	<-submitted
	p.cmd.Process.Signal(syscall.SIGABRT)
	<-p.ended
	p.cmd.Wait()
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.CoreDump() {
		t.Errorf("ended with %v, core file: %v", p.cmd.ProcessState, status.CoreDump())
	}
	trace := p.log.String()
	if !strings.Contains(trace, "goroutine ") {
		t.Errorf("no trace of goroutines:\n%s", trace)
	}
	for _, secret := range []string{"HKQTZR", "hemmelig-nokkel", "94839801", w.Token} {
		if strings.Contains(trace, secret) {
			t.Errorf("%q is in the trace:\n%s", secret, trace)
		}
	}
}
