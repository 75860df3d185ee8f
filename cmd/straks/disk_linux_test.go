package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"straks/api/client"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// The disk gets full under the daemon, and has space again later. Meanwhile
// orders get 503 and are not sent, the SMSC keeps its receipts, and /readyz says
// why. Afterwards all goes on by itself, and nothing was lost or sent twice.
func TestDiskFull(t *testing.T) {
	profile := smsctest.Profile{Retry: 50 * time.Millisecond}
	profile.Receipt.Delay = 200 * time.Millisecond
	w := newStoppedWorld(t, profile, relaytest.Profile{}, "")
	disk := w.ownDisk("16m")
	p := w.startProcess()
	t.Cleanup(func() { p.kill() })
	w.client = w.clientAt(p.api)
	eventually(t, "the daemon to be ready", func() bool { return p.ready() == "" })

	told := map[string]string{}
	told["before"] = w.send("before", "+4799999999").ShipmentID
	ballast := fillDisk(t, disk)
	refused := w.sendUntilRefused(told)
	eventually(t, "/readyz to tell", func() bool { return strings.Contains(p.ready(), "no space left on device") })
	eventually(t, "a receipt to be put off", func() bool { return w.smsc.Stats().Postponed > 0 })
	submits := w.smsc.Stats().Submits
	for i := range 20 {
		if problem := w.refused(fmt.Sprintf("full-%d", i), "+4799999999"); problem.Status != 503 || problem.RetryAfter == 0 {
			t.Errorf("with a full disk: %+v", problem)
		}
	}
	if n := w.smsc.Stats().Submits; n != submits {
		t.Errorf("%d messages left with a full disk", n-submits)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the daemon to be ready again", func() bool { return p.ready() == "" })
	told[refused] = w.sendUntilTaken(refused)
	told["full-0"] = w.sendUntilTaken("full-0")
	for key, id := range told {
		w.await(id, "SMS_Delivered")
		if again := w.send(key, "+4799999999"); again.Created || again.ShipmentID != id {
			t.Errorf("%s was told %s, and is now %+v", key, id, again)
		}
	}
	if n := w.smsc.Stats().Submits; n != uint64(len(told)) {
		t.Errorf("%d submits of %d orders", n, len(told))
	}
	p.stop(t)
	checkJournal(t, filepath.Join(disk, "journal.db"))
}

// ownDisk puts a new journal on a file system of its own.
func (w *world) ownDisk(size string) string {
	w.t.Helper()
	disk := filepath.Join(w.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size="+size); err != nil {
		w.t.Skipf("no right to mount a file system to fill: %v", err)
	}
	w.t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			w.t.Error(err)
		}
	})
	text, err := os.ReadFile(w.configFile())
	if err != nil {
		w.t.Fatal(err)
	}
	changed := strings.Replace(string(text), filepath.Join(w.dir, "journal.db"), filepath.Join(disk, "journal.db"), 1)
	if err := os.WriteFile(w.configFile(), []byte(changed), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := initJournal(w.config()); err != nil {
		w.t.Fatal(err)
	}
	return disk
}

// fillDisk leaves no space, and returns the file that takes it.
func fillDisk(t *testing.T, disk string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return f.Name()
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// sendUntilRefused places orders while the journal finds room in its own free
// pages, adds them to told, and returns the key of the first that was refused.
func (w *world) sendUntilRefused(told map[string]string) string {
	w.t.Helper()
	for i := range 10_000 {
		key := fmt.Sprintf("filling-%d", i)
		p, err := w.client.SendSMS(w.t.Context(), sms(key, "+4799999999"))
		var problem *client.Problem
		switch {
		case err == nil:
			told[key] = p.ShipmentID
		case errors.As(err, &problem) && problem.Status == 503 && problem.Code == "NOT-00004" && problem.RetryAfter > 0:
			return key
		default:
			w.t.Fatalf("with a full disk: %v", err)
		}
	}
	w.t.Fatal("a full disk takes every order")
	return ""
}

// sendUntilTaken comes again as long as it is told to: the key of an order of
// which nobody knew whether it was stored is free again when that is known.
func (w *world) sendUntilTaken(key string) (shipment string) {
	w.t.Helper()
	eventually(w.t, key+" to be taken", func() bool {
		p, err := w.client.SendSMS(w.t.Context(), sms(key, "+4799999999"))
		shipment = p.ShipmentID
		return err == nil
	})
	return shipment
}

// ready returns what /readyz has against the daemon; empty where it is ready.
func (p *process) ready() string {
	resp, err := http.Get("http://" + p.admin + "/readyz")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	why, _ := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusOK {
		return ""
	}
	return string(why)
}

// stop ends the process as an operator does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("stopping: %v:\n%s", err, p.log.String())
	}
}
