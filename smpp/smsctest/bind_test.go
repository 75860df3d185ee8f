package smsctest

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"straks/smpp/wire"
)

func TestBindIsRefused(t *testing.T) {
	accounts := map[string]string{"test": "secret", "open": ""}
	for _, c := range []struct {
		name string
		p    Profile
		bind wire.Bind
		want wire.Status
	}{
		{"right", Profile{Accounts: accounts}, wire.Bind{SystemID: "test", Password: "secret"}, wire.ESMEOK},
		{"wrong password", Profile{Accounts: accounts}, wire.Bind{SystemID: "test", Password: "Secret"}, wire.ESMEInvPaswd},
		{"password not checked", Profile{Accounts: accounts}, wire.Bind{SystemID: "open", Password: "x"}, wire.ESMEOK},
		{"unknown", Profile{Accounts: accounts}, wire.Bind{SystemID: "other"}, wire.ESMEInvSysID},
		{"any account", Profile{}, wire.Bind{SystemID: "other"}, wire.ESMEOK},
		{"refused", Profile{BindStatus: wire.ESMEBindFail}, wire.Bind{SystemID: "test"}, wire.ESMEBindFail},
		{"later", Profile{BindDelay: time.Millisecond}, wire.Bind{SystemID: "test"}, wire.ESMEOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := listen(t, c.p)
			e := dial(t, s)
			e.send(wire.BindTransceiver, &c.bind)
			if f := e.next(); f.ID != wire.BindTransceiverResp || f.Status != c.want {
				t.Errorf("%v %v, want %v", f.ID, f.Status, c.want)
			}
			e.send(wire.SubmitSM, message(number, "x"))
			if f := e.next(); (f.Status == wire.ESMEInvBndSts) != (c.want != wire.ESMEOK) {
				t.Errorf("submit: %v", f.Status)
			}
		})
	}
}

func TestBindStates(t *testing.T) {
	s := listen(t, Profile{ChattyBind: true})
	e := dial(t, s)
	e.send(wire.SubmitSM, message(number, "x"))
	if f := e.next(); f.Status != wire.ESMEInvBndSts {
		t.Errorf("submit before the bind: %v", f.Status)
	}
	e.send(wire.BindReceiver, &wire.Bind{SystemID: "test"})
	expect[any](e, wire.EnquireLink) // before the response
	expect[wire.BindResp](e, wire.BindReceiverResp)
	e.send(wire.SubmitSM, message(number, "x"))
	if f := e.next(); f.Status != wire.ESMEInvBndSts {
		t.Errorf("submit over a receiver: %v", f.Status)
	}
	e.send(wire.BindTransceiver, &wire.Bind{SystemID: "test"})
	expect[any](e, wire.EnquireLink)
	if f := e.next(); f.Status != wire.ESMEAlyBnd {
		t.Errorf("second bind: %v", f.Status)
	}
	if b := s.Binds(); len(b) != 1 || b[0].Kind != wire.BindReceiver || b[0].SystemID != "test" {
		t.Errorf("%+v", b)
	}
}

func TestUnbindFromESME(t *testing.T) {
	s := listen(t, Profile{})
	e := transceiver(t, s)
	e.send(wire.Unbind, nil)
	expect[any](e, wire.UnbindResp)
	e.ended()
	waitBinds(t, s, 0)
}

func TestUnbindFromSMSC(t *testing.T) {
	s := listen(t, Profile{})
	e := transceiver(t, s)
	waitBinds(t, s, 1)
	s.Unbind()
	f, _ := expect[any](e, wire.Unbind)
	e.write(wire.Header{ID: wire.UnbindResp, Sequence: f.Sequence}, nil)
	e.ended()
	waitBinds(t, s, 0)
	if s.Stats().UnbindAnswers != 1 {
		t.Errorf("%+v", s.Stats())
	}
}

func waitBinds(t *testing.T, s *SMSC, n uint64) {
	t.Helper()
	if err := s.Wait(within(t), func(st Stats) bool { return st.BindsNow == n }); err != nil {
		t.Fatal(err)
	}
}

func TestEnquireLinkFromSMSC(t *testing.T) {
	s := listen(t, Profile{Enquire: time.Millisecond})
	e := transceiver(t, s)
	for range 3 {
		f, _ := expect[any](e, wire.EnquireLink)
		e.write(wire.Header{ID: wire.EnquireLinkResp, Sequence: f.Sequence}, nil)
	}
	if err := s.Wait(within(t), func(st Stats) bool { return st.EnquiryAnswers == 3 }); err != nil {
		t.Error(err)
	}
}

// TestDeadBind: a bind that sends nothing is closed, and its place in the account is another's.
func TestDeadBind(t *testing.T) {
	s := listen(t, Profile{MaxBinds: 1, DeadAfter: 50 * time.Millisecond})
	transceiver(t, s).ended()
	if err := s.Wait(within(t), func(st Stats) bool { return st.BindsNow == 0 }); err != nil {
		t.Fatal(err)
	}
	transceiver(t, s)
	lives := listen(t, Profile{DeadAfter: time.Hour})
	e := transceiver(t, lives)
	e.send(wire.EnquireLink, nil)
	expect[any](e, wire.EnquireLinkResp)
}

func TestInvalidPDUs(t *testing.T) {
	s := listen(t, Profile{})
	for _, c := range []struct {
		name     string
		octets   []byte
		response wire.CommandID
		status   wire.Status
		ends     bool
	}{
		{"garbage", []byte("GET / HTTP/1.1\r\n\r\n"), wire.GenericNack, wire.ESMEInvCmdLen, true},
		{"short length", rawPDU(15, wire.SubmitSM, 9, nil), wire.GenericNack, wire.ESMEInvCmdLen, true},
		{"unknown command", rawPDU(0, 0x00011111, 9, nil), wire.GenericNack, wire.ESMEInvCmdID, false},
		{"query_sm", rawPDU(0, wire.QuerySM, 9, []byte("1\x00\x00\x00\x00")), wire.QuerySMResp, wire.ESMEInvCmdID, false},
		{"cut submit_sm", rawPDU(0, wire.SubmitSM, 9, []byte("\x00\x01")), wire.SubmitSMResp, wire.ESMEInvCmdLen, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := transceiver(t, s)
			e.nc.Write(c.octets)
			if f := e.next(); f.ID != c.response || f.Status != c.status {
				t.Errorf("%v %v, want %v %v", f.ID, f.Status, c.response, c.status)
			}
			if c.ends {
				e.ended()
				return
			}
			e.send(wire.EnquireLink, nil)
			expect[any](e, wire.EnquireLinkResp)
		})
	}
}

func TestOutage(t *testing.T) {
	s := listen(t, Profile{})
	for range 3 {
		e := transceiver(t, s)
		s.Down()
		e.ended()
		if nc, err := net.Dial("tcp", s.Addr()); err == nil {
			nc.Close()
			t.Fatal("accepted during an outage")
		}
		if err := s.Up(); err != nil {
			t.Fatal(err)
		}
	}
	s.Outage(time.Millisecond)
	for ctx := within(t); ; {
		nc, err := net.Dial("tcp", s.Addr())
		if err == nil {
			nc.Close()
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	transceiver(t, s)
}

func TestDrop(t *testing.T) {
	s := listen(t, Profile{})
	e := transceiver(t, s)
	s.Drop()
	e.ended()
	transceiver(t, s)
}

func TestMaxConnections(t *testing.T) {
	s := listen(t, Profile{MaxConnections: 2})
	transceiver(t, s)
	second := transceiver(t, s)
	third := dial(t, s)
	third.ended()
	second.nc.Close()
	if err := s.Wait(within(t), func(st Stats) bool { return st.ConnectionsNow == 1 }); err != nil {
		t.Fatal(err)
	}
	transceiver(t, s)
}

func TestFrozenConnectionIsEvicted(t *testing.T) {
	s := listen(t, Profile{MaxConnections: 2, Behaviour: Behaviour{Freeze: 1}})
	for range 2 {
		e := transceiver(t, s)
		e.send(wire.SubmitSM, message(number, "x"))
		e.nc.(*net.TCPConn).CloseWrite()
	}
	if err := s.Wait(within(t), func(st Stats) bool { return st.Frozen == 2 }); err != nil {
		t.Fatal(err)
	}
	dial(t, s).ended() // refused, but it evicts the oldest
	if err := s.Wait(within(t), func(st Stats) bool { return st.ConnectionsNow == 1 }); err != nil {
		t.Fatal(err)
	}
	transceiver(t, s)
}

func TestTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	s := listen(t, Profile{TLS: certified.TLS})
	pool := certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	nc, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: pool, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	e := &esme{t: t, nc: nc, r: wire.NewReader(nc)}
	e.send(wire.BindTransceiver, &wire.Bind{SystemID: "test"})
	expect[wire.BindResp](e, wire.BindTransceiverResp)
	e.submit(number, "x")
}

func TestManyBinds(t *testing.T) {
	const binds, each = 40, 25
	s := listen(t, Profile{Window: 5, Behaviour: Behaviour{Jitter: 2 * time.Millisecond, Receipt: Receipt{Jitter: 2 * time.Millisecond}}})
	var wg sync.WaitGroup
	for range binds {
		e := transceiver(t, s)
		wg.Go(func() { e.chat(each) })
	}
	err := s.Wait(within(t), func(st Stats) bool { return st.Acked == binds*each && st.WaitingNow == 0 })
	s.Drop()
	wg.Wait()
	if st := s.Stats(); err != nil || st.Taken != binds*each || st.Redelivered+st.WaitingNow+st.Dropped > 0 {
		t.Errorf("%v: %+v", err, st)
	}
	ids := map[string]bool{}
	for _, sub := range s.Submits() {
		ids[sub.MessageID] = true
	}
	if len(ids) != binds*each {
		t.Errorf("%d message ids", len(ids))
	}
}

// chat submits n messages and acknowledges every deliver_sm until the connection ends.
func (e *esme) chat(n int) {
	for range n {
		b, _ := wire.Append(nil, wire.Header{ID: wire.SubmitSM, Sequence: e.seq + 1}, message(number, "x"))
		e.seq++
		e.nc.Write(b)
	}
	for {
		f, err := e.r.Next()
		if err != nil {
			return
		}
		if f.ID == wire.DeliverSM {
			b, _ := wire.Append(nil, wire.Header{ID: wire.DeliverSMResp, Sequence: f.Sequence}, &wire.MessageResp{})
			e.nc.Write(b)
		}
	}
}

// TestMaxBinds: one bind more than the account may have is refused, in each direction, until another has gone.
func TestMaxBinds(t *testing.T) {
	s := listen(t, Profile{MaxBinds: 1, BindsFull: wire.ESMEBindFail})
	first := bound(t, s, wire.BindTransmitter)
	bound(t, s, wire.BindReceiver)
	status := func(kind wire.CommandID, systemID string) wire.Status {
		e := dial(t, s)
		e.send(kind, &wire.Bind{SystemID: systemID})
		return e.next().Status
	}
	for _, kind := range []wire.CommandID{wire.BindTransmitter, wire.BindReceiver, wire.BindTransceiver} {
		if got := status(kind, "test"); got != wire.ESMEBindFail {
			t.Errorf("one %v too many: %v", kind, got)
		}
	}
	if got := status(wire.BindTransceiver, "other"); got != wire.ESMEOK {
		t.Errorf("another account: %v", got)
	}
	first.send(wire.Unbind, nil)
	expect[any](first, wire.UnbindResp)
	first.ended()
	if err := s.Wait(within(t), func(st Stats) bool { return st.Unbinds == 1 && st.BindsNow == 2 }); err != nil {
		t.Fatal(err)
	}
	bound(t, s, wire.BindTransmitter)
}
