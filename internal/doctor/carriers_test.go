package doctor

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"straks/internal/config"
	"straks/internal/freeport"
	"straks/smpp"
	"straks/smpp/peertest"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
	"straks/smtp"
	"straks/smtp/relaytest"
)

// examineRelay runs the check of one relay, and returns its findings by name.
func examineRelay(t *testing.T, p *Plan, profile relaytest.Profile, relay smtp.Relay) map[string]Finding {
	t.Helper()
	r, err := relaytest.Listen("127.0.0.1:0", profile)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	relay.Name, relay.Addr = "mx", r.Addr()
	configured := config.Relay{Relay: relay}
	if relay.Username != "" {
		configured.PasswordFile = "mx.password"
	}
	named := make(map[string]Finding)
	for _, f := range p.relayCheck(within(t), configured) {
		named[f.Check] = f
	}
	if n := r.Taken(); n != 0 {
		t.Errorf("the relay took %d mails", n)
	}
	return named
}

func TestRelay(t *testing.T) {
	pair, _ := peertest.Certificate(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	secure := &tls.Config{Certificates: []tls.Certificate{pair}}
	login := smtp.Relay{Username: "straks", Password: "hemlig", CAFile: ca, ServerName: "smsc.example"}
	full := relaytest.Profile{TLS: secure, DSN: true, SMTPUTF8: true, Username: "straks", Password: "hemlig"}
	refusing := func(reply string) func(net.Conn) {
		return relaytest.Dialogue(relaytest.Reply{Verb: "EHLO", Text: "250-x\r\n250-SIZE 1000\r\n250 DSN\r\n"},
			relaytest.Reply{Verb: "MAIL", Text: reply + "\r\n"})
	}
	for name, c := range map[string]struct {
		profile relaytest.Profile
		relay   smtp.Relay
		want    map[string][]string // by check
	}{
		"all well": {full, login, map[string][]string{
			"TLS": {"note", "expires"}, "login": {"ok", "straks"}, "DSN": {"ok"}, "PIPELINING": {"ok"}, "SMTPUTF8": {"ok"},
			"return path": {"ok", "<bounces@example.org>"}}},
		"nothing offered": {relaytest.Profile{}, smtp.Relay{}, map[string][]string{
			"TLS": {"ok", "this machine"}, "DSN": {"note", "RFC 3461"}, "SMTPUTF8": {"note"}, "return path": {"ok"}}},
		"wrong password": {full, smtp.Relay{Username: "straks", Password: "wrong", CAFile: ca, ServerName: "smsc.example"},
			map[string][]string{"connection": {"fix", "auth", "password"}}},
		"other name": {full, smtp.Relay{CAFile: ca}, map[string][]string{"connection": {"fix", "tls", "configure: server_name"}}},
		"unknown authority": {full, smtp.Relay{TLS: smtp.TLSStartTLS, ServerName: "smsc.example"},
			map[string][]string{"connection": {"fix", "ca_file"}}},
		"any certificate": {relaytest.Profile{TLS: secure}, smtp.Relay{}, map[string][]string{"TLS": {"note"}, "return path": {"ok"}}},
		"no TLS":          {relaytest.Profile{}, smtp.Relay{TLS: smtp.TLSStartTLS}, map[string][]string{"connection": {"fix", "STARTTLS"}}},
		"return path refused": {relaytest.Profile{Script: refusing("553 5.7.1 not you")}, smtp.Relay{},
			map[string][]string{"return path": {"fix", "bounces@example.org", "553 5.7.1"}, "SIZE": {"note", "1000 octets"}, "PIPELINING": {"note", "four round trips"}}},
		"hangs up":   {relaytest.Profile{Script: func(net.Conn) {}}, smtp.Relay{}, map[string][]string{"connection": {"fix", "lost"}}},
		"greets 554": {relaytest.Profile{Script: func(c net.Conn) { io.WriteString(c, "554 go away\r\n") }}, smtp.Relay{Helo: "here"}, map[string][]string{"connection": {"fix", "greeting", "configure: helo"}}},
		"garbage":    {relaytest.Profile{Script: relaytest.Garbage}, smtp.Relay{}, map[string][]string{"connection": {"fix", "not an SMTP reply"}}},
		"endless":    {relaytest.Profile{Script: relaytest.EndlessBanner}, smtp.Relay{}, map[string][]string{"connection": {"fix", "exceeds"}}},
		"silent":     {relaytest.Profile{Script: relaytest.Mute}, smtp.Relay{DialTimeout: 50e6}, map[string][]string{"connection": {"fix", "timeout"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := examineRelay(t, &Plan{Config: &config.Config{Mail: config.Mail{ReturnPath: "bounces@example.org"}}}, c.profile, c.relay)
			for check, want := range c.want {
				f, ok := got[check]
				if !ok {
					t.Errorf("no finding %q: %+v", check, got)
					continue
				}
				wants(t, []Finding{f}, want)
			}
			if strings.Contains(strings.Join(saysOf(got), " "), "hemlig") {
				t.Error("the password is shown")
			}
		})
	}
}

func saysOf(all map[string]Finding) (says []string) {
	for _, f := range all {
		says = append(says, f.Says)
	}
	return says
}

func TestRelayIsLeftAlone(t *testing.T) {
	connected := errors.New("none")
	script := func(net.Conn) { connected = errors.New("connected") }
	p := &Plan{Config: &config.Config{}, Running: &Running{Relay: []smtp.RelayState{{Name: "mx", Reason: "auth: relay replied 535 5.7.8"}}}}
	got := examineRelay(t, p, relaytest.Profile{Script: script}, smtp.Relay{Username: "straks", Password: "x"})
	wants(t, []Finding{got["login"]}, []string{"fix", "535", "no"})
	if connected.Error() != "none" {
		t.Error("there was an attempt to log in")
	}
	p = &Plan{Config: &config.Config{}, Secrets: errors.New("permission denied")}
	got = examineRelay(t, p, relaytest.Profile{}, smtp.Relay{Username: "straks", InsecureAuth: true, TLS: smtp.TLSOff})
	wants(t, []Finding{got["login"], got["TLS"]}, []string{"unknown", "can't be read"}, []string{"ok"})
}

func TestBinds(t *testing.T) {
	listen := func(p smsctest.Profile) (*smsctest.SMSC, smpp.SMSC) {
		s, err := smsctest.Listen("127.0.0.1:0", p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s, smpp.SMSC{Name: "telco", Addr: s.Addr(), SystemID: "straks", Password: "hemlig"}
	}
	check := func(p *Plan, s smpp.SMSC, sealed bool) []Finding { return p.bindCheck(within(t), s, sealed) }

	s, account := listen(smsctest.Profile{Accounts: map[string]string{"straks": "hemlig"}})
	wants(t, check(&Plan{}, account, false), []string{"note", "given up", "standby"})
	if err := s.Wait(within(t), func(now smsctest.Stats) bool { return now.Binds == 1 && now.Unbinds == 1 }); err != nil {
		t.Errorf("%v: %+v", err, s.Stats())
	}
	account.MoreAddrs = []string{s.Addr()}
	wants(t, check(&Plan{}, account, false), []string{"note"}, []string{"ok"})
	account.MoreAddrs, account.Password = nil, "wrong"
	wants(t, check(&Plan{}, account, false), []string{"fix", "ESME_RINVPASWD", "password"})
	account.Mode = smpp.ModeSeparate
	account.Password = "hemlig"
	wants(t, check(&Plan{}, account, false), []string{"note"})

	binds := s.Stats().Binds
	bound := &Running{SMSC: []smpp.BindState{{SMSC: "telco", Bind: "telco/1", State: smpp.StateBound}, {SMSC: "other", Bind: "other/1", State: smpp.StateDown}}}
	wants(t, check(&Plan{Running: bound}, account, false), []string{"ok", "telco/1"})
	down := &Running{SMSC: []smpp.BindState{{SMSC: "telco", Bind: "telco/1", State: smpp.StateDown, Reason: "no route to host"}}}
	wants(t, check(&Plan{Running: down}, account, false), []string{"fix", "no route to host"})
	wants(t, check(&Plan{Running: &Running{}}, account, false), []string{"fix", "another configuration", "run: systemctl"})
	wants(t, check(&Plan{Occupied: "the journal is open"}, account, false), []string{"unknown", "the journal is open"})
	wants(t, check(&Plan{Secrets: errors.New("permission denied")}, account, true), []string{"unknown", "can't be read"})
	if now := s.Stats().Binds; now != binds {
		t.Errorf("%d binds were made where none must be", now-binds)
	}

	_, full := listen(smsctest.Profile{BindStatus: wire.ESMEAlyBnd})
	wants(t, check(&Plan{}, full, false), []string{"fix", "ESME_RALYBND", "another bind"})
	full.Addr = freeport.Until(t)
	wants(t, check(&Plan{}, full, false), []string{"fix", "connection refused", "firewall"})
}

func TestClock(t *testing.T) {
	for _, c := range []struct {
		state    clockState
		absolute []string
		want     []string
	}{
		{clockKept, []string{"telco"}, []string{"ok"}},
		{clockFree, nil, []string{"note", "run: apt-get install systemd-timesyncd"}},
		{clockFree, []string{"telco"}, []string{"fix", "telco", "absolute", "run: "}},
		{clockUnknown, nil, []string{"unknown"}},
	} {
		wants(t, []Finding{clockFinding(c.state, c.absolute)}, c.want)
	}
}

// TestCheckIsBounded: a check has the findings of its own, and an end.
func TestCheckIsBounded(t *testing.T) {
	var events []string
	c := check{"s", "n", func(ctx context.Context) []Finding {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("no deadline")
		}
		return []Finding{found(OK, "x"), named(found(OK, "y"), "other")}
	}}
	got := c.examine(within(t), func(subject, name string, ended bool) {
		events = append(events, subject+name+map[bool]string{false: " begins", true: " ends"}[ended])
	})
	if len(got) != 2 || got[0].Subject != "s" || got[0].Check != "n" || got[1].Check != "other" || strings.Join(events, ",") != "sn begins,sn ends" {
		t.Errorf("%+v, %v", got, events)
	}
}
