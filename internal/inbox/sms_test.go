package inbox

import (
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// send places an order, and returns the newest message then.
func (w *world) send(key, number, text string) *Message {
	w.T.Helper()
	m := daemontest.SMS(key, number)
	m.Recipient.Settings.Body = text
	if _, err := w.Client.SendSMS(w.T.Context(), m); err != nil {
		w.T.Fatal(err)
	}
	list, _ := w.box.List(Query{To: number}, 1)
	if len(list) == 0 {
		w.T.Fatal("the inbox has nothing")
	}
	return list[0]
}

func TestPartsBecomeOneMessage(t *testing.T) {
	w := start(t, smsctest.Profile{}, nil)
	for _, c := range []struct {
		name, text, encoding string
		used                 []int
		room                 int
		odd                  []string
	}{
		{"short", "Koden din er 1234", "GSM 7-bit", []int{17}, 160, nil},
		{"extension", "1 €", "GSM 7-bit", []int{4}, 160, nil},
		{"full", strings.Repeat("a", 160), "GSM 7-bit", []int{160}, 160, nil},
		{"long", strings.Repeat("a", 161), "GSM 7-bit", []int{153, 8}, 153, nil},
		{"ucs2", "Zażółć", "UCS-2", []int{6}, 70, []string{"ż", "ó", "ł", "ć"}},
		{"long ucs2", strings.Repeat("ł", 71), "UCS-2", []int{67, 4}, 67, []string{"ł"}},
	} {
		m := w.send(c.name, "+4799999999", c.text)
		var used []int
		joined := ""
		for i, p := range m.SMS.Parts {
			used, joined = append(used, p.Used), joined+p.Text
			if p.Index != i+1 || p.Room != c.room || p.Status != "ESME_ROK" || p.MessageID == "" {
				t.Errorf("%s: part %+v, want room for %d", c.name, p, c.room)
			}
		}
		if m.Text != c.text || joined != c.text || m.From != "straks" || m.To != "+4799999999" || m.State != StateAccepted {
			t.Errorf("%s: %+v", c.name, m)
		}
		if !slices.Equal(used, c.used) || m.SMS.Total != len(c.used) || m.SMS.Encoding != c.encoding || !slices.Equal(m.SMS.Odd, c.odd) {
			t.Errorf("%s: %+v", c.name, m.SMS)
		}
	}
}

// TestAttemptsAreOneMessage: what the gateway submits again is no second SMS, and what a client orders again is.
func TestAttemptsAreOneMessage(t *testing.T) {
	p := smsctest.Profile{}
	for _, rule := range []string{"09:throttle-first=1", "03:status=ESME_RSUBMITFAIL", "01:state=UNDELIV,duplicate=1"} {
		r, err := smsctest.ParseRule(rule, p.Behaviour)
		if err != nil {
			t.Fatal(err)
		}
		p.Rules = append(p.Rules, r)
	}
	w := start(t, p, nil)
	if m := w.send("throttled", "+4799999909", "x"); m.SMS.Attempts != 2 || m.State != StateAccepted {
		t.Errorf("throttled once: %+v %+v", m, m.SMS)
	}
	if m := w.send("refused", "+4799999903", "x"); m.SMS.Attempts != 1 || m.State != StateRefused || m.SMS.Parts[0].Status != "ESME_RSUBMITFAIL" {
		t.Errorf("refused: %+v %+v", m, m.SMS)
	}
	w.send("refused again", "+4799999903", "x")
	w.send("twice", "+4799999901", "x")
	w.send("twice again", "+4799999901", "x")
	if _, n := w.box.List(Query{}, 0); n != 5 {
		t.Errorf("%d messages, want 5", n)
	}
	eventually.True(t, "two receipts", func() bool {
		list, _ := w.box.List(Query{To: "+4799999901"}, 1)
		return slices.Equal(list[0].SMS.Receipts, []string{"UNDELIV", "UNDELIV"})
	})
	if list, n := w.box.List(Query{Taken: true}, 9); n != 3 {
		t.Errorf("%d were taken, want 3: %+v", n, list)
	}
}

// submit is a submit_sm of one part of a long message.
func submit(to string, reference, total, index byte, text string) smsctest.Submit {
	header := []byte{5, 0, 3, reference, total, index}
	return smsctest.Submit{Message: wire.Message{SourceTON: 5, Source: "straks", DestTON: 1, Dest: to, ESMClass: 0x40, ShortMessage: append(header, text...)},
		At: time.Now(), MessageID: to + string(rune('a'+reference)) + string(rune('a'+index))}
}

// TestMixedParts: parts of several messages come in any order, and a reference is used again.
func TestMixedParts(t *testing.T) {
	box := New(1 << 20)
	for _, s := range []smsctest.Submit{
		submit("4799999999", 1, 2, 2, "B"), submit("4799999998", 1, 2, 1, "c"), submit("4799999999", 2, 2, 1, "x"),
		submit("4799999999", 1, 2, 1, "A"), submit("4799999998", 1, 2, 2, "d"), submit("4799999999", 1, 2, 1, "E"),
	} {
		box.Submitted(s)
	}
	list, _ := box.List(Query{}, 10)
	var got []string
	for _, m := range list {
		got = append(got, m.Text+" "+m.State)
	}
	if want := []string{"E incomplete", "x incomplete", "cd accepted", "AB accepted"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestBounds: the oldest messages go, with all that refers to them.
func TestBounds(t *testing.T) {
	const limit = 100 << 10
	box := New(limit)
	for i := range 3000 {
		s := submit("4799999999", byte(i), 2, 1, strings.Repeat("x", 100)) // it never gets its second part
		s.MessageID = strings.Repeat("7", i%50) + string(rune(i))
		box.Submitted(s)
		box.Receipted(s, "DELIVRD")
	}
	box.mu.Lock()
	defer box.mu.Unlock()
	if box.size > limit || len(box.messages) < 20 || len(box.open) > len(box.messages) || len(box.ids) > len(box.messages) {
		t.Errorf("%d octets, %d messages, %d open, %d ids", box.size, len(box.messages), len(box.open), len(box.ids))
	}
	sum := 0
	for _, m := range box.messages {
		sum += m.octets()
	}
	if sum != box.size {
		t.Errorf("messages take %d octets, %d were counted", sum, box.size)
	}
}

// TestReply: a phone says STOP, gets nothing more, and says START.
func TestReply(t *testing.T) {
	w := start(t, smsctest.Profile{}, nil)
	m := w.send("first", "+4799999999", "x")
	reply := func(text string, reserved bool) {
		t.Helper()
		if a := w.ask("POST", "/messages/1/reply", url.Values{"text": {text}}); a.status != 303 || a.header.Get("Location") != "/messages/1" {
			t.Fatalf("%+v", a)
		}
		eventually.True(t, "what follows from "+text, func() bool { // a message that is taken may be delivered by now
			return (w.Status(w.Send(text+rand.Text(), "+4799999999").ShipmentID) == "SMS_Failed_RecipientReserved") == reserved
		})
	}
	reply("STOP", true)
	reply("START", false)
	if got := w.box.Get(m.ID).SMS.Answers; !slices.Equal(got, []string{"STOP", "START"}) {
		t.Errorf("%q", got)
	}
	for path, form := range map[string]url.Values{"/messages/999999/reply": {"text": {"STOP"}}, "/messages/x/reply": {"text": {"STOP"}}, "/messages/1/reply": {}} {
		if a := w.ask("POST", path, form); a.status != 404 && a.status != 400 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}
