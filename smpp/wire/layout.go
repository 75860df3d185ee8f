package wire

import (
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/v2/smpp/pdu"
)

// The mandatory fields of each body, in order. Where go-smpp knows the PDU the
// list is its own.
var (
	bindFields        = pdu.NewBindTransceiver().FieldList()
	bindRespFields    = pdu.NewBindTransceiverResp().FieldList()
	messageFields     = pdu.NewSubmitSM(nil).FieldList() // deliver_sm's are the same
	messageRespFields = pdu.NewSubmitSMResp().FieldList()

	dataFields = pdufield.List{ // SMPP 3.4 §4.7.1
		pdufield.ServiceType,
		pdufield.SourceAddrTON, pdufield.SourceAddrNPI, pdufield.SourceAddr,
		pdufield.DestAddrTON, pdufield.DestAddrNPI, pdufield.DestinationAddr,
		pdufield.ESMClass, pdufield.RegisteredDelivery, pdufield.DataCoding,
	}
	alertFields = pdufield.List{ // §4.12.1; the second address is esme_addr
		pdufield.SourceAddrTON, pdufield.SourceAddrNPI, pdufield.SourceAddr,
		pdufield.DestAddrTON, pdufield.DestAddrNPI, pdufield.DestinationAddr,
	}
	outbindFields = pdufield.List{pdufield.SystemID, pdufield.Password} // §4.1.7
)

// body is a set of mandatory fields in go-smpp's form.
type body struct{ pdufield.Map }

func (b body) octet(name pdufield.Name) byte {
	if f, ok := b.Map[name].(*pdufield.Fixed); ok {
		return f.Data
	}
	return 0
}

func (b body) text(name pdufield.Name) string {
	if f, ok := b.Map[name].(*pdufield.Variable); ok {
		return f.String()
	}
	return ""
}

func (b body) setOctet(name pdufield.Name, v byte) { b.Map[name] = &pdufield.Fixed{Data: v} }

// setText spares pdufield.Map.Set's detour over interface types.
func (b body) setText(name pdufield.Name, s string) {
	b.Map[name] = &pdufield.Variable{Data: []byte(s)}
}

func (m *Message) fields() body {
	b := body{make(pdufield.Map, len(messageFields))}
	b.setText(pdufield.ServiceType, m.ServiceType)
	b.setOctet(pdufield.SourceAddrTON, m.SourceTON)
	b.setOctet(pdufield.SourceAddrNPI, m.SourceNPI)
	b.setText(pdufield.SourceAddr, m.Source)
	b.setOctet(pdufield.DestAddrTON, m.DestTON)
	b.setOctet(pdufield.DestAddrNPI, m.DestNPI)
	b.setText(pdufield.DestinationAddr, m.Dest)
	b.setOctet(pdufield.ESMClass, m.ESMClass)
	b.setOctet(pdufield.ProtocolID, m.ProtocolID)
	b.setOctet(pdufield.PriorityFlag, m.Priority)
	b.setText(pdufield.ScheduleDeliveryTime, m.ScheduleDelivery)
	b.setText(pdufield.ValidityPeriod, m.Validity)
	b.setOctet(pdufield.RegisteredDelivery, m.RegisteredDelivery)
	b.setOctet(pdufield.ReplaceIfPresentFlag, m.ReplaceIfPresent)
	b.setOctet(pdufield.DataCoding, m.DataCoding)
	b.setOctet(pdufield.SMDefaultMsgID, m.DefaultMessageID)
	b.setOctet(pdufield.SMLength, byte(len(m.ShortMessage))) // at most 254, checked
	b.Map[pdufield.ShortMessage] = &pdufield.SM{Data: m.ShortMessage}
	return b
}

func (b body) message() *Message {
	m := &Message{
		ServiceType:        b.text(pdufield.ServiceType),
		SourceTON:          b.octet(pdufield.SourceAddrTON),
		SourceNPI:          b.octet(pdufield.SourceAddrNPI),
		Source:             b.text(pdufield.SourceAddr),
		DestTON:            b.octet(pdufield.DestAddrTON),
		DestNPI:            b.octet(pdufield.DestAddrNPI),
		Dest:               b.text(pdufield.DestinationAddr),
		ESMClass:           b.octet(pdufield.ESMClass),
		ProtocolID:         b.octet(pdufield.ProtocolID),
		Priority:           b.octet(pdufield.PriorityFlag),
		ScheduleDelivery:   b.text(pdufield.ScheduleDeliveryTime),
		Validity:           b.text(pdufield.ValidityPeriod),
		RegisteredDelivery: b.octet(pdufield.RegisteredDelivery),
		ReplaceIfPresent:   b.octet(pdufield.ReplaceIfPresentFlag),
		DataCoding:         b.octet(pdufield.DataCoding),
		DefaultMessageID:   b.octet(pdufield.SMDefaultMsgID),
	}
	if f, ok := b.Map[pdufield.ShortMessage].(*pdufield.SM); ok && len(f.Data) > 0 {
		m.ShortMessage = f.Data[:len(f.Data):len(f.Data)]
	}
	return m
}

func (p *Bind) fields() body {
	b := body{make(pdufield.Map, len(bindFields))}
	b.setText(pdufield.SystemID, p.SystemID)
	b.setText(pdufield.Password, p.Password)
	b.setText(pdufield.SystemType, p.SystemType)
	b.setOctet(pdufield.InterfaceVersion, p.InterfaceVersion)
	b.setOctet(pdufield.AddrTON, p.AddrTON)
	b.setOctet(pdufield.AddrNPI, p.AddrNPI)
	b.setText(pdufield.AddressRange, p.AddressRange)
	return b
}

func (b body) bind() *Bind {
	return &Bind{
		SystemID:         b.text(pdufield.SystemID),
		Password:         b.text(pdufield.Password),
		SystemType:       b.text(pdufield.SystemType),
		InterfaceVersion: b.octet(pdufield.InterfaceVersion),
		AddrTON:          b.octet(pdufield.AddrTON),
		AddrNPI:          b.octet(pdufield.AddrNPI),
		AddressRange:     b.text(pdufield.AddressRange),
	}
}

func (a *Alert) fields() body {
	b := body{make(pdufield.Map, len(alertFields))}
	b.setOctet(pdufield.SourceAddrTON, a.SourceTON)
	b.setOctet(pdufield.SourceAddrNPI, a.SourceNPI)
	b.setText(pdufield.SourceAddr, a.Source)
	b.setOctet(pdufield.DestAddrTON, a.ESMETON)
	b.setOctet(pdufield.DestAddrNPI, a.ESMENPI)
	b.setText(pdufield.DestinationAddr, a.ESMEAddr)
	return b
}

func (b body) alert() *Alert {
	return &Alert{
		SourceTON: b.octet(pdufield.SourceAddrTON),
		SourceNPI: b.octet(pdufield.SourceAddrNPI),
		Source:    b.text(pdufield.SourceAddr),
		ESMETON:   b.octet(pdufield.DestAddrTON),
		ESMENPI:   b.octet(pdufield.DestAddrNPI),
		ESMEAddr:  b.text(pdufield.DestinationAddr),
	}
}

// one returns a body whose only field is a C-octet string.
func one(name pdufield.Name, s string) body {
	b := body{make(pdufield.Map, 1)}
	b.setText(name, s)
	return b
}
