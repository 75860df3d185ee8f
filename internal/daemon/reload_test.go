package daemon_test

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// reloading is a world whose configuration can be changed.
type reloading struct {
	*daemontest.World
	base string // text of the configuration at the start
}

func newReloading(t *testing.T, extra string) *reloading {
	t.Helper()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, extra)
	text, err := os.ReadFile(w.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	w.Start()
	return &reloading{w, string(text)}
}

// write writes the configuration of the start, changed and with more.
func (w *reloading) write(more string, replace ...string) {
	w.T.Helper()
	text := strings.NewReplacer(replace...).Replace(w.base) + more
	if err := os.WriteFile(w.ConfigFile(), []byte(text), 0o600); err != nil {
		w.T.Fatal(err)
	}
}

// reload reads the configuration again, which must be good.
func (w *reloading) reload() []string {
	w.T.Helper()
	done, err := w.Daemon.Reload()
	if err != nil {
		w.T.Fatal(err)
	}
	return done.Restart
}

// as returns a client with a token.
func (w *reloading) as(token string) *client.Client {
	w.T.Helper()
	c, err := client.New("http://"+w.Daemon.APIAddr()+"/notifications/api/v1", token, nil)
	if err != nil {
		w.T.Fatal(err)
	}
	return c
}

func organisation(name, token, more string) string {
	return fmt.Sprintf("\n[[organisation]]\nname = %q\n%s\n[[organisation.token]]\nname = \"t\"\nsha256 = \"%x\"\n", name, more, sha256.Sum256([]byte(token)))
}

// moreCarriers starts an SMSC and a relay that a reload may bring.
func moreCarriers(t *testing.T) (*smsctest.SMSC, *relaytest.Relay) {
	t.Helper()
	smsc, err := smsctest.Listen("127.0.0.1:0", smsctest.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { smsc.Close() })
	relay, err := relaytest.Listen("127.0.0.1:0", relaytest.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	return smsc, relay
}

// Under load SMSCs, relays, routes, organisations, tokens and limits come, change and go: no order is refused or sent
// twice, and binds and connections that did not change stay up.
func TestReloadUnderLoad(t *testing.T) {
	w := newReloading(t, "")
	second, mx2 := moreCarriers(t)
	eventually.True(t, "the daemon to be ready", func() bool { return w.Daemon.Ready() == nil })

	var sms, mails atomic.Int32
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				key, count := fmt.Sprintf("k%d-%d", i, n), &sms
				var err error
				if i%2 == 0 {
					_, err = w.Client.SendSMS(t.Context(), daemontest.SMS(key, "+4799999999"))
				} else {
					_, err = w.Client.SendEmail(t.Context(), daemontest.Mail(key, "kari@mottaker.example"))
					count = &mails
				}
				if err != nil {
					t.Errorf("%s: %v", key, err)
					return
				}
				count.Add(1)
			}
		})
	}
	more := func() {
		t.Helper()
		was, wasMails := sms.Load(), mails.Load()
		eventually.True(t, "more orders", func() bool { return sms.Load() > was+10 && mails.Load() > wasMails+10 })
	}
	more()
	smsc2 := fmt.Sprintf("\n[[smsc]]\nname = \"second\"\naddr = %q\nsystem_id = \"straks\"\n", second.Addr())
	relay2 := fmt.Sprintf("\n[[relay]]\nname = \"mx2\"\naddr = %q\ntls = \"off\"\n", mx2.Addr())
	half := "\n[[route]]\nname = \"all\"\nsmscs = [\"telco\", \"second\"]\nweights = { telco = 1, second = 1 }\n" +
		"[[mail_route]]\nname = \"all\"\nrelays = [\"mx\", \"mx2\"]\nweights = { mx = 1, mx2 = 1 }\n"
	bindsBefore, mxBefore := w.SMSC.Stats().Binds, connections(w.Relay)
	for range 2 {
		for _, text := range []string{
			smsc2 + relay2, // in reserve
			smsc2 + relay2 + half + organisation("nav", "token-of-nav-token-of-nav", "rate = 50"),
			strings.Replace(smsc2, "system_id", "window = 3\nsystem_id", 1) + strings.Replace(relay2, "tls", "max_conns = 3\ntls", 1) + half,
			"\n[[route]]\nname = \"norway\"\nprefixes = [\"+47\"]\nsmscs = [\"telco\"]\n",
			"",
		} {
			w.write(text)
			if restart := w.reload(); len(restart) > 0 {
				t.Errorf("needs a restart: %v", restart)
			}
			more()
		}
	}
	close(stop)
	clients.Wait()
	if got := len(w.SMSC.Submits()) + len(second.Submits()); got != int(sms.Load()) || len(second.Submits()) == 0 {
		t.Errorf("%d SMS ordered, %d sent, %d by the second SMSC", sms.Load(), got, len(second.Submits()))
	}
	if got := w.Relay.Taken() + mx2.Taken(); got != int(mails.Load()) || mx2.Taken() == 0 {
		t.Errorf("%d mails ordered, %d sent, %d by the second relay", mails.Load(), got, mx2.Taken())
	}
	if binds, mx := w.SMSC.Stats().Binds, connections(w.Relay); binds != bindsBefore || mx > mxBefore+2 {
		t.Errorf("telco was bound %d times and then %d, mx had %d connections and then %d", bindsBefore, binds, mxBefore, mx)
	}
	eventually.True(t, "what is gone to be left", func() bool {
		_, open := mx2.Connections()
		return second.Stats().BindsNow == 0 && open == 0
	})
}

// isStatus reports whether a call was answered by a problem with this status.
func isStatus(err error, status int) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Status == status
}

func connections(r *relaytest.Relay) int {
	accepted, _ := r.Connections()
	return accepted
}

// Tokens and organisations take effect at once, and a limit too.
func TestReloadTokens(t *testing.T) {
	w := newReloading(t, "")
	token := rand.Text()
	nav := w.as(token)
	if _, err := nav.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); !isStatus(err, 401) {
		t.Fatalf("before: %v", err)
	}
	w.write(organisation("nav", token, "sms_sender = \"NAV\""))
	w.reload()
	if _, err := nav.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); err != nil {
		t.Fatal(err)
	}
	if got := w.SMSC.Submits(); got[len(got)-1].Source != "NAV" {
		t.Errorf("sent as %q", got[len(got)-1].Source)
	}
	w.write(organisation("nav", token, "rate = 0.01"))
	w.reload()
	if _, err := nav.SendSMS(t.Context(), daemontest.SMS("k1", "+4799999999")); err != nil {
		t.Errorf("the first of a limit: %v", err)
	}
	if _, err := nav.SendSMS(t.Context(), daemontest.SMS("k2", "+4799999999")); !isStatus(err, 429) {
		t.Errorf("the second: %v", err)
	}
	w.write(organisation("nav", token, "mode = \"simulate\""))
	w.reload()
	before := len(w.SMSC.Submits())
	if _, err := nav.SendSMS(t.Context(), daemontest.SMS("k3", "+4799999999")); err != nil || len(w.SMSC.Submits()) != before {
		t.Errorf("an organisation that only tests: %v, %d submits", err, len(w.SMSC.Submits())-before)
	}
	w.write(organisation("nav", rand.Text(), ""))
	w.reload()
	if _, err := nav.SendSMS(t.Context(), daemontest.SMS("k4", "+4799999999")); !isStatus(err, 401) {
		t.Errorf("after: %v", err)
	}
	if _, err := w.Client.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); err != nil {
		t.Errorf("the token that did not change: %v", err)
	}
}

// A configuration with faults is refused whole, with all of them. One that needs a restart in part is taken in the other
// parts.
func TestReloadRefused(t *testing.T) {
	w := newReloading(t, "")
	token := rand.Text()
	w.write(organisation("nav", token, "rate = -1") + "\n[[route]]\nsmscs = [\"nobody\"]\n[[mail_route]]\nrelays = [\"nobody\"]\n")
	_, err := w.Daemon.Reload()
	for _, want := range []string{"organisation[1].rate", "route[0].smscs[0]", "mail_route[0].relays[0]"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing: %v", want, err)
		}
	}
	if _, err := w.as(token).SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); !isStatus(err, 401) {
		t.Errorf("the new token: %v", err)
	}
	if _, err := w.Client.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); err != nil {
		t.Errorf("the old token: %v", err)
	}
	w.write(organisation("nav", token, ""), "send_deadline = \"20s\"", "send_deadline = \"21s\"")
	if restart := w.reload(); fmt.Sprint(restart) != "[api]" {
		t.Errorf("needs a restart: %v", restart)
	}
	if _, err := w.as(token).SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); err != nil {
		t.Errorf("the new token: %v", err)
	}
}
