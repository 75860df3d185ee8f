package relaytest

import (
	"context"
	"errors"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T, p Profile) *Relay {
	t.Helper()
	r, err := Listen("127.0.0.1:0", p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func dial(t *testing.T, r *Relay) *gosmtp.Client {
	t.Helper()
	c, err := gosmtp.Dial(r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(c *gosmtp.Client, to string) error {
	return c.SendMail("a@x.example", []string{to}, strings.NewReader("Subject: x\r\n\r\n.dot\r\n"))
}

func code(err error) int {
	var reply *gosmtp.SMTPError
	if errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}

func TestStandardRules(t *testing.T) {
	r := listen(t, Profile{Rules: StandardRules()})
	for _, rule := range StandardRules() {
		if rule.Delay > 0 {
			continue // it takes the mail; TestSlowRecipient waits for it
		}
		for _, to := range []string{rule.Local + "@x.example", strings.ToUpper(rule.Local) + "+7@x.example", rule.Local + ".b@x.example"} {
			if err := send(dial(t, r), to); err == nil || code(err) != rule.Code {
				t.Errorf("%s: %v", to, err)
			}
		}
	}
	if err := send(dial(t, r), "nosuchluck@x.example"); err != nil {
		t.Error(err)
	}
}

// TestSlowRecipient: the mail is there before the reply.
func TestSlowRecipient(t *testing.T) {
	const delay = 300 * time.Millisecond
	r := listen(t, Profile{Rules: []Rule{{Local: "slow", AtDot: true, Delay: delay}}})
	began := time.Now()
	if err := send(dial(t, r), "slow@x.example"); err != nil || time.Since(began) < delay || r.Taken() != 1 {
		t.Errorf("%v after %v, %d taken", err, time.Since(began), r.Taken())
	}
}

// TestTrouble: each trouble begins and ends while the relay runs.
func TestTrouble(t *testing.T) {
	r := listen(t, Profile{})
	c := dial(t, r)
	r.SetTrouble(Trouble{Busy: true})
	if err := send(c, "a@x.example"); code(err) != 451 {
		t.Errorf("busy: %v", err)
	}
	const delay = 100 * time.Millisecond
	r.SetTrouble(Trouble{Delay: delay})
	began := time.Now()
	if err := send(c, "a@x.example"); err != nil || time.Since(began) < 3*delay {
		t.Errorf("slow: %v after %v", err, time.Since(began))
	}
	r.SetTrouble(Trouble{Down: true})
	if err := send(c, "a@x.example"); err == nil {
		t.Error("down: an open connection went on")
	}
	raw, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if n, err := raw.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("down: a new connection got %d octets, %v", n, err)
	}
	r.SetTrouble(Trouble{})
	if err := send(dial(t, r), "a@x.example"); err != nil || r.Taken() != 2 {
		t.Errorf("afterwards: %v, %d taken", err, r.Taken())
	}
}

func TestRemembers(t *testing.T) {
	calls := make(chan Message, 3)
	r := listen(t, Profile{Keep: 2, OnMessage: func(m Message) { calls <- m }})
	c := dial(t, r)
	for _, to := range []string{"a@x.example", "b@x.example", "c@x.example"} {
		if err := send(c, to); err != nil {
			t.Fatal(err)
		}
		if m := <-calls; m.To != to {
			t.Errorf("OnMessage got %s", m.To)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got, err := r.WaitMessages(ctx, 3)
	if err != nil || len(got) != 2 || got[0].To != "b@x.example" || r.Taken() != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	if m := got[1]; string(m.Data) != "Subject: x\r\n\r\n.dot\r\n" || m.From != "a@x.example" || m.Connection != 1 || m.Helo != "localhost" {
		t.Errorf("%+v", m)
	}
	cancel()
	if _, err := r.WaitMessages(ctx, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestGreylist(t *testing.T) {
	r := listen(t, Profile{Greylist: 2})
	for i, want := range []int{451, 451, 0} {
		if err := send(dial(t, r), "a@x.example"); code(err) != want {
			t.Errorf("try %d: %v", i, err)
		}
	}
}

func TestMaxConns(t *testing.T) {
	r := listen(t, Profile{MaxConns: 1})
	first := dial(t, r)
	if err := first.Noop(); err != nil {
		t.Fatal(err)
	}
	if err := dial(t, r).Noop(); code(err) != 421 {
		t.Errorf("second connection: %v", err)
	}
	if accepted, open := r.Connections(); accepted != 1 || open != 1 {
		t.Errorf("%d accepted, %d open", accepted, open)
	}
}

func TestFaultsEnd(t *testing.T) {
	r := listen(t, Profile{Drop: AtRcpt, Faults: 1})
	if err := send(dial(t, r), "a@x.example"); err == nil {
		t.Error("the first was not dropped")
	}
	if err := send(dial(t, r), "a@x.example"); err != nil {
		t.Error(err)
	}
}

// Close joins frozen connections, and may be called twice.
func TestCloseEndsFrozen(t *testing.T) {
	r := listen(t, Profile{Freeze: AtMail})
	c := dial(t, r)
	failed := make(chan error)
	go func() { failed <- c.Mail("a@x.example", nil) }()
	r.Close()
	r.Close()
	if err := <-failed; err == nil {
		t.Error("a frozen relay replied")
	}
}

func TestScripts(t *testing.T) {
	r := listen(t, Profile{Script: Dialogue(Reply{Verb: "NOOP", Text: "599 never\r\n"})})
	if err := dial(t, r).Noop(); code(err) != 599 {
		t.Errorf("got %v", err)
	}
	if err := send(dial(t, r), "a@x.example"); err != nil {
		t.Error(err)
	}
	garbage := listen(t, Profile{Script: Garbage})
	var notReply textproto.ProtocolError
	if err := dial(t, garbage).Noop(); !errors.As(err, &notReply) {
		t.Errorf("got %v", err)
	}
}

func TestLoopbackOnly(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "192.0.2.1:0", "nonsense"} {
		if r, err := Listen(addr, Profile{}); err == nil {
			r.Close()
			t.Errorf("listens on %s", addr)
		}
	}
	r, err := Listen("0.0.0.0:0", Profile{AllowRemote: true})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
}
