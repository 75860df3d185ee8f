package smtp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

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
					if res := p.round(within(t), mustLetter(t, local+"@mottaker.example")); res.Outcome != want {
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

func TestQueueID(t *testing.T) {
	for text, want := range map[string]string{
		"2.0.0 Ok: queued as 4XyZ1234":            "4XyZ1234",
		"OK id=1abCde-000123-4F":                  "1abCde-000123-4F",
		"2.0.0 OK: queued as <abc@relay.example>": "",
		"2.0.0 OK": "",
		"Ok: queued as 1 with a lot of other words": "1",
	} {
		if got := queueID(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzQueueID(f *testing.F) {
	f.Add("Ok: queued as 4XY")
	f.Add("OK id=1abC-00\nx")
	f.Fuzz(func(t *testing.T, text string) {
		if id := queueID(text); len(id) > 64 || strings.ContainsAny(id, "@ \r\n\t\x00\x1b") {
			t.Errorf("%q gives %q", text, id)
		}
	})
}

func TestMaskReply(t *testing.T) {
	l, err := newLetter(to("ola.nordmann@mottaker.example"), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"2.0.0 Ok: queued as 4XyZ":                         "2.0.0 Ok: queued as 4XyZ",
		"<ola.nordmann@mottaker.example>: unknown":         "<***@mottaker.example>: unknown",
		"RCPT TO:<ola.nordmann@mottaker.example> bad":      "RCPT TO:<***@mottaker.example> bad",
		"Subject:Din-kode-(483920)?":                       "***",
		"x:ola.nordmann(@y":                                "***",
		"user Ola.Nordmann unknown":                        "user *** unknown",
		"found \"483920\" in\r\n\x1b[31mtext":              "found *** in [31mtext",
		"see https://postmaster.example/?id=7 for 483920.": "see https://postmaster.example/?id=7 for ***",
		"a:b@c.example,d@e.example":                        "***@e.example",
	} {
		if got := maskText(text, l); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if long := maskText(strings.Repeat("ord ", 1000), l); len(long) > maxText+len(" …") {
		t.Errorf("%d octets", len(long))
	}
}

func FuzzMaskReply(f *testing.F) {
	l, err := newLetter(to("ola.nordmann@mottaker.example"), time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("<", "@mottaker.example>: unknown")
	f.Add("'", "'\r\n\x00")
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, secret := range []string{"ola.nordmann", "(483920)"} {
			text := maskText(before+secret+after, l)
			if strings.Contains(text, secret) {
				t.Errorf("%q leaks", text)
			}
			if len(text) > maxText+len(" …") || strings.ContainsAny(text, "\r\n\x00") || !utf8.ValidString(text) {
				t.Errorf("%q is not fit for a log", text)
			}
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
		p, err := New([]Relay{plain("mx", relay)}, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		res := p.Send(within(t), to("ola.nordmann@mottaker.example"))
		if res.Outcome != handover.Refused || !strings.Contains(log.String(), "***@mottaker.example") {
			t.Fatalf("got %+v", res)
		}
		for _, secret := range secrets {
			if strings.Contains(log.String(), secret) || strings.Contains(res.Text, secret) || strings.Contains(res.Err.Error(), secret) {
				t.Errorf("%q leaks: %s, %v", secret, res.Text, res.Err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Run(ctx, nil)
	}
}
