package daemon_test

import (
	"maps"
	netsmtp "net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/internal/freeport"
	"straks/smpp/smsctest"
	"straks/smtp/mtatest"
	"straks/smtp/relaytest"
)

// endings are what becomes of mails to the server that relaytest plays, by the local part of the recipient.
var endings = map[string]string{
	"kari":     "Email_Delivered",
	"nosuch":   "Email_Failed_RecipientNotIdentified",
	"full":     "Email_Failed_Bounced",
	"spam":     "Email_Failed_FilteredSpam",
	"filtered": "Email_Failed_FilteredSpam", // after the dot
	"later":    "Email_Failed_TransientError",
}

// TestReportsOfRealServers: what mail servers of Debian really report about a mail, as relays, comes back and ends in the
// right status.
func TestReportsOfRealServers(t *testing.T) {
	t.Parallel()
	for _, server := range mtatest.Servers() {
		t.Run(server.Name, func(t *testing.T) {
			t.Parallel()
			w := worldBehind(t, server)
			placed := place(t, w, slices.Collect(maps.Keys(endings))...)
			for local, id := range placed {
				ends(t, w, local, id)
			}
		})
	}
}

// TestReportsOfServersBehind: the same where the relay is Postfix, and another server behind it reports.
func TestReportsOfServersBehind(t *testing.T) {
	t.Parallel()
	for _, server := range mtatest.Servers()[1:] {
		t.Run(server.Name, func(t *testing.T) {
			t.Parallel()
			w := worldBehind(t, mtatest.Server{Start: func(t *testing.T, c mtatest.Config) string {
				c.World = server.Start(t, c)
				return mtatest.Postfix(t, c)
			}})
			for local, id := range place(t, w, "kari", "nosuch", "filtered") {
				ends(t, w, local, id)
			}
		})
	}
}

// Postfix hands reports over by LMTP, by the recipe of docs/mail.md, and refuses what can't be a return path.
func TestPostfixHandsOverByLMTP(t *testing.T) {
	t.Parallel()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{Rules: relaytest.StandardRules()}, "")
	if err := os.Chmod(filepath.Dir(w.LMTPSocket()), 0o755); err != nil {
		t.Fatal(err)
	}
	addr := mtatest.Postfix(t, mtatest.Config{BounceDomain: daemontest.BounceDomain, Socket: w.LMTPSocket(), World: w.Relay.Addr(), Lifetime: time.Minute})
	w.TakeReports("lmtp_mode = \"0666\"")
	w.EditConfig(w.Relay.Addr(), addr)
	w.Start()
	for local, id := range place(t, w, "kari", "nosuch") {
		ends(t, w, local, id)
	}
	err := netsmtp.SendMail(addr, nil, "", []string{"guess@" + daemontest.BounceDomain}, []byte("Subject: x\r\n\r\nx\r\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "550") {
		t.Errorf("a guess: %v", err)
	}
}

// A mail to a list is expanded by Postfix, which does not follow it, and stays open. Exim follows it.
func TestReportsAboutLists(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"postfix": "expanded", "exim": "delivered"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(mtatest.Servers(), func(s mtatest.Server) bool { return s.Name == name })
			w := worldBehind(t, mtatest.Servers()[i])
			p, err := w.Client.SendEmail(t.Context(), daemontest.Mail("list", "list@alias.example"))
			if err != nil {
				t.Fatal(err)
			}
			eventually.True(t, "the report", func() bool {
				_, metrics := w.Admin("/metrics")
				return strings.Contains(metrics, `straks_mail_reports_total{key="return_path",verdict="`+want+`"} 1`)
			})
			if status := w.Status(p.ShipmentID); want == "expanded" && status != "Email_Succeeded" {
				t.Errorf("status %s", status)
			}
		})
	}
}

// place orders mails to @mottaker.example, and returns their shipments by local part.
func place(t *testing.T, w *daemontest.World, locals ...string) map[string]string {
	t.Helper()
	ids := make(map[string]string)
	for _, local := range locals {
		p, err := w.Client.SendEmail(t.Context(), daemontest.Mail(local, local+"@mottaker.example"))
		if err != nil {
			t.Fatal(err)
		}
		ids[local] = p.ShipmentID
	}
	return ids
}

// ends waits until a shipment has an end, which must be that of its local part.
func ends(t *testing.T, w *daemontest.World, local, id string) {
	t.Helper()
	eventually.True(t, "the end of "+local, func() bool {
		status := w.Status(id)
		return strings.Contains(status, "Failed") || status == "Email_Delivered"
	})
	if got := w.Status(id); got != endings[local] {
		t.Errorf("%s: %s, want %s", local, got, endings[local])
	}
}

// worldBehind is a daemon whose relay is a real server. World.Relay is the server behind that.
func worldBehind(t *testing.T, server mtatest.Server) *daemontest.World {
	t.Helper()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{Rules: relaytest.StandardRules()}, "")
	reports := freeport.Until(t)
	addr := server.Start(t, mtatest.Config{BounceDomain: daemontest.BounceDomain, Reports: reports, World: w.Relay.Addr(), Lifetime: 3 * time.Second})
	w.TakeReports("")
	w.EditConfig(`listen = "127.0.0.1:0"`+"\nlmtp", `listen = "`+reports+`"`+"\nlmtp")
	w.EditConfig(w.Relay.Addr(), addr)
	w.Start()
	return w
}
