package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/orders/bolt"
	"straks/smpp"
	"straks/smpp/smsctest"
	"straks/smtp"
)

func TestStatus(t *testing.T) {
	since := time.Now().Add(-time.Minute)
	answer, err := json.Marshal(daemon.Status{Version: "v1", Reason: "no bind to telco",
		SMSC: []smpp.BindState{
			{SMSC: "telco", Bind: "telco/1", Mode: "transceiver", Addr: "10.0.0.5:2775", State: smpp.StateRefused, Reason: "ESME_RINVPASWD\x1b[2J", Since: since, Window: 32, Rate: 0.5},
			{SMSC: "telco", Bind: "telco/2", Mode: "transceiver", State: smpp.StateBound, Rate: 50, InFlight: 3, Window: 32,
				Answers: map[string]uint64{"ESME_RTHROTTLED": 4, "ESME_ROK": 96}, ResponseTime: 12345 * time.Microsecond}},
		Relay:   []smtp.RelayState{{Name: "mx", Addr: "10.0.0.6:25", Up: true, Since: since, Open: 2, MaxConns: 8, Encrypted: true}},
		Journal: bolt.Stats{FileSize: 12345678901}})
	if err != nil {
		t.Fatal(err)
	}
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	}))
	defer admin.Close()

	out := succeed(t, "status", "-admin", admin.URL)
	for _, want := range []string{"not ready: no bind to telco", "telco/1", "refused", "ESME_RINVPASWD", "1m", "3/32", "50/s", " 0.5/s", "12.35ms", "96 ok, 4 ESME_RTHROTTLED (4 %)", "mx", "up", "2/8", "11.5 GiB"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("an escape sequence reaches the terminal: %q", out)
	}
	if out := succeed(t, "status", "-json", "-admin", admin.URL); out != string(answer)+"\n" {
		t.Errorf("-json printed %s", out)
	}
	if out := succeed(t, "status", "-admin", strings.TrimPrefix(admin.URL, "http://")); !strings.Contains(out, "telco/1") {
		t.Errorf("host:port: %s", out)
	}
	if code, _, stderr := straks(t, "", "status", "-admin", admin.URL+"/elsewhere"); code != exitFailed || !strings.Contains(stderr, "admin.listen") {
		t.Errorf("another listener: exit %d, %s", code, stderr)
	}
	if code, out, stderr := straks(t, "", "status", "-ready", "-admin", admin.URL); code != exitFailed || out != "" || !strings.Contains(stderr, "not ready: no bind to telco") {
		t.Errorf("-ready: exit %d, %s%s", code, out, stderr)
	}
	answer = []byte(`{"version": "v1", "ready": true, "silent": "telco does not answer (5 s overdue)"}`)
	if out := succeed(t, "status", "-admin", admin.URL); !strings.Contains(out, "v1, ready, but telco does not answer (5 s overdue), 0 orders") {
		t.Errorf("a silent carrier beside a good one:\n%s", out)
	}
	if out := succeed(t, "status", "-ready", "-admin", admin.URL); out != "" {
		t.Errorf("-ready printed %s", out)
	}
	admin.Close()
	if code, _, stderr := straks(t, "", "status", "-admin", admin.URL); code != exitFailed || !strings.Contains(stderr, "is the daemon running") {
		t.Errorf("no daemon: exit %d, %s", code, stderr)
	}
}

// TestStatusWithoutALease: a node that has no lease knows no other, and says why in the first line.
func TestStatusWithoutALease(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"version": "v1", "reason": "this node's lease ended 8 s ago", "node": {"id": 4, "live": null, "notAllowed": "this node's lease ended 8 s ago"}, "journal": {"node": 4, "parked": 11}}`))
	}))
	defer admin.Close()
	out := succeed(t, "status", "-admin", admin.URL)
	if !strings.Contains(out, "not ready: this node's lease ended 8 s ago") || !strings.Contains(out, "4, this") || strings.Contains(out, "FREE ON THE DISK") ||
		strings.Count(out, "lease ended") != 1 {
		t.Errorf("%s", out)
	}
}

// TestStatusOfNodes: what a node knows of itself stands below its heads, beside nodes of which it does not know that.
func TestStatusOfNodes(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"version": "v1", "ready": true, "node": {"id": 2, "live": [{"id": 1, "version": "v1", "up": ["telco"]}, {"id": 2, "version": "v1"}]},
			"journal": {"node": 2, "leaseSeconds": 4.2, "parked": 11}}`))
	}))
	defer admin.Close()
	out := succeed(t, "status", "-admin", admin.URL)
	_, nodes, _ := strings.Cut(out, "\n\n")
	lines := strings.Split(nodes, "\n")
	if len(lines) < 3 || strings.Index(lines[0], "LEASE") != strings.Index(lines[2], "4.2 s") || strings.Index(lines[0], "CAN SEND OVER") != strings.Index(lines[1], "telco") {
		t.Errorf("%s", out)
	}
}

// TestStatusOfASilentDaemon: status gives up on an answer that does not arrive, or not to its end.
func TestStatusOfASilentDaemon(t *testing.T) {
	for _, says := range []string{"", strings.Replace(halfAnAnswer, "octet-stream", "json", 1)} {
		code, stdout, stderr := straks(t, "", "status", "-timeout", "50ms", "-admin", silentDaemon(t, says))
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "no complete answer within 50ms") {
			t.Errorf("after %q: exit %d, %q, %s", says, code, stdout, stderr)
		}
	}
}

// TestStatusOfADaemon: status and backup of a real daemon.
func TestStatusOfADaemon(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	out := succeed(t, "status", "-config", w.ConfigFile())
	for _, want := range []string{"ready", "telco/1", "bound", "mx", "JOURNAL"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	succeed(t, "journal", "backup", "-config", w.ConfigFile(), copied)
	succeed(t, "journal", "check", "-file", copied)
}
