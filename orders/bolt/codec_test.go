package bolt

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/cost"
	"straks/orders"
	"straks/orders/ledger"
)

// micro cuts a time to what the journal keeps.
func micro(t time.Time) time.Time { return microTime(t.UnixMicro()) }

func sampleShipment() orders.Shipment {
	in := acceptRequest("k")
	in.At = micro(in.At)
	s := orders.Claim(in)
	s.Answer(accepted(s, "message-1"))
	s.Updated, s.Detail = micro(s.Updated), "err:000"
	s.Parts = append(s.Parts, orders.Part{State: orders.PartDelivered, Refs: []string{"a", "b"}, Submitted: time.Unix(1_770_204_789, 0).UTC()}, orders.Part{})
	return s
}

func TestShipmentRecord(t *testing.T) {
	for name, change := range map[string]func(*orders.Shipment){
		"as sent":     func(*orders.Shipment) {},
		"zero times":  func(s *orders.Shipment) { s.Accepted, s.Updated, s.Deadline = microTime(0), microTime(0), microTime(0) },
		"before 1970": func(s *orders.Shipment) { s.Updated = microTime(-1) },
		"far away":    func(s *orders.Shipment) { s.Deadline = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) },
		"in flight": func(s *orders.Shipment) {
			*s = orders.Claim(acceptRequest("k"))
			s.Total = 3
			s.Accepted, s.Updated, s.Deadline, s.ClaimUntil = micro(s.Accepted), micro(s.Updated), micro(s.Deadline), micro(s.ClaimUntil)
		},
		"traced": func(s *orders.Shipment) {
			s.Listed, s.Trace = true, orders.Trace{Bind: "telco/12", Encoding: "gsm", Stored: 1500 * time.Microsecond,
				Slot: 1500 * time.Microsecond, Written: 1520 * time.Microsecond, Answered: 4 * time.Second, Reported: 3 * time.Second}
		},
		"traced, and ended early": func(s *orders.Shipment) {
			s.Trace = orders.Trace{Bind: "telco", Encoding: "martian", Stored: time.Microsecond, Answered: time.Hour, Reported: s.Updated.Sub(s.Accepted)}
		},
		"costly":   func(s *orders.Shipment) { s.Cost = orders.Cost{Parts: 16, Amount: 160_000 * cost.Unit, Class: "+4779"} },
		"free":     func(s *orders.Shipment) { s.Cost = orders.Cost{Parts: 1} },
		"no parts": func(s *orders.Shipment) { s.Parts = nil },
		"e-mail": func(s *orders.Shipment) {
			s.Channel, s.Status, s.Recipient = orders.Email, orders.EmailSucceeded, "å@example.org"
		},
		"empty strings": func(s *orders.Shipment) { s.SendersReference, s.Carrier, s.Detail = "", "", "" },
	} {
		s := sampleShipment()
		change(&s)
		record := encodeShipment(nil, &s, nil)
		got, err := decodeShipment(s.ID, record, false, nil)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", name, got, err, s)
		}
		for n := range record { // cut anywhere
			if _, err := decodeShipment(s.ID, record[:n], false, nil); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: cut at %d: %v", name, n, err)
			}
		}
		if _, err := decodeShipment(s.ID, append(record, 0), false, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: with an octet more: %v", name, err)
		}
	}
}

// Records without what came to them later read as they did.
func TestOlderRecords(t *testing.T) {
	r := delivered("m")
	record := encodeReport(nil, nil, &r, nil)
	record = record[:len(record)-sumSize]
	record[0] = recordVersion
	if got, err := decodeReport(nil, parkedScope.seal(bytes.Clone(record), 0, nil), nil); err != nil || got.Unverified || got.Recipient != "" {
		t.Errorf("%+v, %v", got, err)
	}
	number := encoder{record}
	number.string("4799999999")
	if got, err := decodeReport(nil, parkedScope.seal(number.b, 0, nil), nil); err != nil || !got.Unverified || got.Recipient != "4799999999" {
		t.Errorf("an unverified one: %+v, %v", got, err)
	}
	r.IDs = 2 // of two message ids
	if got, err := decodeReport(nil, encodeReport(nil, nil, &r, nil), nil); err != nil || got.IDs != 2 || got.Unverified {
		t.Errorf("%+v, %v", got, err)
	}
	for _, r := range []orders.Report{
		{Status: orders.SMSDelivered, Recipient: "4799999999", ByRecipient: true, Whole: true},
		{Status: orders.SMSDelivered, Recipient: "4799999999", Echoed: true, Reference: 65535,
			Submitted: time.Unix(1_770_204_780, 0).UTC(), Done: time.Unix(1_770_204_840, 0).UTC()},
	} {
		r.At = microTime(1)
		if got, err := decodeReport(nil, encodeReport(nil, nil, &r, nil), nil); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v, %v, want %+v", got, err, r)
		}
	}
	s := sampleShipment()
	for _, kind := range []string{"b" + string(s.ID[:]) + "\x03", "p" + string(make([]byte, parkedKeySize))} {
		if got, err := refWithoutSum([]byte(kind)); err != nil || string(encodeRef(nil, nil, got)) != string(refScope.seal([]byte(kind), 0, nil)) {
			t.Errorf("%q is %+v, %v", kind, got, err)
		}
	}
}

func TestDetailIsBounded(t *testing.T) {
	s := sampleShipment()
	s.Detail = string(bytes.Repeat([]byte("x"), 10_000))
	if n := len(encodeShipment(nil, &s, nil)); n > 700 {
		t.Fatalf("%d octets", n)
	}
}

// FuzzRecords reads anything as every kind of record; what reads well must be
// the same when written and read again.
func FuzzRecords(f *testing.F) {
	s := sampleShipment()
	report := delivered("m")
	report.Detail = "err:000"
	f.Add(encodeReport(nil, nil, &report, nil))
	report.Echoed, report.Done, report.ByRecipient = true, time.Unix(1_770_204_799, 0).UTC(), true
	report.Recipient, report.Submitted = "4799999999", time.Unix(1_770_204_789, 0).UTC()
	f.Add(encodeShipment(nil, &s, nil))
	f.Add(encodeReport(nil, nil, &report, nil))
	report.IDs = 2
	f.Add(encodeReport(nil, nil, &report, nil))
	f.Add(encodeEntry(nil, 0, nil, entry{s.ID, s.Status, s.Updated}))
	parked := ledger.ParkedID(make([]byte, parkedKeySize))
	bound := ledger.Binding{Shipment: s.ID, Part: 3}
	for _, r := range []ledger.Ref{{Bound: bound}, {Bound: bound, Before: bound}, {Parked: parked}, {Bound: bound, Before: bound, Parked: parked}} {
		f.Add(encodeRef(nil, nil, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		id := s.ID
		payload := b[:max(0, len(b)-sumSize)] // with a sum that is right, so that it is read at all
		sealed := func(sc scope, key []byte) []byte { return sc.seal(bytes.Clone(payload), 0, key) }
		if got, err := decodeShipment(id, sealed(shipmentScope, id[:]), false, nil); err == nil && len(got.Detail) <= maxDetail {
			again, err := decodeShipment(id, encodeShipment(nil, &got, nil), false, nil)
			same(t, got, again, err)
		}
		decodeShipment(uuid.Nil, sealed(shipmentScope, make([]byte, 16)), true, nil)
		if got, err := decodeReport(nil, sealed(parkedScope, nil), nil); err == nil && len(got.Detail) <= maxDetail {
			again, err := decodeReport(nil, encodeReport(nil, nil, &got, nil), nil)
			same(t, got, again, err)
		}
		if got, err := decodeEntry(0, nil, sealed(0, nil)); err == nil {
			again, err := decodeEntry(0, nil, encodeEntry(nil, 0, nil, got))
			same(t, got, again, err)
		}
		if got, err := decodeRef(nil, sealed(refScope, nil)); err == nil {
			again, err := decodeRef(nil, encodeRef(nil, nil, got))
			same(t, got, again, err)
		}
	})
}

func same(t *testing.T, want, got any, err error) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}
