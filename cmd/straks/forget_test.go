package main

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestForget: a person's messages keep their ids, statuses and numbers of the feed, and lose the recipient: in look-ups, and
// in the file once it is compacted. A message under way waits for its outcome. Log and audit never have the recipient.
func TestForget(t *testing.T) {
	t.Parallel()
	p := smsctest.Profile{}
	p.On("1", func(b *smsctest.Behaviour) { b.Receipt.Missing = 1 })
	p.Receipt.EchoReference = true
	w := daemontest.NewStopped(t, p, relaytest.Profile{}, "")
	dir := filepath.Join(w.Dir, "audit")
	w.EditConfig("[journal]\n", "[audit]\ndir = \""+dir+"\"\n[journal]\n")
	log := w.KeepLog()
	w.Start()
	const number, address, other = "+4798765432", "Kari.Kanari@example.org", "+4799999999"
	var ids []string
	for _, key := range []string{"a", "b", "c"} {
		id := w.Send(key, number).ShipmentID
		w.Await(id, "SMS_Delivered")
		ids = append(ids, id)
	}
	theirs := w.Send("theirs", other).ShipmentID
	w.Await(theirs, "SMS_Delivered")
	mail := daemontest.Mail("m", address)
	mail.SendersReference = "for kari.kanari@example.org"
	placed, err := w.Client.SendEmail(t.Context(), mail)
	if err != nil {
		t.Fatal(err)
	}
	operate := func(args ...string) (code int, stdout, stderr string) {
		return straks(t, "", append(args, "-admin", w.Daemon.AdminAddr())...)
	}
	if code, _, stderr := operate("block", "add", number, "-organisation", "ttd", "-reason", "asked for it"); code != exitDone {
		t.Fatal(stderr)
	}
	before := w.Feed()

	for _, args := range [][]string{{"forget", number}, {"forget", "-reason", "case 7", "nobody"}, {"forget", "-reason", "as " + number[1:] + " asked", number}} {
		if code, _, _ := operate(args...); code == exitDone {
			t.Errorf("%q is taken", args)
		}
	}
	for _, want := range []daemon.ForgetAnswer{{Shipments: 3, Kept: 1}, {Kept: 1}} { // a second time nothing is left
		code, out, stderr := operate("forget", "-json", "-reason", "case 7", "0047 98 76 54 32")
		var got daemon.ForgetAnswer
		if err := json.Unmarshal([]byte(out), &got); code != exitDone || err != nil || got != want {
			t.Errorf("exit %d: %s%s, want %+v", code, out, stderr, want)
		}
	}
	if code, out, stderr := operate("forget", "-reason", "case 8", address); code != exitFailed || !strings.Contains(stderr, "run this again after") {
		t.Errorf("a mail under way: exit %d: %s%s", code, out, stderr)
	}
	for _, id := range append(ids, theirs) {
		s, err := w.Client.Shipment(t.Context(), id)
		want := "forgotten"
		if id == theirs {
			want = other
		}
		if err != nil || s.Recipients[0].Destination != want || s.Recipients[0].Status != "SMS_Delivered" {
			t.Errorf("%+v, %v", s, err)
		}
	}
	after := w.Feed()
	for i := range after {
		if s := after[i].Recipients[0].Destination; s == number {
			t.Errorf("entry %+v", after[i])
		}
		after[i].Recipients = before[i].Recipients
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("the feed was %+v, and is %+v", before, after)
	}
	if code, out, _ := operate("forget", "-blocks", "-reason", "case 7", number); code != exitDone || !strings.Contains(out, "1 entry of block lists lifted") {
		t.Errorf("exit %d: %s", code, out)
	}
	if repeated := w.Send("a", number); repeated.ShipmentID != ids[0] {
		t.Error("a key is forgotten: a repeat is another order")
	}
	w.Stop()
	text := string(audited(t, dir))
	if !strings.Contains(text, `"action":"forget"`) || !strings.Contains(text, `"outcome":"messages are under way"`) {
		t.Errorf("the audit: %s", text)
	}
	for what, text := range map[string]string{"log": log.String(), "audit": text} {
		if strings.Contains(text, "98765432") || strings.Contains(strings.ToLower(text), "kanari") {
			t.Errorf("the %s has a recipient", what)
		}
	}
	_ = placed
}
