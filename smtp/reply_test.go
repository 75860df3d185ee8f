package smtp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/internal/logtest"
	"straks/smtp/relaytest"
)

func readerOf(in io.Reader) *replyReader {
	r := newReplyReader(bufio.NewReaderSize(in, maxReplyLine))
	return &r
}

func TestReplies(t *testing.T) {
	for in, want := range map[string]reply{
		"250 2.1.0 Ok\r\n": {250, [3]int{2, 1, 0}, "Ok"},
		"250 Ok\n":         {250, [3]int{}, "Ok"},
		"250\r\n":          {250, [3]int{}, ""},
		"250 \r\n":         {250, [3]int{}, ""},
		"550 5.1.1\r\n":    {550, [3]int{5, 1, 1}, ""},
		"250-lab\r\n250-auth plain\r\n250 SIZE\r\n":                  {250, [3]int{}, "lab\nauth plain\nSIZE"},
		"250-lab\r\n250\r\n":                                         {250, [3]int{}, "lab\n"},
		"550-5.4.5 Daily limit\r\n550-5.4.5 see\r\n550 5.4.5  x\r\n": {550, [3]int{5, 4, 5}, "Daily limit\nsee\n x"},
		"550-5.1.1 a\r\n550 5.1.10 b\r\n":                            {550, [3]int{5, 1, 1}, "a\n5.1.10 b"},
		"220-welcome\r\nto us\r\n220 relay.test\r\n":                 {220, [3]int{}, "welcome\nto us\nrelay.test"},
		"599 3.1.1 x\r\n":                                            {599, [3]int{}, "3.1.1 x"},
		"250 5.1.1000 x\r\n":                                         {250, [3]int{}, "5.1.1000 x"},
		"250 192.0.2.1 x\r\n":                                        {250, [3]int{}, "192.0.2.1 x"},
	} {
		for _, source := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			if got, err := readerOf(source).next(); err != nil || *got != want {
				t.Errorf("%q: %+v, %v", in, got, err)
			}
		}
	}
}

func TestNotReplies(t *testing.T) {
	for in, want := range map[string]error{
		"yes\r\n": errNotReply, "\r\n": errNotReply, "25\r\n": errNotReply, "2500\r\n": errNotReply, "099 x\r\n": errNotReply,
		"+25 x\r\n": errNotReply, "250_x\r\n": errNotReply, "\x16\x03\x01\x00\n": errNotReply,
		"250-ok\r\n550 no\r\n": errNotReply,
		"25":                   io.EOF,
		"250":                  io.EOF, "250-ok\r\n": io.EOF,
		strings.Repeat("2", maxReplyLine+1):                       errReplyTooLong,
		"250 " + strings.Repeat("x", maxReplyLine) + "\r\n":       errReplyTooLong,
		strings.Repeat("250-x\r\n", maxReplyLines+1):              errReplyTooLong,
		strings.Repeat("250-"+strings.Repeat("x", 1500)+"\n", 22): errReplyTooLong,
	} {
		if got, err := readerOf(strings.NewReader(in)).next(); !errors.Is(err, want) {
			t.Errorf("%.40q: %+v, %v", in, got, err)
		}
	}
}

// A time-out loses nothing of a reply.
func TestAReplyInTwoReads(t *testing.T) {
	whole := "250-2.0.0 Ok\r\n250 2.0.0 queued as 4XY\r\n"
	for cut := range len(whole) {
		r := readerOf(io.MultiReader(strings.NewReader(whole[:cut]), iotest.ErrReader(os.ErrDeadlineExceeded)))
		if _, err := r.next(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		r.in.Reset(strings.NewReader(whole[cut:]))
		if got, err := r.next(); err != nil || *got != (reply{250, [3]int{2, 0, 0}, "Ok\nqueued as 4XY"}) {
			t.Errorf("cut at %d: %+v, %v", cut, got, err)
		}
	}
}

// The reader takes no octet beyond the reply, and never more than its bounds.
func FuzzReplies(f *testing.F) {
	f.Add([]byte("250-lab\r\n250 SIZE\r\n550 5.1.1 no\r\n"), 7)
	f.Add([]byte("250\n\n"), 1)
	f.Add([]byte("220-a\r\nb\r\n220 c"), 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		r := readerOf(strings.NewReader(string(in)))
		first, err := r.next()
		if err != nil {
			return
		}
		if first.code < 100 || first.code > 999 || len(first.text) > maxReplyOctets || strings.Count(first.text, "\n") >= maxReplyLines {
			t.Errorf("%q: %+v", in, first)
		}
		rest, _ := io.ReadAll(r.in)
		whole := in[:len(in)-len(rest)]
		if len(whole) == 0 || whole[len(whole)-1] != '\n' {
			t.Errorf("%q: the reply ends within a line", in)
		}
		// In two reads it is the same.
		cut = min(max(cut, 0), len(whole)-1)
		again := readerOf(io.MultiReader(strings.NewReader(string(whole[:cut])), iotest.ErrReader(os.ErrDeadlineExceeded)))
		if _, err := again.next(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%q cut at %d: %v", whole, cut, err)
		}
		again.in.Reset(strings.NewReader(string(whole[cut:])))
		if got, err := again.next(); err != nil || *got != *first {
			t.Errorf("%q cut at %d: %+v, %v; whole it is %+v", whole, cut, got, err, first)
		}
	})
}

// A code alone is a reply, in one piece or octet by octet.
func TestCodeAlone(t *testing.T) {
	talk := relaytest.Dialogue(
		relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250\r\n"},
		relaytest.Reply{Verb: "MAIL", Text: "250\r\n"},
		relaytest.Reply{Verb: "RCPT TO:<NOSUCH", Text: "550\r\n"},
		relaytest.Reply{Verb: "DATA", Text: "354\r\n"},
		relaytest.Reply{Verb: "RSET", Text: "250\n"},
		relaytest.Reply{Verb: ".", Text: "250\r\n"})
	for name, script := range map[string]func(net.Conn){
		"whole": talk, "octet by octet": func(c net.Conn) { talk(dribble{c}) },
	} {
		t.Run(name, func(t *testing.T) {
			relay := listen(t, relaytest.Profile{Script: script})
			p := newPool(t, plain("mx", relay))
			for local, want := range map[string]handover.Outcome{"kari": handover.Accepted, "nosuch": handover.Refused} {
				for range 2 {
					if res := round(p, within(t), mustLetter(t, local+"@mottaker.example")); res.Outcome != want {
						t.Errorf("%s: got %+v", local, res)
					}
				}
			}
			if accepted, _ := relay.Connections(); accepted != 1 {
				t.Errorf("%d connections", accepted)
			}
		})
	}
}

// dribble writes one octet at a time.
type dribble struct{ net.Conn }

func (d dribble) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// quotingLetter is a mail whose words a relay may quote.
func quotingLetter(t testing.TB) *letter {
	t.Helper()
	m := to("ola.nordmann@mottaker.example")
	m.Subject, m.Body = "Engangskode HKQTZR", "Koden er 48392017, og id 1C4D9E2F7A3B."
	l, err := newLetter(m, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestQueueID(t *testing.T) {
	l := quotingLetter(t)
	for text, want := range map[string]string{
		"Ok: queued as 9A3F2C41B07":                                         "9A3F2C41B07",
		"Ok: queued as 4DfKpX0XyrzQ2Mk":                                     "4DfKpX0XyrzQ2Mk",
		"Ok: queued as 4jdTKz558Vz1SCPR":                                    "4jdTKz558Vz1SCPR",
		"OK id=1abCde-000123-4F":                                            "1abCde-000123-4F",
		"OK id=1vPkQr-00000001abc-2XyZ":                                     "1vPkQr-00000001abc-2XyZ",
		"1a2b3c4d Message accepted for delivery":                            "1a2b3c4d",
		"5AT8pQr2012345 Message accepted for delivery":                      "5AT8pQr2012345",
		"<x@y.example> [InternalId=73873981243391, Hostname=A.prod] Queued": "73873981243391",
		"Message Queued (6A5F0E3C-93D1-4F2B-8C11-0B5D5A3A1E11.1)":           "6A5F0E3C-93D1-4F2B-8C11-0B5D5A3A1E11.1",
		"Ok 010201920b7c1f2a-1b2c3d4e-1111-2222-3333-444455556666-000000":   "010201920b7c1f2a-1b2c3d4e-1111-2222-3333-444455556666-000000",
		"OK: queued as <abc@relay.example>":                                 "",
		"OK":                                                                "",
		"Ok: queued as 1 with a lot of other words":                         "",
		"Ok: queued as 0A3F2C4":                                             "0A3F2C4", // of a small inode
		"Ok: queued as HKQTZR":                                              "",
		"Ok: queued as 48392017":                                            "",
		"Ok: queued as 1C4D9E2F7A3B":                                        "", // it is in the mail
		"OK id=HKQTZR":                                                      "",
		"48392017 Message accepted for delivery":                            "",
		"Ok: queued as 9A3F2C41B07@x":                                       "9A3F2C41B07",
		"Ok: queued as 9A3F2C41B07\n250 2.0.0 and more":                     "9A3F2C41B07",
	} {
		if got := queueID(text, l); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzQueueID(f *testing.F) {
	l := quotingLetter(f)
	f.Add("Ok: queued as 9A3F2C41B07")
	f.Add("OK id=1abCde-000123-4F\nx")
	form := regexp.MustCompile(`^[0-9A-Za-z.-]{0,64}$`)
	f.Fuzz(func(t *testing.T, text string) {
		if id := queueID(text, l); !form.MatchString(id) || id != "" && l.contains(id) {
			t.Errorf("%q gives %q", text, id)
		}
	})
}

// Of a reply, an error shows the codes and a phrase of our own.
func TestErrorOfAReply(t *testing.T) {
	for in, want := range map[string]string{
		"554 5.7.1 banned phrase in subject 'Engangskode HKQTZR'\r\n":          "relay replied 554 5.7.1",
		"535 5.7.8 Error: authentication failed: HKQTZR\r\n":                   "relay replied 535 5.7.8",
		"550 <ola.nordmann@mottaker.example>: User unknown in local table\r\n": "relay replied 550 (user unknown)",
		"554-5.7.1 <ola@x>: Relay access\r\n554 5.7.1 denied\r\n":              "relay replied 554 5.7.1",
		"554 5.7.1 <ola@x>: Relay access denied; HKQTZR\r\n":                   "relay replied 554 5.7.1 (relay access denied)",
		"421\r\n": "relay replied 421",
	} {
		r, err := readerOf(strings.NewReader(in)).next()
		if err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		if got := r.Error(); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzErrorOfAReply(f *testing.F) {
	f.Add(554, "banned phrase 'HKQTZR'")
	f.Add(550, "User unknown, Relay access denied")
	known := slices.Concat(sessionPhrases, senderPhrases, mailboxPhrases, contentPhrases)
	form := regexp.MustCompile(`^relay replied -?[0-9]+( [245](\.[0-9]{1,3}){2})?( \((.*)\))?$`)
	f.Fuzz(func(t *testing.T, code int, text string) {
		got := newReply(code, strings.Split(text, "\n")).Error()
		found := form.FindStringSubmatch(got)
		if found == nil || found[4] != "" && !slices.Contains(known, found[4]) {
			t.Errorf("%q gives %q", text, got)
		}
	})
}

// Neither text nor subject nor recipient reaches a log or an error, even where
// the relay quotes them.
func TestNothingLeaks(t *testing.T) {
	secrets := []string{"483920", "Din kode", "ola.nordmann"}
	quote := "550 5.7.1 <ola.nordmann@mottaker.example>: user ola.nordmann got 'Koden er 483920', see (483920)\r\n"
	for _, verb := range []string{"RCPT", "."} {
		relay := listen(t, dialogue(relaytest.Reply{Verb: verb, Text: quote}))
		var log logtest.Log
		p, err := New(Config{Relays: []Relay{plain("mx", relay)}}, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		res := p.Send(within(t), to("ola.nordmann@mottaker.example"))
		if res.Outcome != handover.Refused || !strings.Contains(log.String(), "***@mottaker.example") {
			t.Fatalf("got %+v", res)
		}
		for _, secret := range secrets {
			if strings.Contains(log.String(), secret) || strings.Contains(res.Err.Error(), secret) {
				t.Errorf("%q leaks: %v", secret, res.Err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Run(ctx, Handler{})
	}
}

// An operator who asks gets each reply word for word.
func TestWords(t *testing.T) {
	relay := listen(t, dialogue(relaytest.Reply{Verb: "RCPT", Text: "554-5.7.1 banned 'HKQTZR'\r\n554 5.7.1 see you\r\n"}))
	p, err := New(Config{Relays: []Relay{plain("mx", relay)}}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 100)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- p.Run(ctx, Handler{Words: func(relay string, verbatim func() string) { heard <- relay + ": " + verbatim() }})
	}()
	eventually.True(t, "the relay to be connected", func() bool { return p.Ready() == nil })
	p.Send(within(t), to("kari@mottaker.example"))
	cancel()
	<-done
	close(heard)
	var all []string
	for words := range heard {
		all = append(all, words)
	}
	if !slices.Contains(all, "mx: 554 5.7.1 banned 'HKQTZR'\nsee you") || !strings.HasPrefix(all[0], "mx: 220 ") {
		t.Errorf("heard %q", all)
	}
}
