package smsctest

import (
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"straks/smpp/wire"
)

// behaving listens with one behaviour for all numbers.
func behaving(t *testing.T, b Behaviour) (*SMSC, *esme) {
	t.Helper()
	s := listen(t, Profile{Behaviour: b})
	return s, transceiver(t, s)
}

// statuses submits n messages and returns the command_status of the responses.
func (e *esme) statuses(n int) []wire.Status {
	e.t.Helper()
	var all []wire.Status
	for range n {
		m := message(number, "x")
		m.RegisteredDelivery = 0
		e.send(wire.SubmitSM, m)
		f, _ := expect[wire.MessageResp](e, wire.SubmitSMResp)
		all = append(all, f.Status)
	}
	return all
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		b    Behaviour
		want []wire.Status
	}{
		{"status", Behaviour{Status: wire.ESMEInvDstAdr}, []wire.Status{wire.ESMEInvDstAdr, wire.ESMEInvDstAdr}},
		{"status, sometimes", Behaviour{Status: wire.ESMEInvDstAdr, StatusOneIn: 1e9}, []wire.Status{0, 0, 0}},
		{"throttle", Behaviour{Throttle: 1}, []wire.Status{wire.ESMEThrottled, wire.ESMEThrottled}},
		{"queue full", Behaviour{QueueFull: 1}, []wire.Status{wire.ESMEMsgQFul, wire.ESMEMsgQFul}},
		{"throttle first", Behaviour{ThrottleFirst: 2}, []wire.Status{wire.ESMEThrottled, wire.ESMEThrottled, 0, wire.ESMEThrottled}},
		{"rate", Behaviour{Rate: 1e-6}, []wire.Status{0, wire.ESMEThrottled, wire.ESMEThrottled}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, e := behaving(t, c.b)
			if got := e.statuses(len(c.want)); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			refused := 0
			for i, sub := range s.Submits() {
				if sub.Status != c.want[i] || sub.Taken() != (sub.MessageID != "") {
					t.Errorf("submit %d: %v, id %q", i, sub.Status, sub.MessageID)
				}
				if !sub.Taken() {
					refused++
				}
			}
			st := s.Stats()
			if st.Throttled+st.Refused != uint64(refused) || st.Submits != uint64(len(c.want)) || st.Receipts != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestChancesRepeatWithTheSeed(t *testing.T) {
	run := func(seed uint64) []wire.Status {
		s := listen(t, Profile{Seed: seed, Behaviour: Behaviour{Throttle: 4}})
		return transceiver(t, s).statuses(200)
	}
	first, again, other := run(1), run(1), run(2)
	if !slices.Equal(first, again) {
		t.Error("the same seed made other choices")
	}
	if slices.Equal(first, other) {
		t.Error("another seed made the same choices")
	}
	n := 0
	for _, status := range first {
		if status == wire.ESMEThrottled {
			n++
		}
	}
	if n < 25 || n > 80 {
		t.Errorf("%d of 200 throttled, want about 50", n)
	}
}

func TestCongestion(t *testing.T) {
	for _, status := range []wire.Status{wire.ESMEOK, wire.ESMEThrottled} {
		_, e := behaving(t, Behaviour{Congestion: 80, Status: status})
		f, resp := e.submit(number, "x")
		if v, _ := wire.Lookup(resp.TLVs, wire.TagCongestionState); f.Status != status || string(v) != "P" {
			t.Errorf("%v, congestion_state %v", f.Status, v)
		}
	}
}

func TestDelay(t *testing.T) {
	const delay = 30 * time.Millisecond
	_, e := behaving(t, Behaviour{Delay: delay})
	start := time.Now()
	e.submit(number, "x")
	if d := time.Since(start); d < delay {
		t.Errorf("answered after %v, want %v at least", d, delay)
	}
}

func TestJitterReorders(t *testing.T) {
	_, e := behaving(t, Behaviour{Jitter: 40 * time.Millisecond, Receipt: Receipt{Missing: 1}})
	got := e.pipeline(40)
	if slices.IsSorted(got) {
		t.Error("all responses came in order")
	}
	slices.Sort(got)
	if got = slices.Compact(got); len(got) != 40 {
		t.Errorf("%d responses", len(got))
	}
}

// pipeline submits n messages at once and returns the sequence numbers of the responses, in
// their order.
func (e *esme) pipeline(n int) []uint32 {
	e.t.Helper()
	for range n {
		e.send(wire.SubmitSM, message(number, "x"))
	}
	var order []uint32
	for range n {
		f, _ := expect[wire.MessageResp](e, wire.SubmitSMResp)
		order = append(order, f.Sequence)
	}
	return order
}

func TestReorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := transceiver(t, listen(t, Profile{Listen: memory.Listen, Behaviour: Behaviour{Reorder: 3, Receipt: Receipt{Missing: 1}}}))
		// Sequence number 1 was the bind's. The last response is sent after holdFor, alone.
		if got := e.pipeline(4); !slices.Equal(got, []uint32{4, 3, 2, 5}) {
			t.Errorf("answered in the order %v", got)
		}
	})
}

func TestLostResponse(t *testing.T) {
	s, e := behaving(t, Behaviour{Lose: 1})
	e.send(wire.SubmitSM, message(number, "x"))
	f, _ := expect[wire.Message](e, wire.DeliverSM)
	e.ack(f, wire.ESMEOK)
	e.send(wire.EnquireLink, nil)
	expect[any](e, wire.EnquireLinkResp) // and no response before it
	if st := s.Stats(); st.Unanswered != 1 || st.Taken != 1 {
		t.Errorf("%+v", st)
	}
}

func TestAnsweredTwice(t *testing.T) {
	_, e := behaving(t, Behaviour{Twice: 1, Receipt: Receipt{Missing: 1}})
	_, first := e.submit(number, "x")
	_, second := expect[wire.MessageResp](e, wire.SubmitSMResp)
	if first.MessageID != second.MessageID {
		t.Errorf("%q, then %q", first.MessageID, second.MessageID)
	}
}

func TestNack(t *testing.T) {
	s, e := behaving(t, Behaviour{Nack: 1})
	seq := e.send(wire.SubmitSM, message(number, "x"))
	if f := e.next(); f.ID != wire.GenericNack || f.Sequence != seq || f.Status != wire.ESMESysErr {
		t.Errorf("%+v", f.Header)
	}
	if st := s.Stats(); st.Taken != 0 || st.Refused != 1 || st.Receipts != 0 {
		t.Errorf("%+v", st)
	}
}

func TestCloseInPlaceOfResponse(t *testing.T) {
	s := listen(t, Profile{})
	p := s.Profile()
	p.On("01", func(b *Behaviour) { b.Close = 1 })
	s.SetProfile(p)
	e := transceiver(t, s)
	e.send(wire.SubmitSM, message("4799999901", "x"))
	e.ended()
	if st := s.Stats(); st.Closed != 1 || st.Unanswered != 1 || st.Taken != 1 {
		t.Errorf("%+v", st)
	}
	// Its receipt waits for the next bind.
	e = transceiver(t, s)
	f, receipt := expect[wire.Message](e, wire.DeliverSM)
	if e.ack(f, wire.ESMEOK); receipt.Source != "4799999901" {
		t.Errorf("receipt from %s", receipt.Source)
	}
}

// silent fails if anything arrives within 50 ms.
func (e *esme) silent() {
	e.t.Helper()
	e.nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if f, err := e.r.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
		e.t.Fatalf("got %v (%v), want silence", f.ID, err)
	}
	e.nc.SetReadDeadline(time.Now().Add(patience))
}

func TestFreezeForEver(t *testing.T) {
	s, e := behaving(t, Behaviour{Freeze: 1})
	e.send(wire.SubmitSM, message(number, "x"))
	e.send(wire.EnquireLink, nil)
	if _, err := s.WaitSubmits(within(t), 1); err != nil {
		t.Fatal(err)
	}
	e.silent()
	if st := s.Stats(); st.Frozen != 1 || st.Enquiries != 0 {
		t.Errorf("%+v", st)
	}
	// Other connections are served.
	other := transceiver(t, s)
	other.send(wire.EnquireLink, nil)
	expect[any](other, wire.EnquireLinkResp)
}

func TestFreezeFor(t *testing.T) {
	const d = 30 * time.Millisecond
	_, e := behaving(t, Behaviour{Freeze: 1, FreezeFor: d, Receipt: Receipt{Missing: 1}})
	start := time.Now()
	e.submit(number, "x")
	if took := time.Since(start); took < d {
		t.Errorf("frozen for %v, want %v at least", took, d)
	}
}

func TestFreezeAll(t *testing.T) {
	s, e := behaving(t, Behaviour{})
	s.Freeze(0)
	e.send(wire.EnquireLink, nil)
	e.silent()
	s.Thaw()
	expect[any](e, wire.EnquireLinkResp)
}

func TestMischief(t *testing.T) {
	frame := func(id wire.CommandID) func(*testing.T, *esme) {
		return func(t *testing.T, e *esme) {
			if f := e.next(); f.ID != id {
				t.Errorf("got %v, want %v", f.ID, id)
			}
		}
	}
	undecodable := func(t *testing.T, e *esme) {
		if _, err := wire.Decode(e.next()); !errors.As(err, new(*wire.DecodeError)) {
			t.Errorf("decoded: %v", err)
		}
	}
	unframed := func(t *testing.T, e *esme) {
		if _, err := e.r.Next(); !errors.As(err, new(*wire.FrameError)) {
			t.Errorf("framed: %v", err)
		}
	}
	for m, check := range map[Mischief]func(*testing.T, *esme){
		Garbage: unframed, BadLength: unframed, HugeLength: unframed,
		UnknownCommand: frame(0x00011111), StrayAnswer: frame(wire.SubmitSMResp), JunkEnquiry: frame(wire.EnquireLink), Alert: frame(wire.AlertNotification),
		BadDeliver: undecodable, BadTLV: undecodable,
	} {
		s, e := behaving(t, Behaviour{Mischief: m, MischiefOneIn: 1, Receipt: Receipt{Missing: 1}})
		e.send(wire.SubmitSM, message(number, "x"))
		check(t, e)
		if m != Garbage && m != BadLength && m != HugeLength {
			frame(wire.SubmitSMResp)(t, e)
		}
		s.Misbehave(m)
		if err := s.Wait(within(t), func(st Stats) bool { return st.Mischiefs == 2 }); err != nil {
			t.Error(err)
		}
	}
}

func TestMessageIDForms(t *testing.T) {
	for f, want := range map[IDForm]string{
		IDDecimal: "170000001", IDHex: "a21fe81", IDHexUpper: "A21FE81", IDDecimalPadded: "000170000001",
		IDHexPadded: "000a21fe81", IDNone: "",
	} {
		if got := f.write(170_000_001); got != want {
			t.Errorf("form %d: %q, want %q", f, got, want)
		}
	}
	if lower, upper := IDUUID.write(1), IDUUIDUpper.write(1); lower != "9e3779b9-7f4a-4c15-8000-000000000001" || upper != "9E3779B9-7F4A-4C15-8000-000000000001" {
		t.Errorf("%s, %s", lower, upper)
	}
}

func TestMessageIDReuse(t *testing.T) {
	_, e := behaving(t, Behaviour{IDReuse: 2, AnswerID: IDHex, Receipt: Receipt{Missing: 1}})
	var ids []string
	for range 3 {
		_, resp := e.submit(number, "x")
		ids = append(ids, resp.MessageID)
	}
	if !slices.Equal(ids, []string{"a21fe81", "a21fe82", "a21fe81"}) {
		t.Errorf("%q", ids)
	}
}

func TestDataSM(t *testing.T) {
	s, e := behaving(t, Behaviour{Receipt: Receipt{Missing: 1}})
	m := message(number, "")
	m.ShortMessage, m.TLVs = nil, []wire.TLV{{Tag: wire.TagMessagePayload, Value: []byte("payload")}}
	e.send(wire.DataSM, m)
	expect[wire.MessageResp](e, wire.DataSMResp)
	if got := s.Submits()[0]; got.Command != wire.DataSM || got.Text() != "payload" {
		t.Errorf("%v %q", got.Command, got.Text())
	}
}
