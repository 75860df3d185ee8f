package wire

import "testing"

// The PDUs of one message: submit_sm out, its response in, the receipt in, its
// response out.
func BenchmarkCodec(b *testing.B) {
	m := sample()[SubmitSM].(*Message)
	m.TLVs = m.TLVs[:1]
	encode := map[string]struct {
		id   CommandID
		body any
	}{"submit_sm": {SubmitSM, m}, "deliver_sm_resp": {DeliverSMResp, &MessageResp{}}}
	for name, p := range encode {
		b.Run("encode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf, _ = Append(buf[:0], Header{ID: p.id, Sequence: 1}, p.body)
			}
		})
	}
	decode := map[string]Frame{}
	for id, body := range map[CommandID]any{DeliverSM: m, SubmitSMResp: &MessageResp{MessageID: "5f2c81a0"}} {
		pdu, err := Append(nil, Header{ID: id, Sequence: 1}, body)
		if err != nil {
			b.Fatal(err)
		}
		decode[id.String()] = Frame{parseHeader(pdu), pdu[HeaderLen:]}
	}
	for name, f := range decode {
		b.Run("decode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
