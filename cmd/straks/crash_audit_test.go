package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/orders/bolt"
	"straks/smpp/smsctest"
)

// readFeed records the whole feed, and compares it with the entries that were read before.
func (b *crashBook) readFeed(t *testing.T, feed []client.FeedEntry) {
	t.Helper()
	if len(b.followed) > len(feed) {
		t.Fatalf("the feed had %d entries, and now %d", len(b.followed), len(feed))
	}
	for i, then := range b.followed {
		if now := feed[i]; !reflect.DeepEqual(now, then) {
			t.Errorf("the feed said %+v, and now %+v", then, now)
		}
	}
	for _, e := range feed {
		o := b.orders[strings.TrimPrefix(e.SendersReference, "ref-")]
		if o == nil || o.shipment != e.ShipmentID || e.Recipients[0].Destination != o.number+o.address {
			t.Errorf("the feed has an unknown shipment: %+v", e)
			continue
		}
		o.fed = append(o.fed, e.Recipients[0].Status)
	}
}

// balance compares the records, and returns how many requests got no answer.
func (b *crashBook) balance(t *testing.T, st smsctest.Stats) (unanswered int) {
	t.Helper()
	ends := map[string]int{}
	for key, o := range b.orders {
		ends[o.status]++
		unanswered += o.unanswered
		if fault := o.fault(); fault != "" {
			t.Errorf("%s: %s: %+v", key, fault, *o)
		}
	}
	t.Logf("%d orders, %d requests unanswered, %v", len(b.orders), unanswered, ends)
	if len(b.strays) > 0 {
		t.Errorf("accepted by SMSC or relay, but never ordered: %v", b.strays)
	}
	if st.Receipts > st.Acked || st.Rejected+st.Dropped > 0 {
		t.Errorf("receipts lost: %+v", st)
	}
	if ends["SMS_Delivered"] == 0 || ends["Email_Delivered"] == 0 {
		t.Error("too little happened to tell anything")
	}
	return unanswered
}

// fault returns what is wrong with an order, empty where nothing is.
func (o *crashOrder) fault() string {
	want := o.end()
	unknown := strings.HasSuffix(o.status, "_Sending")
	switch {
	case o.contradict != "":
		return "told one thing and then another: " + o.contradict
	case o.created > 1 || o.created+o.repeated == 0:
		return "not answered 201 once"
	case o.created == 0 && o.unanswered == 0:
		return "answered 200 to the first request"
	case slices.ContainsFunc(o.timesTaken(), func(n int) bool { return n > 1 }):
		return "sent twice"
	case unknown && o.created > 0 && !o.lossy():
		return "unknown, though its outcome was told"
	case unknown && o.allFinal():
		return "a receipt not applied"
	case unknown && len(o.fed) > 0:
		return "in the feed, though its outcome is unknown"
	case unknown:
		return ""
	case o.status != want:
		return "lost, or a receipt not applied: want " + want
	case !slices.Equal(o.fed, o.way(want)):
		return fmt.Sprintf("not in the feed once for each change: want %v", o.way(want))
	}
	return ""
}

func (o *crashOrder) timesTaken() (times []int) {
	for _, n := range o.taken {
		times = append(times, n)
	}
	return times
}

// lossy reports whether the carrier may not answer the order.
func (o *crashOrder) lossy() bool {
	return strings.HasSuffix(o.number, crashLossy) || strings.HasPrefix(o.address, "lost")
}

// allFinal reports whether the SMSC has made a final receipt for each part.
func (o *crashOrder) allFinal() bool {
	if o.address != "" { // the relay has reported what it took
		return len(o.taken) > 0 && !strings.HasPrefix(o.address, "silent")
	}
	return len(o.final) == o.parts
}

// end returns the status that an order with a known outcome must have, by what its
// carrier did.
func (o *crashOrder) end() string {
	states := map[string]int{}
	for _, state := range o.final {
		states[state]++
	}
	switch {
	case strings.HasPrefix(o.address, "nosuch"):
		return "Email_Failed_RecipientNotIdentified"
	case strings.HasSuffix(o.number, crashRefused):
		return "SMS_Failed_InvalidRecipient"
	case states["UNDELIV"] > 0: // one part is enough, also where the others did not leave before a kill
		return "SMS_Failed_Undelivered"
	case len(o.taken) < o.parts:
		return "none: it was not taken whole"
	case strings.HasPrefix(o.address, "silent"):
		return "Email_Succeeded"
	case strings.HasPrefix(o.address, "full"):
		return "Email_Failed_Bounced"
	case o.address != "":
		return "Email_Delivered"
	case states["DELIVRD"] == o.parts:
		return "SMS_Delivered"
	}
	return "SMS_Accepted"
}

// way returns the statuses that the feed must have of an order up to its end.
func (o *crashOrder) way(end string) []string {
	// Where the SMSC's answer is lost, or came to a daemon that was killed, the receipt alone shows
	// that it was accepted.
	straight := (o.lossy() || o.unanswered > 0) && len(o.fed) == 1
	switch {
	case end == "SMS_Accepted" || end == "SMS_Failed_InvalidRecipient" || end == "Email_Succeeded" || end == "Email_Failed_RecipientNotIdentified":
		return []string{end}
	case o.address == "" && straight:
		return []string{end}
	case o.address == "":
		return []string{"SMS_Accepted", end}
	}
	way := []string{"Email_Succeeded", "Email_Delivered", end}
	if end == "Email_Delivered" {
		way = way[:2]
	}
	if len(o.fed) > 0 && o.fed[0] == "Email_Delivered" { // the report overtook the relay's answer, or that was lost
		way = way[1:]
	}
	return way
}

// auditJournal opens the journal of the dead daemon, checks its invariants, and compares
// its shipments and parked receipts with the other records.
func (b *crashBook) auditJournal(t *testing.T, path string) {
	t.Helper()
	daemontest.CheckJournal(t, path)
	j, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	fed := 0
	for _, o := range b.orders {
		s, err := j.Shipment(t.Context(), "ttd", uuid.MustParse(o.shipment))
		if err != nil || s.Status.String() != o.status {
			t.Errorf("%s: %s, and in the journal %v, %v", o.key, o.status, s.Status, err)
		}
		if s.Organisation != "ttd" || s.SendersReference != "ref-"+o.key || string(s.Recipient) != o.number+o.address {
			t.Errorf("%s: in the journal it is %+v", o.key, s)
		}
		fed += len(o.fed)
	}
	st, err := j.Stats(t.Context())
	// A mail that was repeated long after it had got 503 has left a shipment that was not sent, and has another one.
	if err != nil || st.Shipments < len(b.orders) || st.Parked != 0 || st.FeedEntries != uint64(fed) {
		t.Errorf("%d orders with %d entries in the feed and no parked receipts; in the journal %+v, %v", len(b.orders), fed, st, err)
	}
}
