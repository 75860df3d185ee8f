package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

const (
	forgottenNumber = "+4798765432"
	otherNumber     = "+4790000001"
)

// echoing is a carrier whose receipts bear our user reference, which has the recipient in it.
func echoing() (p smsctest.Profile) {
	p.Receipt.EchoReference = true
	return p
}

// sentTo are messages to a person, and to another one.
type sentTo struct{ person, other []client.Placed }

// send sends n more messages to each, and waits for their receipts.
func (s *sentTo) send(t *testing.T, c *client.Client, round, n int) {
	t.Helper()
	for i := range n {
		for number, all := range map[string]*[]client.Placed{forgottenNumber: &s.person, otherNumber: &s.other} {
			placed, err := insist(t, c, daemontest.SMS(fmt.Sprint(number, round, i), number))
			if err != nil {
				t.Fatal(err)
			}
			*all = append(*all, placed)
		}
	}
	for _, p := range append(s.person[len(s.person)-n:], s.other[len(s.other)-n:]...) {
		eventually.True(t, "the receipt", func() bool {
			got, err := c.Shipment(t.Context(), p.ShipmentID)
			return err == nil && got.Recipients[0].Status == "SMS_Delivered"
		})
	}
}

// forgetUntilKilled forgets the person while the daemon is killed, at a random moment of it.
func forgetUntilKilled(t *testing.T, p *process) {
	t.Helper()
	began, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		close(began)
		straks(t, "", "forget", "-reason", "case 7", "-admin", p.admin, forgottenNumber) // it may fail: it is repeated
	}()
	<-began
	time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond) // the moment of the kill
	if err := p.kill(); err != nil {
		t.Error(err)
	}
	<-ended
}

// whole: nothing of the person is left, and nothing of the other one is lost.
func (s *sentTo) whole(t *testing.T, c *client.Client) {
	t.Helper()
	for number, all := range map[string][]client.Placed{"forgotten": s.person, otherNumber: s.other} {
		for _, p := range all {
			got, err := c.Shipment(t.Context(), p.ShipmentID)
			if err != nil || got.Recipients[0].Destination != number || got.Recipients[0].Status != "SMS_Delivered" {
				t.Errorf("%+v, %v, want to %s", got, err, number)
			}
		}
	}
	shipments := make(map[string][]string)
	for seq := uint64(0); ; {
		page, err := c.Feed(t.Context(), client.FeedQuery{Seq: seq})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			if e.SequenceNumber <= seq {
				t.Fatalf("entry %d follows %d", e.SequenceNumber, seq)
			}
			seq = e.SequenceNumber
			shipments[e.ShipmentID] = append(shipments[e.ShipmentID], e.Recipients[0].Status)
		}
	}
	for _, p := range append(append([]client.Placed{}, s.person...), s.other...) {
		if got := fmt.Sprint(shipments[p.ShipmentID]); got != "[SMS_Delivered]" {
			t.Errorf("the feed has %s of %s", got, p.ShipmentID)
		}
	}
}

// forgetAll forgets the person, to the end.
func forgetAll(t *testing.T, p *process) {
	t.Helper()
	if code, out, stderr := straks(t, "", "forget", "-reason", "case 7", "-admin", p.admin, forgottenNumber); code != exitDone {
		t.Errorf("exit %d: %s%s\n%s", code, out, stderr, p.log.String())
	}
}

// TestCrashForget kills the daemon at random moments while a person is forgotten. After a repeat nothing of the person is
// left, in the file neither, and nothing else is lost.
func TestCrashForget(t *testing.T) {
	t.Parallel()
	w := daemontest.NewStopped(t, echoing(), relaytest.Profile{}, "")
	var sent sentTo
	for round := range 5 {
		p := startProcess(w)
		eventually.True(t, "the daemon to be ready", func() bool { return p.ready() == "" })
		sent.send(t, w.ClientAt(p.api), round, 10)
		forgetUntilKilled(t, p)
		daemontest.CheckJournal(t, w.JournalFile())
	}
	p := startProcess(w)
	forgetAll(t, p)
	sent.whole(t, w.ClientAt(p.api))
	p.stop(t)
	daemontest.CheckJournal(t, w.JournalFile())
	if code, _, stderr := straks(t, "", "journal", "compact", "-config", w.ConfigFile()); code != exitDone {
		t.Fatal(stderr)
	}
	text, err := os.ReadFile(w.JournalFile())
	if err != nil || bytes.Contains(text, []byte(forgottenNumber[1:])) || !bytes.Contains(text, []byte(otherNumber[1:])) {
		t.Errorf("the compacted file has the person, or not the other one; %v", err)
	}
}

// TestCrashForgetOfNodes: the same with two nodes, where the one that forgets is killed. The other one does it again.
func TestCrashForgetOfNodes(t *testing.T) {
	cluster, a, b := twoNodes(t)
	a.start()
	var sent sentTo
	for round := range 4 {
		b.start()
		sent.send(t, b.client, round, 10)
		forgetUntilKilled(t, b.process)
	}
	forgetAll(t, a.process)
	sent.whole(t, a.client)
	a.stop(t)
	for table, column := range map[string]string{"shipments": "record", "parked": "record", "blocked": "record", "unanswered": "number::bytea"} {
		count := func(number string) string {
			n, err := cluster.Servers[0].SQL(t.Context(), fmt.Sprintf("select count(*) from straks.%s where position(convert_to('%s', 'UTF8') in %s) > 0", table, number[1:], column))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := count(forgottenNumber); n != "0" {
			t.Errorf("%s rows of %s have the person", n, table)
		}
		if n := count(otherNumber); table == "shipments" && n != fmt.Sprint(len(sent.other)) {
			t.Errorf("%s rows have the other one, of %d", n, len(sent.other))
		}
	}
	if code, _, stderr := straks(t, "", "journal", "check", "-config", a.ConfigFile()); code != exitDone {
		t.Error(stderr)
	}
}
