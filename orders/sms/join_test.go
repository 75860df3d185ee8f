package sms

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"straks/dlr"
	"straks/orders"
	"straks/smpp/gsm"
	"straks/smpp/wire"
)

// Two parts in UCS-2, as an SMSC sent them (vumi issue 635). The answer gave the id below.
const (
	firstOfTwo  = "000000bd00000005000000000000000100010134373939393930303030000101737472616b73004400000000000008008c05000307020100690064003a003700370032003000620065002d0035006600340038002d0034003100630034002d0062003300660038002d0036006500350039006400620066003400350033003700370020007300750062003a00300030003100200064006c007600720064003a0030003000310020007300750062006d0069007400200064006100740065"
	secondOfTwo = "000000b500000005000000000000000200010134373939393930303030000101737472616b730044000000000000080084050003070202003a00310032003000370032003600310033003200350034003800200064006f006e006500200064006100740065003a00310032003000370032003600310033003200350034003800200073007400610074003a00440045004c00490056005200440020006500720072003a00300030003000200074006500780074003a"
	idOfTwo     = "7720be-5f48-41c4-b3f8-6e59dbf45377"
)

func fromPDU(t *testing.T, text string) *wire.Message {
	t.Helper()
	pdu, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	f, err := wire.NewReader(strings.NewReader(string(pdu))).Next()
	if err != nil {
		t.Fatal(err)
	}
	body, err := wire.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return body.(*wire.Message)
}

// joinTest is a joiner whose whole receipts are kept, and acknowledged at once.
type joinTest struct {
	*joiner
	seen   sync.Mutex
	whole  []dlr.Receipt
	lost   int
	status wire.Status // with which whole receipts are answered
}

func newJoinTest() *joinTest {
	j := &joinTest{joiner: newJoiner()}
	j.joiner.whole = func(_ string, m *wire.Message, _ time.Time, respond func(wire.Status)) {
		r, _ := dlr.Parse(parsed(m))
		j.seen.Lock()
		j.whole = append(j.whole, r)
		j.seen.Unlock()
		respond(j.status)
	}
	j.joiner.lost = func(string, int, int) {
		j.seen.Lock()
		j.lost++
		j.seen.Unlock()
	}
	return j
}

// send gives the joiner a part, and returns where its answers come.
func (j *joinTest) send(t *testing.T, m *wire.Message) chan wire.Status {
	t.Helper()
	answers := make(chan wire.Status, 1)
	if !j.take("telco", m, time.Now(), func(s wire.Status) { answers <- s }) {
		t.Fatal("not taken for a part of a receipt")
	}
	return answers
}

func answered(c chan wire.Status) string {
	select {
	case s := <-c:
		return s.String()
	default:
		return "not yet"
	}
}

// cut makes a receipt of a text in parts, in one of three ways.
func cut(text, kind string, ref uint16, total int) (all []*wire.Message) {
	for i := range total {
		piece := text[i*len(text)/total : (i+1)*len(text)/total]
		m := &wire.Message{ESMClass: 0x04, Source: "4799999999", Dest: "straks"}
		switch kind {
		case "8":
			m.ESMClass |= esmUDHI
			m.ShortMessage = append(gsm.UDH8(byte(ref), total, i), piece...)
		case "16":
			m.ESMClass |= esmUDHI
			m.ShortMessage = append(gsm.UDH16(ref, total, i), piece...)
		case "sar":
			m.ShortMessage = []byte(piece)
			m.TLVs = []wire.TLV{wire.ShortTLV(wire.TagSARMsgRefNum, ref), wire.OctetTLV(wire.TagSARTotalSegments, byte(total)),
				wire.OctetTLV(wire.TagSARSegmentSeqnum, byte(i+1))}
		}
		all = append(all, m)
	}
	return all
}

const wholeText = "id:42 sub:001 dlvrd:001 submit date:2602031405 done date:2602031406 stat:DELIVRD err:000 text:Koden"

// A receipt in two parts settles its message, in either order, and its parts are acknowledged together.
func TestReceiptInTwoParts(t *testing.T) {
	for _, order := range [][]string{{firstOfTwo, secondOfTwo}, {secondOfTwo, firstOfTwo}} {
		j := newJoinTest()
		first := j.send(t, fromPDU(t, order[0]))
		if got := answered(first); got != "not yet" || len(j.whole) > 0 {
			t.Fatal(got, j.whole)
		}
		second := j.send(t, fromPDU(t, order[1]))
		if answered(first) != "ESME_ROK" || answered(second) != "ESME_ROK" || len(j.whole) != 1 {
			t.Fatal("the parts are not acknowledged with the whole")
		}
		if r := j.whole[0]; r.ID != idOfTwo || r.State != dlr.Delivered || r.Recipient != "4799990000" {
			t.Errorf("%+v", r)
		}
	}
}

// However the parts refer to each other, and in whatever order and number they come, they are one receipt.
func TestPartsOfEveryKind(t *testing.T) {
	for _, kind := range []string{"8", "16", "sar"} {
		j := newJoinTest()
		parts := cut(wholeText, kind, 513, 3)
		slices.Reverse(parts)
		var answers []chan wire.Status
		for _, m := range []*wire.Message{parts[0], parts[0], parts[2], parts[1], parts[1]} {
			answers = append(answers, j.send(t, m))
		}
		for i, a := range answers {
			if got := answered(a); got != "ESME_ROK" {
				t.Errorf("%s: answer %d: %s", kind, i, got)
			}
		}
		if len(j.whole) != 1 || j.whole[0].ID != "42" || j.whole[0].State != dlr.Delivered {
			t.Errorf("%s: %+v", kind, j.whole)
		}
	}
}

// An SMSC that sends a part only after the one before was acknowledged is not held up, and the next time not
// at all.
func TestPartsOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJoinTest()
		defer j.close()
		for i, wait := range []time.Duration{holdTime, 0} {
			parts := cut(strings.Replace(wholeText, "42", fmt.Sprint("4", i), 1), "8", uint16(i), 2)
			began := time.Now()
			<-j.send(t, parts[0])
			if took := time.Since(began); took != wait {
				t.Errorf("receipt %d: acknowledged after %v", i, took)
			}
			if status := <-j.send(t, parts[1]); status != wire.ESMEOK || len(j.whole) != i+1 {
				t.Errorf("%v, %d receipts", status, len(j.whole))
			}
		}
	})
}

// What is incomplete after a minute is read as far as it came: its state may be there.
func TestIncompleteReceiptIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJoinTest()
		text := wholeText + strings.Repeat("x", len(wholeText)) // the second part has the text only
		j.send(t, cut(text, "8", 7, 2)[0])
		time.Sleep(joinTime - time.Second)
		j.seen.Lock()
		early := len(j.whole)
		j.seen.Unlock()
		if early > 0 {
			t.Fatal("read too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		j.seen.Lock()
		defer j.seen.Unlock()
		if len(j.whole) != 1 || j.whole[0].State != dlr.Delivered || j.lost != 1 {
			t.Errorf("%+v, %d incomplete", j.whole, j.lost)
		}
	})
}

// Where the journal fails, the parts that were not acknowledged come again, and one of them is enough.
func TestPartsWhoseReceiptIsNotStored(t *testing.T) {
	j := newJoinTest()
	j.status = wire.ESMERxTAppn
	parts := cut(wholeText, "8", 7, 2)
	first, second := j.send(t, parts[0]), j.send(t, parts[1])
	if answered(first) != "ESME_RX_T_APPN" || answered(second) != "ESME_RX_T_APPN" {
		t.Fatal("acknowledged")
	}
	j.status = wire.ESMEOK
	if got := answered(j.send(t, parts[1])); got != "ESME_ROK" || len(j.whole) != 2 {
		t.Fatal(got, len(j.whole))
	}
	if got := answered(j.send(t, parts[0])); got != "ESME_ROK" || len(j.whole) != 2 {
		t.Fatal(got, len(j.whole))
	}
}

// A reference that is used again begins another receipt.
func TestPartsOfAReusedReference(t *testing.T) {
	j := newJoinTest()
	for _, id := range []string{"41", "42"} {
		parts := cut(strings.Replace(wholeText, "42", id, 1), "8", 7, 2)
		j.send(t, parts[0])
		j.send(t, parts[1])
	}
	// The second parts are equal octet for octet: the second one alone is a repeat.
	if len(j.whole) != 2 || j.whole[0].ID != "41" || j.whole[1].ID != "42" {
		t.Fatalf("%+v", j.whole)
	}
}

// Parts are bounded: the oldest are read as far as they came, and asked for again.
func TestPartsAreBounded(t *testing.T) {
	j := newJoinTest()
	defer j.close()
	for i := range maxJoining + 10 {
		m := cut(wholeText, "16", uint16(i), 2)[0]
		m.ShortMessage = append(m.ShortMessage, make([]byte, 100)...)
		j.send(t, m)
	}
	s := j.smscs["telco"]
	if len(s.byKey) > maxJoining || len(s.oldest) != len(s.byKey) || s.octets > maxJoiningOctets || j.lost < 10 {
		t.Errorf("%d receipts in %d octets, %d given up", len(s.byKey), s.octets, j.lost)
	}
}

// At the end, what is incomplete is asked for again.
func TestPartsAtTheEnd(t *testing.T) {
	j := newJoinTest()
	parts := cut(wholeText, "8", 7, 2)
	first := j.send(t, parts[0])
	j.drain()
	if got := answered(first); got != "ESME_RX_T_APPN" {
		t.Error(got)
	}
	if got := answered(j.send(t, parts[0])); got != "ESME_RX_T_APPN" {
		t.Error(got)
	}
	if got := answered(j.send(t, parts[1])); got != "ESME_ROK" || len(j.whole) != 1 {
		t.Error(got)
	}
}

// Long messages from phones are none of the joiner's; a part without the mark of a receipt is, where
// its receipt has begun.
func TestPartsOfMessages(t *testing.T) {
	j := newJoinTest()
	message := cut("STOP", "8", 7, 2)[0]
	message.ESMClass = esmUDHI
	if j.take("telco", message, time.Now(), func(wire.Status) {}) {
		t.Error("a part of a message is taken for one of a receipt")
	}
	parts := cut(wholeText, "8", 7, 2)
	parts[1].ESMClass = esmUDHI
	j.send(t, parts[0])
	j.send(t, parts[1])
	if len(j.whole) != 1 || j.whole[0].State != dlr.Delivered {
		t.Errorf("%+v", j.whole)
	}
}

// With the journal beneath, a receipt in two parts makes its message delivered.
func TestReceiptInPartsIsStored(t *testing.T) {
	r := newReceiver(t, dlr.Dialect{}, quiet)
	id := r.place(t)
	status := make(chan wire.Status, 2)
	for _, m := range cut("id:"+id.String()+" sub:001 dlvrd:001 stat:DELIVRD err:000 text:", "sar", 9, 2) {
		r.deliver("telco", m, time.Now().UTC(), func(s wire.Status) { status <- s })
	}
	for range 2 {
		if s := <-status; s != wire.ESMEOK {
			t.Fatal(s)
		}
	}
	if got := r.status(t, id); got != orders.SMSDelivered {
		t.Error(got)
	}
}
