package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"straks/dlr"
	"straks/smpp"
	"straks/smpp/wire"
)

const (
	short   = "Koden din er 123456. Æ, ø, å og € {[~]}"
	foreign = "Čau 👍, kod je 123456"
)

var (
	long        = strings.Repeat("Blåbær på Ærøy {1} ", 20)
	longForeign = strings.Repeat("👨‍👩‍👧‍👦 č", 20)
)

// texts are sent in every way, each in this number of parts.
var texts = []struct {
	text  string
	parts int
}{{short, 1}, {foreign, 1}, {long, 3}, {longForeign, 4}}

// TestNodeSMSC plays a whole session with node-smpp.
func TestNodeSMSC(t *testing.T) {
	p, addr := startSMSC(t)
	g := gateway(t, smpp.SMSC{Addr: addr, EnquireLink: 100 * time.Millisecond})
	bind := p.await(t, "bind")
	if bind.Command != "bind_transceiver" || bind.SystemID != "straks" || bind.Password != "secret" || bind.Version != 0x34 {
		t.Errorf("bind: %+v", bind)
	}
	exchange(t, p, g, "udh8")

	p.do(t, "enquire")
	if got := p.await(t, "enquire_link_resp"); got.Status != 0 {
		t.Errorf("our enquire_link_resp: %+v", got)
	}
	p.await(t, "enquire_link")
	p.do(t, "mo")
	if m := g.delivery(t); m.Source != "4799999999" || m.Dest != "1963" || !strings.HasPrefix(string(m.ShortMessage), "STOPP bl") {
		t.Errorf("a subscriber's message: %+v", m)
	}
	if got := p.await(t, "mo_resp"); got.Status != 0 {
		t.Errorf("our deliver_sm_resp: %+v", got)
	}

	p.do(t, "unbind")
	if got := p.await(t, "unbind_resp"); got.Status != 0 {
		t.Errorf("our unbind_resp: %+v", got)
	}
	p.await(t, "bind")
	g.awaitBound(t)
	exchange(t, p, g, "udh8")
	g.stop()
	p.await(t, "unbind")
	p.await(t, "close")
}

// TestNodeSMSCLongMessages sends long messages in each way.
func TestNodeSMSCLongMessages(t *testing.T) {
	for _, mode := range []smpp.LongMode{smpp.LongUDH8, smpp.LongUDH16, smpp.LongSAR} {
		t.Run(string(mode), func(t *testing.T) {
			p, addr := startSMSC(t)
			exchange(t, p, gateway(t, smpp.SMSC{Addr: addr, LongMessages: mode}), string(mode))
		})
	}
}

func TestNodeSMSCPayload(t *testing.T) {
	p, addr := startSMSC(t)
	g := gateway(t, smpp.SMSC{Addr: addr, LongMessages: smpp.LongPayload})
	for _, text := range []string{long, longForeign} {
		g.send(t, "Straks", text)
		if got := p.await(t, "submit_sm"); got.Text != text || got.ESMClass != 0 {
			t.Errorf("got %+v, want %q", got, text)
		}
	}
}

func TestNodeSMSCSeparateBinds(t *testing.T) {
	p, addr := startSMSC(t)
	exchange(t, p, gateway(t, smpp.SMSC{Addr: addr, Mode: smpp.ModeSeparate, Validity: smpp.ValidityAbsolute}), "udh8")
}

// exchange sends every text, checks what node-smpp reads, and matches its receipts with the
// parts.
func exchange(t *testing.T, p *peer, g *running, mode string) {
	t.Helper()
	for _, c := range texts {
		res := g.send(t, "Straks", c.text)
		if res.Total != c.parts {
			t.Errorf("%s: %d parts, want %d", mode, res.Total, c.parts)
		}
		var joined string
		for i := range res.Total {
			e := p.await(t, "submit_sm")
			joined += e.Text
			checkSubmit(t, e, mode, i, res.Total)
		}
		if joined != c.text {
			t.Errorf("%s: node-smpp reads %q, want %q", mode, joined, c.text)
		}
		checkReceipts(t, g, res)
	}
}

func checkSubmit(t *testing.T, e event, mode string, i, parts int) {
	t.Helper()
	if e.Source != "Straks" || e.SourceTON != 5 || e.SourceNPI != 0 || e.Destination != "4799999999" || e.DestTON != 1 || e.DestNPI != 1 {
		t.Errorf("addresses: %+v", e)
	}
	if e.RegisteredReceipt != 1 || !e.HasValidity || !e.HasReference {
		t.Errorf("receipt, validity period or reference are missing: %+v", e)
	}
	var header, sar string
	var class byte
	if parts > 1 {
		switch position := fmt.Sprintf("%02x%02x", parts, i+1); mode {
		case "udh8":
			header, class = "0003**"+position, 0x40
		case "udh16":
			header, class = "0804****"+position, 0x40
		case "sar":
			sar = fmt.Sprintf("%d/%d", i+1, parts)
		}
	}
	if !matches(e.UDH, header) || e.ESMClass != class || e.SAR != sar {
		t.Errorf("%s, part %d of %d: header %q, esm_class %#x, SAR %q", mode, i, parts, e.UDH, e.ESMClass, e.SAR)
	}
}

// matches reports whether s is like the pattern, in which '*' stands for any octet.
func matches(s, pattern string) bool {
	if len(s) != len(pattern) {
		return false
	}
	for i := range pattern {
		if pattern[i] != '*' && pattern[i] != s[i] {
			return false
		}
	}
	return true
}

// checkReceipts awaits a receipt for every part. Receipts have their ids in decimal,
// responses in hexadecimal.
func checkReceipts(t *testing.T, g *running, res smpp.Result) {
	t.Helper()
	dialect := dlr.Dialect{Answer: dlr.Hex, Receipt: dlr.Decimal}
	open := map[string]uint16{}
	for _, part := range res.Parts {
		open[dialect.AnswerRef(part.MessageID)] = part.Reference
	}
	for range res.Parts {
		r, ok := dlr.Parse(deliver(g.delivery(t)))
		ref := dialect.ReceiptRef(r.ID)
		reference, known := open[ref]
		if !ok || !known || r.State != dlr.Delivered || !r.HasReference || r.UserReference != reference {
			t.Errorf("receipt %+v (%v) is for none of %v", r, ok, open)
		}
		delete(open, ref)
	}
}

// deliver returns the fields of a deliver_sm that package dlr needs.
func deliver(m *wire.Message) dlr.Deliver {
	d := dlr.Deliver{ESMClass: m.ESMClass, DataCoding: m.DataCoding, Source: m.Source, Destination: m.Dest, Text: m.ShortMessage}
	for _, tlv := range m.TLVs {
		switch tlv.Tag {
		case wire.TagReceiptedMessageID:
			d.ReceiptedMessageID = string(tlv.Value)
		case wire.TagMessageState:
			d.MessageState = tlv.Value
		case wire.TagUserMessageReference:
			d.UserReference = tlv.Value
		}
	}
	return d
}
