package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// sample returns one body of each kind by its command. Every field has a value that differs
// from its neighbours'.
func sample() map[CommandID]any {
	message := func() *Message {
		return &Message{
			ServiceType: "CMT", SourceTON: 5, SourceNPI: 0, Source: "Straks",
			DestTON: 2, DestNPI: 1, Dest: "4799999999", ESMClass: 0x40, ProtocolID: 7, Priority: 2,
			ScheduleDelivery: "260204113309000+", Validity: "000000000500000R", RegisteredDelivery: 2,
			ReplaceIfPresent: 1, DataCoding: 8, DefaultMessageID: 3, ShortMessage: []byte("\x05\x00\x03\x07\x02\x01hei\x00"),
			TLVs: []TLV{ShortTLV(TagUserMessageReference, 0x1234), OctetTLV(0x1400, 9), OctetTLV(0x1400, 8)},
		}
	}
	data := &Message{
		ServiceType: "CMT", SourceTON: 1, SourceNPI: 1, Source: strings.Repeat("4", 64), DestTON: 2, DestNPI: 8, Dest: "1",
		ESMClass: 4, RegisteredDelivery: 2, DataCoding: 3,
		TLVs: []TLV{{Tag: TagMessagePayload, Value: bytes.Repeat([]byte("x"), 65535)}},
	}
	bind := &Bind{SystemID: "straks", Password: "hemmelig", SystemType: "t", InterfaceVersion: 0x34, AddrTON: 1, AddrNPI: 3, AddressRange: "^47"}
	resp := &BindResp{SystemID: "smsc", TLVs: []TLV{OctetTLV(TagSCInterfaceVersion, 0x34)}}
	id := &MessageResp{MessageID: "7f3a", TLVs: []TLV{OctetTLV(TagCongestionState, 80)}}
	return map[CommandID]any{
		SubmitSM: message(), DeliverSM: message(), DataSM: data,
		SubmitSMResp: id, DeliverSMResp: &MessageResp{}, DataSMResp: id,
		BindTransceiver: bind, BindTransmitter: bind, BindReceiver: bind,
		BindTransceiverResp: resp, BindTransmitterResp: resp, BindReceiverResp: resp,
		EnquireLink: nil, EnquireLinkResp: nil, Unbind: nil, UnbindResp: nil, GenericNack: nil,
	}
}

func TestRoundTrip(t *testing.T) {
	var stream []byte
	var order []CommandID
	all := sample()
	for id, body := range all {
		var err error
		if stream, err = Append(stream, Header{ID: id, Status: ESMEOK, Sequence: uint32(len(order) + 1)}, body); err != nil {
			t.Fatalf("%v: %v", id, err)
		}
		order = append(order, id)
	}
	r := NewReader(bytes.NewReader(stream))
	for i, id := range order {
		f, err := r.Next()
		if err != nil || f.ID != id || f.Sequence != uint32(i+1) {
			t.Fatalf("frame %d: %v %v, %v; want %v", i, f.ID, f.Sequence, err, id)
		}
		got, err := Decode(f)
		if err != nil || !reflect.DeepEqual(got, all[id]) {
			t.Errorf("%v: got %+v, %v; want %+v", id, got, err, all[id])
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("after the last frame: %v, want io.EOF", err)
	}
}

// The octets of a submit_sm, laid out by hand from SMPP 3.4 §4.4.1.
func TestSubmitSMOctets(t *testing.T) {
	m := &Message{SourceTON: 5, Source: "AB", DestTON: 1, DestNPI: 1, Dest: "47", Validity: "000000000500000R",
		RegisteredDelivery: 1, ShortMessage: []byte("hi"), TLVs: []TLV{ShortTLV(TagUserMessageReference, 258)}}
	got, err := Append(nil, Header{ID: SubmitSM, Sequence: 9}, m)
	if err != nil {
		t.Fatal(err)
	}
	want := "0000003d" + "00000004" + "00000000" + "00000009" +
		"00" + "05" + "00" + "414200" + "01" + "01" + "343700" + "00" + "00" + "00" + "00" +
		hex.EncodeToString([]byte("000000000500000R")) + "00" + "01" + "00" + "00" + "00" + "02" + "6869" +
		"0204" + "0002" + "0102"
	if hex.EncodeToString(got) != want {
		t.Errorf("got  %x\nwant %s", got, want)
	}
}

func TestAppendChecksEveryField(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Message)
		want   Status
	}{
		{"NUL in the destination", func(m *Message) { m.Dest = "47900\x00\x40" }, ESMEInvDstAdr},
		{"long destination", func(m *Message) { m.Dest = strings.Repeat("4", 21) }, ESMEInvDstAdr},
		{"long source", func(m *Message) { m.Source = strings.Repeat("4", 21) }, ESMEInvSrcAdr},
		{"ton", func(m *Message) { m.SourceTON = 7 }, ESMEInvSrcTON},
		{"npi", func(m *Message) { m.DestNPI = 2 }, ESMEInvDstNPI},
		{"service type", func(m *Message) { m.ServiceType = "123456" }, ESMEInvSerTyp},
		{"priority", func(m *Message) { m.Priority = 4 }, ESMEInvPrtFlg},
		{"validity", func(m *Message) { m.Validity = "5 minutes" }, ESMEInvExpiry},
		{"schedule", func(m *Message) { m.ScheduleDelivery = "26020411330900x+" }, ESMEInvSched},
		{"registered", func(m *Message) { m.RegisteredDelivery = 0x20 }, ESMEInvRegDlvFlg},
		{"replace", func(m *Message) { m.ReplaceIfPresent = 2 }, ESMEInvRepFlag},
		{"300 octets", func(m *Message) { m.ShortMessage = make([]byte, 300) }, ESMEInvMsgLen},
		{"payload twice", func(m *Message) { m.TLVs = []TLV{{Tag: TagMessagePayload, Value: []byte("x")}} }, ESMEInvMsgLen},
		{"TLV width", func(m *Message) { m.TLVs = []TLV{OctetTLV(TagSARMsgRefNum, 1)} }, ESMEInvParLen},
		{"TLV too long", func(m *Message) { m.TLVs = []TLV{{Tag: 0x1400, Value: make([]byte, 65536)}} }, ESMEInvParLen},
		{"frame too long", func(m *Message) {
			m.TLVs = []TLV{{Tag: 0x1400, Value: make([]byte, 40000)}, {Tag: 0x1401, Value: make([]byte, 40000)}}
		}, ESMEInvCmdLen},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := sample()[SubmitSM].(*Message)
			tt.change(m)
			out, err := Append([]byte("before"), Header{ID: SubmitSM, Sequence: 1}, m)
			var fault *FieldError
			if !errors.As(err, &fault) || fault.Status != tt.want || string(out) != "before" {
				t.Errorf("got %q, %v; want %v", out, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), m.Dest) {
				t.Errorf("the error contains the number: %v", err)
			}
		})
	}
	for id, body := range map[CommandID]any{SubmitSM: nil, EnquireLink: &Message{}, DeliverSM: &Bind{}, SubmitSMResp: nil} {
		if _, err := Append(nil, Header{ID: id}, body); err == nil {
			t.Errorf("%v took a body of type %T", id, body)
		}
	}
}

func TestDecodeIsTolerant(t *testing.T) {
	tests := []struct {
		name string
		f    Frame
		want any
	}{
		{"junk after enquire_link_resp", Frame{Header{ID: EnquireLinkResp}, []byte("junk\x00\xff")}, nil},
		{"response without a body", Frame{Header{ID: SubmitSMResp, Status: ESMEThrottled}, nil}, &MessageResp{}},
		{"message_id without NUL", Frame{Header{ID: SubmitSMResp}, []byte("abc")}, &MessageResp{MessageID: "abc"}},
		{"refused bind with nothing", Frame{Header{ID: BindTransceiverResp, Status: ESMEInvPaswd}, nil}, &BindResp{}},
		{"padding after the message_id", Frame{Header{ID: SubmitSMResp}, []byte("abc\x00\x00\x00")}, &MessageResp{MessageID: "abc"}},
	}
	for _, tt := range tests {
		if got, err := Decode(tt.f); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %v", tt.name, got, err)
		}
	}
}

// Every truncated deliver_sm either decodes or has an error with the status to answer
// with. None gives a message with fields missing.
func TestDecodeShortPDUs(t *testing.T) {
	m := sample()[DeliverSM].(*Message)
	whole, err := Append(nil, Header{ID: DeliverSM, Sequence: 1}, m)
	if err != nil {
		t.Fatal(err)
	}
	mandatory := len(whole) - HeaderLen - len(appendTLVs(nil, m.TLVs))
	for n := range len(whole) - HeaderLen {
		got, err := Decode(Frame{Header{ID: DeliverSM}, whole[HeaderLen : HeaderLen+n]})
		var fault *DecodeError
		if n < mandatory && (got != nil || !errors.As(err, &fault) || fault.Status == ESMEOK) {
			t.Errorf("%d octets: got %+v, %v", n, got, err)
		}
	}
}

func TestBrokenTLVsLeaveTheMessageID(t *testing.T) {
	got, err := Decode(Frame{Header{ID: SubmitSMResp}, []byte("abc\x00\x04\x28\x00\x01\x50\x14\x00\xff\xff")})
	var fault *DecodeError
	if !errors.As(err, &fault) || fault.Status != ESMEInvOptParStream {
		t.Errorf("got %v, want ESME_RINVOPTPARSTREAM", err)
	}
	if r, ok := got.(*MessageResp); !ok || r.MessageID != "abc" || len(r.TLVs) != 1 {
		t.Errorf("got %+v, want message_id abc and congestion_state", got)
	}
}

func TestReaderRefusesImpossibleLengths(t *testing.T) {
	for _, n := range []byte{0, 15} {
		var fault *FrameError
		_, err := NewReader(bytes.NewReader([]byte{0, 0, 0, n, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7})).Next()
		if !errors.As(err, &fault) || fault.Header.Sequence != 7 {
			t.Errorf("length %d: %v", n, err)
		}
	}
	var fault *FrameError
	_, err := NewReader(strings.NewReader("GET / HTTP/1.1\r\n\r\n")).Next()
	if !errors.As(err, &fault) {
		t.Errorf("HTTP: %v", err)
	}
	if _, err = NewReader(bytes.NewReader([]byte{0, 0, 0, 20, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7, 1})).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut short: %v", err)
	}
}

func TestStatuses(t *testing.T) {
	all := Statuses()
	if len(all) != 48 { // the rows of SMPP 3.4 §5.1.3 that have a name
		t.Errorf("%d statuses", len(all))
	}
	for s, name := range all {
		if s.String() != name || !strings.HasPrefix(name, "ESME_R") {
			t.Errorf("0x%X is %v, %s", uint32(s), s, name)
		}
	}
	delete(all, ESMEOK)
	if ESMEOK.String() != "ESME_ROK" {
		t.Error("the table is not a copy")
	}
}

func TestCString(t *testing.T) {
	for in, want := range map[string]string{"": "", "\x00": "", "ab\x00": "ab", "ab": "ab", "ab\x00c": "ab"} {
		if got := CString([]byte(in)); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for want, got := range map[string]string{
		"submit_sm_resp": SubmitSMResp.String(), "generic_nack": GenericNack.String(), "0x8000000B": (Outbind | responseBit).String(),
		"0x00000099": CommandID(0x99).String(), "ESME_RTHROTTLED": ESMEThrottled.String(), "0x00000400": Status(0x400).String(),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for id, want := range map[CommandID]CommandID{SubmitSM: SubmitSMResp, AlertNotification: GenericNack, 0x99: GenericNack, QuerySM: QuerySMResp, GenericNack: GenericNack} {
		if id.Response() != want {
			t.Errorf("the response to %v is %v, want %v", id, id.Response(), want)
		}
	}
}
