package inbound

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/eventually"
)

// A report gets 250 when it is stored, and its shipment is that of the token.
func TestReport(t *testing.T) {
	w := start(t, withTLS(t))
	for _, encrypted := range []bool{false, true} {
		p := w.dial(t, 0)
		p.say("EHLO relay.example", "250-")
		if encrypted {
			p.secure()
			if got := p.say("EHLO relay.example", "250-"); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "DSN") {
				t.Errorf("offers %s", got)
			}
		}
		first, second := uuid.New(), uuid.New()
		p.say("MAIL FROM:<> BODY=8BITMIME SIZE=2000 RET=HDRS ENVID=x", "250")
		p.say("RCPT TO:<"+w.address(first)+"> NOTIFY=NEVER", "250")
		p.say("DATA", "354")
		p.send(strings.ReplaceAll(sample, "Delivered", "..Delivered") + ".\r\n")
		p.want("250")
		p.report(strings.ToUpper(w.keys.Local(second))+"@Retur.Example", sample, "250")
		p.say("QUIT", "221")
		got := w.stored()
		last := got[len(got)-2:]
		if last[0].Shipment != first || last[1].Shipment != second || last[0].From != "" || string(last[1].Data) != sample || !strings.Contains(string(last[0].Data), "\n.Delivered") {
			t.Errorf("got %v %v", last[0], last[1])
		}
	}
	if w.counted(resultStored) != 4 || strings.Contains(w.logged.String(), "retur.example") {
		t.Errorf("%d stored; log %s", w.counted(resultStored), w.logged)
	}
}

// Each octet of an address counts, except for letter case and the tags that servers on the way add.
func TestOnlyValidTokens(t *testing.T) {
	w := start(t, nil)
	id := uuid.New()
	local := w.keys.Local(id)
	refuse := []string{"", "b+", "kari", "postmaster", "abuse", "root", local[:len(local)-1], local + "a", "x" + local}
	for i := range local {
		changed := []byte(local)
		changed[i] = "abcdefghijklmnopqrstuvwxyz234567"[(strings.IndexByte("abcdefghijklmnopqrstuvwxyz234567", changed[i])+1)%32]
		refuse = append(refuse, string(changed))
	}
	for i, local := range refuse {
		p := w.dial(t, i)
		p.say("HELO relay.example", "250")
		p.say("MAIL FROM:<varsel@example.org>", "250")
		p.say("RCPT TO:<"+local+"@retur.example>", "5")
		p.say("DATA", "502")
	}
	for _, local := range []string{strings.ToUpper(local), "prvs=1234567890=" + local, "btv1==123==" + local, "SRS0=ab=cd=retur.example=" + local, `"` + local + `"`} {
		p := w.dial(t, 1)
		p.say("HELO relay.example", "250")
		p.report(local+"@retur.example", sample, "250")
	}
	if n := len(w.stored()); n != 5 {
		t.Errorf("%d stored", n)
	}
}

// Nothing is relayed, and nothing is said about who exists.
func TestNoOpenRelay(t *testing.T) {
	w := start(t, func(c *Config) { c.Address = "retur@example.org" })
	local := w.keys.Local(uuid.New())
	for i, to := range []string{
		"kari@mottaker.example", local + "@mottaker.example", local + "@retur.example@mottaker.example", local + "%mottaker.example@retur.example",
		"kari%mottaker.example@retur.example", "mottaker.example!kari@retur.example", `"kari@mottaker.example"@retur.example`, "@retur.example:kari@mottaker.example",
		local + "@retur.example.mottaker.example", local + "@[127.0.0.1]", local, "retur@example.org", local + "@",
	} {
		p := w.dial(t, i)
		p.say("EHLO spam.example", "250")
		p.say("MAIL FROM:<spam@spam.example>", "250")
		p.say("RCPT TO:<"+to+">", "5")
	}
	p := w.dial(t, 100)
	p.say("RCPT TO:<"+local+"@retur.example>", "502")
	p.say("DATA", "502")
	p.say("EHLO spam.example", "250")
	p.say("DATA", "502")
	p.say("VRFY "+local, "252")
	p.say("EXPN "+local, "502")
	p.say("AUTH PLAIN AGEAYg==", "5")
	if len(w.stored()) > 0 {
		t.Error("stored")
	}
}

func TestOneRecipient(t *testing.T) {
	w := start(t, nil)
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	p.say("MAIL FROM:<>", "250")
	first := uuid.New()
	p.say("RCPT TO:<"+w.address(first)+">", "250")
	p.say("RCPT TO:<"+w.address(uuid.New())+">", "452")
	p.say("DATA", "354")
	p.send(sample + ".\r\n")
	p.want("250")
	p.say("DATA", "502")
	if got := w.stored(); len(got) != 1 || got[0].Shipment != first {
		t.Errorf("got %v", got)
	}
}

// While the store is away a report stays with its sender.
func TestStoreAwayAndBack(t *testing.T) {
	w := start(t, nil)
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	to := w.address(uuid.New())
	w.setFail(errAway)
	p.report(to, sample, "451")
	w.setFail(ErrRefused)
	p.report(to, sample, "554")
	w.setFail(nil)
	p.report(to, sample, "250")
	if w.counted(resultDeferred) != 1 || w.counted(resultRefused) != 1 || w.counted(resultStored) != 1 {
		t.Error("counts")
	}
}

func TestSizes(t *testing.T) {
	w := start(t, nil)
	header := "Subject: large\r\n\r\n"
	fill := func(octets int) string {
		const line = "0123456789012345678901234567890123456789012345678901234567890\r\n"
		text := header + strings.Repeat(line, (octets-len(header))/len(line))
		return text[:len(text)-2] + strings.Repeat("x", octets-len(text)) + "\r\n"
	}
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	to := w.address(uuid.New())
	p.report(to, fill(1<<20), "250")
	p.report(to, fill(1<<20+1), "552")
	p.report(to, fill(4<<20), "552")
	p.report(to, header+strings.Repeat("x", 60<<10)+"\r\n", "250") // a line
	p.say("MAIL FROM:<> SIZE=1048577", "250")
	p.say("RSET", "250")
	p.say("MAIL FROM:<> SIZE=1048578", "552")
	if got := w.stored(); len(got) != 2 || len(got[0].Data) != 1<<20 {
		t.Errorf("%d stored, %d octets", len(got), len(got[0].Data))
	}
	if w.memory.inUse() != 0 {
		t.Errorf("%d octets in use", w.memory.inUse())
	}
}

// All mails together have a bound. Beyond it a peer is asked to come again, on a connection that goes on.
func TestMemoryOfAllMails(t *testing.T) {
	w := start(t, func(c *Config) { c.Limits.TotalOctets = 96 << 10; c.Limits.MailOctets = 64 << 10 })
	first, second := w.dial(t, 0), w.dial(t, 1)
	large := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("y", 70)+"\r\n", 700)
	for _, p := range []*caller{first, second} {
		p.say("EHLO relay.example", "250")
	}
	first.say("MAIL FROM:<>", "250")
	first.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
	first.say("DATA", "354")
	first.send(large)
	eventually.True(t, "the first mail", func() bool { return w.memory.inUse() > 48<<10 })
	second.report(w.address(uuid.New()), large, "452")
	first.send(".\r\n")
	first.want("250")
	second.report(w.address(uuid.New()), large, "250")
	if w.counted(resultBusy) != 1 || w.memory.inUse() != 0 {
		t.Errorf("%d busy, %d octets in use", w.counted(resultBusy), w.memory.inUse())
	}
}

// Mails to the postmaster are forwarded where there is one, at a bounded rate and in no loop.
func TestPostmaster(t *testing.T) {
	w := start(t, func(c *Config) { c.Postmaster = true })
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	for _, to := range []string{"postmaster@retur.example", "ABUSE@Retur.Example"} {
		p.say("MAIL FROM:<kari@example.org>", "250")
		p.say("RCPT TO:<"+to+">", "250")
		p.say("DATA", "354")
		p.send(sample + ".\r\n")
		p.want("250")
	}
	if len(w.forward) != 2 || w.forward[0].To != "postmaster" || w.forward[1].To != "abuse" || w.forward[0].From != "kari@example.org" || len(w.stored()) != 0 {
		t.Fatalf("got %v", w.forward)
	}
	p.report("postmaster@retur.example", LoopField+": RETUR.example\r\n"+sample, "554")
	p.report("postmaster@retur.example", strings.Repeat("Received: from a by b\r\n", 51)+sample, "554")
	for range forwardBurst - 2 {
		p.report("postmaster@retur.example", sample, "250")
	}
	p.report("postmaster@retur.example", sample, "451")
	p.report(w.address(uuid.New()), sample, "250") // reports go on
}

// The end of the server lets the mails that have begun arrive, and begins none.
func TestDrain(t *testing.T) {
	w := start(t, func(c *Config) { c.Limits.Drain = patience })
	idle, busy := w.dial(t, 0), w.dial(t, 1)
	busy.say("EHLO relay.example", "250")
	busy.say("MAIL FROM:<>", "250")
	busy.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
	busy.say("DATA", "354")
	busy.send("Subject: x\r\n")
	eventually.True(t, "the mail", func() bool { return w.memory.inUse() > 0 })
	go w.stop()
	idle.want("421")
	idle.closed()
	busy.send("\r\nx\r\n.\r\n")
	busy.want("250")
	busy.want("421")
	w.stop()
	if len(w.stored()) != 1 {
		t.Error("not stored")
	}
}

// A peer in the middle of a mail does not keep the server from ending.
func TestDrainEnds(t *testing.T) {
	w := start(t, func(c *Config) { c.Limits.Drain = time.Millisecond })
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	p.say("MAIL FROM:<>", "250")
	p.say("RCPT TO:<"+w.address(uuid.New())+">", "250")
	p.say("DATA", "354")
	p.send("Subject: x\r\n")
	w.stop()
	p.closed()
	if len(w.stored()) != 0 {
		t.Error("stored")
	}
}
