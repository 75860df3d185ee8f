package main

import (
	"context"
	"testing"
	"time"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// What systemd is told in the daemon's life: that it is ready, how it is, that
// it is alive for as long as it drains, and that it stops.
func TestSystemdIsTold(t *testing.T) {
	m := daemontest.NewManager(t)
	w := newStoppedWorld(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.start()
	m.Await("READY=1")
	m.Await("STATUS=0 orders in flight; ready", "WATCHDOG=1")
	m.Await("WATCHDOG=1")

	w.smsc.Down()
	m.Await("STATUS=0 orders in flight; not ready: ", "WATCHDOG=1") // a carrier's outage is no reason to be restarted
	if err := w.smsc.Up(); err != nil {
		t.Fatal(err)
	}
	m.Await("STATUS=0 orders in flight; ready")

	w.smsc.Freeze(time.Hour)
	gone := make(chan error, 1)
	go func() {
		_, err := w.client.SendSMS(context.Background(), smsTo("k", "+4799999999"))
		gone <- err
	}()
	m.Await("STATUS=1 orders in flight; ")
	stopped := make(chan struct{})
	go func() { defer close(stopped); w.stop() }()
	m.Await("STOPPING=1")
	m.Await("; not ready: draining", "WATCHDOG=1")
	w.smsc.Thaw()
	if err := <-gone; err != nil {
		t.Error(err)
	}
	<-stopped
}

// A status has one line, however many reasons there are: to systemd, the second
// line would be no part of it.
func TestSystemdIsToldEveryReason(t *testing.T) {
	m := daemontest.NewManager(t)
	w := newWorld(t, smsctest.Profile{}, "")
	w.smsc.Down()
	w.relay.Close()
	m.Await("STATUS=0 orders in flight; not ready: ", "telco/1 is ", "; ", "relay mx: ")
}

// A systemd that does not read what it is told does not keep the daemon from
// working, nor from stopping.
func TestNobodyListens(t *testing.T) {
	m := daemontest.NewManager(t)
	w := newStoppedWorld(t, smsctest.Profile{}, relaytest.Profile{}, "")
	for range 1000 { // more than the kernel keeps
		if !m.Send("STATUS=") {
			break
		}
	}
	w.start()
	w.send("k", "+4799999999")
	w.stop()
}
