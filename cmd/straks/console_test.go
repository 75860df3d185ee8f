package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"straks/console"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestConsoleUser: the stanza is one that check takes, and its hash is of the password.
func TestConsoleUser(t *testing.T) {
	code, stanza, stderr := straks(t, "correct horse battery\n", "console", "user", "kari", "-roles", "support,operate")
	if code != exitDone || !strings.Contains(stanza, `roles = ["support", "operate"]`) || strings.Contains(stanza, "horse") {
		t.Fatalf("exit %d, %s %s", code, stanza, stderr)
	}
	w := daemontest.New(t, smsctest.Profile{}, "")
	text, err := os.ReadFile(w.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "straks.toml")
	if err := os.WriteFile(path, []byte(string(text)+"\n[console]\nlisten = \"127.0.0.1:0\"\n"+stanza), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := straks(t, "", "check", "-config-only", "-config", path); code != exitDone {
		t.Errorf("check: exit %d, %s %s", code, stdout, stderr)
	}
	hash := stanza[strings.Index(stanza, `"$2`)+1:]
	if err := console.CheckHash(hash[:strings.Index(hash, `"`)]); err != nil {
		t.Error(err)
	}
	for args, want := range map[string]string{"console user kari": "12 at least", "console user k/i": "letters, digits", "console user kari -roles admin": "view, support, operate", "console": "console what: user?"} {
		if code, _, stderr := straks(t, "short\n", strings.Fields(args)...); code == exitDone || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %s", args, code, stderr)
		}
	}
}

// TestCarrier: an SMSC and a relay are paused and resumed, status says so, and the log who and why.
func TestCarrier(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	log := w.KeepLog()
	w.Start()
	for _, name := range []string{"telco", "mx"} {
		for _, what := range []string{"pause", "drain", "resume", "try"} {
			code, stdout, stderr := straks(t, "", "carrier", what, name, "-reason", "planned work", "-admin", w.Daemon.AdminAddr())
			if code != exitDone {
				t.Errorf("%s %s: exit %d, %s %s", what, name, code, stdout, stderr)
			}
			_, stdout, _ = straks(t, "", "status", "-admin", w.Daemon.AdminAddr())
			if paused := strings.Contains(stdout, ", paused"); paused != (what == "pause" || what == "drain") {
				t.Errorf("%s %s: status says %s", what, name, stdout)
			}
		}
	}
	eventually.True(t, "both carriers", func() bool { return w.Daemon.Ready() == nil })
	if !strings.Contains(log.String(), `"carrier":"mx","what":"drain","outcome":"ok"`) || !strings.Contains(log.String(), `"reason":"planned work"`) {
		t.Error("the log does not say it")
	}
	if code, _, stderr := straks(t, "", "carrier", "pause", "none", "-admin", w.Daemon.AdminAddr()); code != exitFailed || !strings.Contains(stderr, "no SMSC or relay") {
		t.Errorf("a carrier that there is not: exit %d, %s", code, stderr)
	}
}

// TestCarriersOfOneName: an SMSC and a relay may have the same name, and each can be reached.
func TestCarriersOfOneName(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig(`name = "mx"`, `name = "telco"`)
	w.Start()
	ask := func(name string) (int, string) {
		code, _, stderr := straks(t, "", "carrier", "pause", name, "-admin", w.Daemon.AdminAddr())
		return code, stderr
	}
	paused := func() (smsc, relay bool) {
		s := w.Daemon.Status()
		return !s.SMSC[0].Paused.IsZero(), !s.Relay[0].Paused.IsZero()
	}
	if code, stderr := ask("telco"); code != exitFailed || !strings.Contains(stderr, "say smsc:telco or relay:telco") {
		t.Errorf("which one? exit %d, %s", code, stderr)
	}
	if code, stderr := ask("relay:telco"); code != exitDone {
		t.Error(stderr)
	}
	if smsc, relay := paused(); smsc || !relay {
		t.Errorf("the SMSC is paused: %v, the relay: %v", smsc, relay)
	}
	if code, stderr := ask("smsc:telco"); code != exitDone {
		t.Error(stderr)
	}
	if smsc, relay := paused(); !smsc || !relay {
		t.Errorf("the SMSC is paused: %v, the relay: %v", smsc, relay)
	}
	if code, stderr := ask("smsc:mx"); code != exitFailed || !strings.Contains(stderr, `no SMSC or relay is called "smsc:mx"`) {
		t.Errorf("exit %d, %s", code, stderr)
	}
	w.Stop()
}

// TestShipmentEvents: a token of a support desk shows the way of a message, and sends none.
func TestShipmentEvents(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	id := w.Send("k", "+4799999999").ShipmentID
	w.Await(id, "SMS_Delivered")
	t.Setenv("STRAKS_URL", "http://"+w.Daemon.APIAddr()+"/notifications/api/v1")
	t.Setenv("STRAKS_TOKEN", w.Token)
	code, stdout, stderr := straks(t, "", "shipment", id, "-events")
	if code != exitDone || !strings.Contains(stdout, "submitted") || !strings.Contains(stdout, "telco telco/1 gsm") || !strings.Contains(stdout, "DELIVRD") || strings.Contains(stdout, "123456") {
		t.Errorf("exit %d, %s %s", code, stdout, stderr)
	}
	if _, stdout, _ := straks(t, "", "shipment", id); strings.Contains(stdout, "submitted") {
		t.Errorf("nobody asked for %s", stdout)
	}
	if _, stdout, _ := straks(t, "", "shipment", id, "-events", "-json"); !strings.Contains(stdout, `"type":"submitted"`) {
		t.Errorf("as JSON: %s", stdout)
	}
}
