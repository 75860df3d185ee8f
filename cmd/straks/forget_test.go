package main

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/internal/logtest"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
	"straks/smtp/relaytest"
)

// forgetting is a daemon whose journal has messages of a person, and of another one.
type forgetting struct {
	*daemontest.World
	journal journalKind
	ids     []string // of the person's SMS
	theirs  string   // of the other one's
	audit   string   // its folder
	log     *logtest.Log
}

const (
	person        = "+4798765432"
	personAddress = "Kari.Kanari@example.org"
	stopped       = "+4791234567"
	somebody      = "+4799999999"
)

// TestForget: a person's messages keep their ids, statuses and numbers of the feed, and lose the recipient: in look-ups, and
// in the journal, of whatever kind. A message under way waits for its outcome. Log and audit never have the recipient.
func TestForget(t *testing.T) {
	t.Parallel()
	for _, kind := range kindsOfJournal(t) {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			f := newForgetting(t, kind)
			f.refuses()
			f.forgetsPerson()
			f.waitsForMails()
			f.keepsBlocks()
			f.Stop()
			f.leavesNothing()
		})
	}
}

// newForgetting sends the messages. A receipt that matches nothing waits, and names the person.
func newForgetting(t *testing.T, kind journalKind) *forgetting {
	t.Helper()
	p := smsctest.Profile{}
	p.On("1", func(b *smsctest.Behaviour) { b.Receipt.Missing = 1 })
	p.Receipt.EchoReference = true
	f := &forgetting{World: kind.world(t, p, relaytest.Profile{}), journal: kind}
	f.audit = filepath.Join(f.Dir, "audit")
	f.EditConfig("[journal]\n", "[audit]\ndir = \""+f.audit+"\"\n[journal]\n")
	f.log = f.KeepLog()
	f.Start()
	for _, key := range []string{"a", "b", "c"} {
		order := daemontest.SMS(key, person)
		if key == "c" {
			order.SendersReference = "of " + person
		}
		placed, err := f.Client.SendSMS(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		f.Await(placed.ShipmentID, "SMS_Delivered")
		f.ids = append(f.ids, placed.ShipmentID)
	}
	f.theirs = f.Send("theirs", somebody).ShipmentID
	f.Await(f.theirs, "SMS_Delivered")
	if err := f.SMSC.Deliver(&wire.Message{ESMClass: 4, Source: person[1:], Dest: "2077",
		ShortMessage: []byte("id:4711 sub:001 dlvrd:001 submit date:2611301200 done date:2611301200 stat:DELIVRD err:000 text:")}); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the receipt to wait", func() bool {
		_, text := f.Admin("/metrics")
		return strings.Contains(text, "straks_journal_parked_reports{smsc=\"telco\"} 1\n")
	})
	return f
}

// operate runs a command of an operator.
func (f *forgetting) operate(args ...string) (code int, stdout, stderr string) {
	f.T.Helper()
	return straks(f.T, "", append(args, "-admin", f.Daemon.AdminAddr())...)
}

// refuses: without a reason, of nobody, and with the person in the reason nothing is forgotten.
func (f *forgetting) refuses() {
	for _, args := range [][]string{{"forget", person}, {"forget", "-reason", "case 7", "nobody"}, {"forget", "-reason", "as " + person[1:] + " asked", person}} {
		if code, _, _ := f.operate(args...); code == exitDone {
			f.T.Errorf("%q is taken", args)
		}
	}
}

// forgets runs the command with -json.
func (f *forgetting) forgets(want daemon.ForgetAnswer, args ...string) {
	f.T.Helper()
	code, out, stderr := f.operate(append([]string{"forget", "-json", "-reason", "case 7"}, args...)...)
	var got daemon.ForgetAnswer
	if err := json.Unmarshal([]byte(out), &got); code != exitDone || err != nil || got != want {
		f.T.Errorf("%q: exit %d: %s%s, want %+v", args, code, out, stderr, want)
	}
}

// traced returns how many messages "straks trace" finds.
func (f *forgetting) traced(what string) int {
	f.T.Helper()
	code, out, stderr := f.operate("trace", "-json", what)
	n := strings.Count(out, `"shipmentId"`)
	if code != exitDone && n > 0 || code == exitDone && n == 0 {
		f.T.Errorf("trace %s: exit %d: %s%s", what, code, out, stderr)
	}
	return n
}

func (f *forgetting) forgetsPerson() {
	t := f.T
	before := f.Feed()
	if n := f.traced(person); n != 3 {
		t.Errorf("%d messages are found before", n)
	}
	f.journal.analyze(t)
	f.forgets(daemon.ForgetAnswer{Shipments: 3, Reports: 1}, "0047 98 76 54 32")
	f.forgets(daemon.ForgetAnswer{}, person) // nothing is left
	for _, id := range append(f.ids, f.theirs) {
		s, err := f.Client.Shipment(t.Context(), id)
		want := "forgotten"
		if id == f.theirs {
			want = somebody
		}
		if err != nil || s.Recipients[0].Destination != want || s.Recipients[0].Status != "SMS_Delivered" || strings.Contains(s.SendersReference, person) {
			t.Errorf("%+v, %v", s, err)
		}
	}
	after := f.Feed()
	for i := range after {
		if s := after[i].Recipients[0].Destination; s == person {
			t.Errorf("entry %+v", after[i])
		}
		after[i].Recipients = before[i].Recipients
		after[i].SendersReference = before[i].SendersReference
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("the feed was %+v, and is %+v", before, after)
	}
	for what, want := range map[string]int{person: 0, somebody: 1, f.ids[0]: 1, "a": 1, "ref-b": 1, "of " + person: 0} {
		if n := f.traced(what); n != want {
			t.Errorf("%d messages are found by %s, want %d", n, what, want)
		}
	}
	submits := len(f.SMSC.Submits())
	for i, key := range []string{"a", "b", "c"} {
		if repeated := f.Send(key, person); repeated.ShipmentID != f.ids[i] || repeated.Created {
			t.Errorf("key %s is forgotten: a repeat is another order", key)
		}
	}
	if n := len(f.SMSC.Submits()) - submits; n != 0 {
		t.Errorf("%d repeats were sent", n)
	}
}

// waitsForMails: a mail under way keeps its address.
func (f *forgetting) waitsForMails() {
	mail := daemontest.Mail("m", personAddress)
	mail.SendersReference = "for " + strings.ToLower(personAddress)
	placed, err := f.Client.SendEmail(f.T.Context(), mail)
	if err != nil {
		f.T.Fatal(err)
	}
	if code, out, stderr := f.operate("forget", "-reason", "case 8", personAddress); code != exitFailed || !strings.Contains(stderr, "run this again after") {
		f.T.Errorf("a mail under way: exit %d: %s%s", code, out, stderr)
	}
	if s, err := f.Client.Shipment(f.T.Context(), placed.ShipmentID); err != nil || s.Recipients[0].Destination != personAddress {
		f.T.Errorf("%+v, %v", s, err)
	}
}

// keepsBlocks: an entry that an operator made stays, and is lifted with -blocks.
func (f *forgetting) keepsBlocks() {
	if code, _, stderr := f.operate("block", "add", stopped, "-organisation", "ttd", "-reason", "asked for it"); code != exitDone {
		f.T.Fatal(stderr)
	}
	f.forgets(daemon.ForgetAnswer{Kept: 1}, stopped)
	if code, out, _ := f.operate("forget", "-blocks", "-reason", "case 7", stopped); code != exitDone || !strings.Contains(out, "1 entry of block lists lifted") {
		f.T.Errorf("exit %d: %s", code, out)
	}
}

// leavesNothing looks at what is left when the daemon has ended.
func (f *forgetting) leavesNothing() {
	t := f.T
	kept := []string{strings.ToLower(personAddress)} // in the sender's reference
	if !f.journal.sealed {
		kept = append(kept, somebody[1:], stopped[1:])
	}
	found := f.journal.holds(t, f.World, append([]string{person[1:], person[4:]}, kept...)...)
	for _, word := range kept {
		if found[word] == "" {
			t.Errorf("the search finds no %s", word)
		}
		delete(found, word)
	}
	if len(found) > 0 {
		t.Errorf("the journal has what was forgotten: %q", found)
	}
	succeed(t, "journal", "check", "-config", f.ConfigFile())
	text := string(audited(t, f.audit))
	if !strings.Contains(text, `"action":"forget"`) || !strings.Contains(text, `"outcome":"messages are under way"`) {
		t.Errorf("the audit: %s", text)
	}
	for what, text := range map[string]string{"log": f.log.String(), "audit": text} {
		if strings.Contains(text, "98765432") || strings.Contains(strings.ToLower(text), "kanari") {
			t.Errorf("the %s has a recipient", what)
		}
	}
}
