package wire

import (
	"bytes"
	"testing"

	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/v2/smpp/pdu"
)

// TestFieldsAreWhereGoSMPPHasThem compares with an independent reading of the
// standard: names, order and coding of the mandatory fields. In the sample no two
// neighbouring fields are equal.
func TestFieldsAreWhereGoSMPPHasThem(t *testing.T) {
	for id, list := range map[CommandID]pdufield.List{
		BindTransceiver:     pdu.NewBindTransceiver().FieldList(),
		BindTransceiverResp: pdu.NewBindTransceiverResp().FieldList(),
		SubmitSM:            pdu.NewSubmitSM(nil).FieldList(),
		DeliverSM:           pdu.NewDeliverSM().FieldList(),
		SubmitSMResp:        pdu.NewSubmitSMResp().FieldList(),
	} {
		sent, err := Append(nil, Header{ID: id, Sequence: 1}, sample()[id])
		if err != nil {
			t.Fatal(err)
		}
		r := bytes.NewBuffer(sent[HeaderLen:])
		theirs, err := list.Decode(r)
		if err != nil {
			t.Fatalf("%v: %v", id, err)
		}
		// Their fields in their order, followed by our TLVs, are the octets sent.
		var again bytes.Buffer
		for _, name := range list {
			if theirs[name] == nil {
				t.Fatalf("%v: they find no %s", id, name)
			}
			theirs[name].SerializeTo(&again)
		}
		again.Write(r.Bytes())
		if !bytes.Equal(again.Bytes(), sent[HeaderLen:]) {
			t.Errorf("%v: they make of\n%x\n%x", id, sent[HeaderLen:], again.Bytes())
		}
		if id == SubmitSM || id == DeliverSM {
			compareMessage(t, theirs, sample()[id].(*Message))
		}
	}
}

func compareMessage(t *testing.T, theirs pdufield.Map, m *Message) {
	t.Helper()
	for name, want := range map[pdufield.Name]string{
		pdufield.ServiceType: m.ServiceType, pdufield.SourceAddr: m.Source, pdufield.DestinationAddr: m.Dest,
		pdufield.ScheduleDeliveryTime: m.ScheduleDelivery, pdufield.ValidityPeriod: m.Validity,
		pdufield.ShortMessage: string(m.ShortMessage),
	} {
		if got := theirs[name].String(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[pdufield.Name]byte{
		pdufield.SourceAddrTON: m.SourceTON, pdufield.SourceAddrNPI: m.SourceNPI, pdufield.DestAddrTON: m.DestTON,
		pdufield.DestAddrNPI: m.DestNPI, pdufield.ESMClass: m.ESMClass, pdufield.ProtocolID: m.ProtocolID,
		pdufield.PriorityFlag: m.Priority, pdufield.RegisteredDelivery: m.RegisteredDelivery,
		pdufield.ReplaceIfPresentFlag: m.ReplaceIfPresent, pdufield.DataCoding: m.DataCoding,
		pdufield.SMDefaultMsgID: m.DefaultMessageID, pdufield.SMLength: byte(len(m.ShortMessage)),
	} {
		if got := theirs[name].Raw().(byte); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
