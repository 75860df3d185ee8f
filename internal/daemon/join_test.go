package daemon_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"unicode/utf16"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// receiptInParts returns a receipt in UCS-2 as SMSCs split it, n units of UTF-16 in a part.
func receiptInParts(id string, n int) (parts []*wire.Message) {
	units := utf16.Encode([]rune(fmt.Sprintf("id:%s sub:001 dlvrd:001 submit date:2602041133 done date:2602041134 stat:DELIVRD err:000 text:", id)))
	chunks := slices.Collect(slices.Chunk(units, n))
	for i, chunk := range chunks {
		text := []byte{6, 8, 4, 0x12, 0x34, byte(len(chunks)), byte(i + 1)} // a reference of 16 bits
		for _, u := range chunk {
			text = binary.BigEndian.AppendUint16(text, u)
		}
		parts = append(parts, &wire.Message{ESMClass: 0x44, DataCoding: 8, SourceTON: 1, SourceNPI: 1, Source: "4799999999", Dest: "2077", ShortMessage: text})
	}
	return parts
}

// A receipt in parts settles its message over real binds: two of them, and an SMSC that sends a part
// only when the one before is acknowledged.
func TestReceiptInParts(t *testing.T) {
	for name, window := range map[string]int{"at once": 0, "one by one": 1} {
		for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}} {
			t.Run(fmt.Sprint(name, order), func(t *testing.T) {
				t.Parallel()
				p := smsctest.Profile{Window: window}
				p.Receipt.Missing = 1
				w := daemontest.New(t, p, "binds = 2")
				id := w.Send("k", "+4799999999").ShipmentID
				parts := receiptInParts(w.SMSC.Submits()[0].MessageID, 40)
				if len(parts) != len(order) {
					t.Fatalf("%d parts", len(parts))
				}
				for _, i := range order {
					if err := w.SMSC.Deliver(parts[i]); err != nil {
						t.Fatal(err)
					}
				}
				w.Await(id, "SMS_Delivered")
				eventually.True(t, "all parts to be acknowledged", func() bool { return w.SMSC.Stats().WaitingNow == 0 })
			})
		}
	}
}
