package smtp

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	gosmtp "github.com/emersion/go-smtp"

	"straks/internal/handover"
)

func TestJudge(t *testing.T) {
	type enhanced = gosmtp.EnhancedCode
	tests := []struct {
		code     int
		enhanced enhanced
		text     string
		at       stage
		want     verdict
	}{
		{250, enhanced{}, "", stageDot, verdict{outcome: handover.Accepted}},
		{421, enhanced{4, 3, 2}, "", stageMail, verdict{outcome: handover.NotSent, ours: true}},
		{421, enhanced{}, "", stageDot, verdict{outcome: handover.NotSent, ours: true}},
		{450, enhanced{4, 2, 0}, "Greylisted", stageRcpt, verdict{outcome: handover.NotSent}},
		{451, enhanced{4, 3, 0}, "", stageData, verdict{outcome: handover.NotSent, ours: true}},
		{452, enhanced{4, 3, 1}, "Insufficient system storage", stageMail, verdict{outcome: handover.NotSent, ours: true}},
		{452, enhanced{4, 2, 2}, "Mailbox full", stageDot, verdict{outcome: handover.NotSent}},
		{530, enhanced{5, 7, 0}, "Must issue a STARTTLS command first", stageMail, verdict{outcome: handover.NotSent, ours: true}},
		{503, enhanced{5, 5, 1}, "nested MAIL command", stageMail, verdict{outcome: handover.NotSent, ours: true}},
		{554, enhanced{5, 7, 1}, "<x>: Relay access denied", stageRcpt, verdict{outcome: handover.NotSent, ours: true}},
		{554, enhanced{5, 7, 1}, "<mx.example[192.0.2.1]>: Client host rejected: Access denied", stageRcpt, verdict{outcome: handover.NotSent, ours: true}},
		{554, enhanced{5, 7, 1}, "Service unavailable; Client host [192.0.2.1] blocked using zen.example", stageRcpt, verdict{outcome: handover.NotSent, ours: true}},
		{550, enhanced{}, "192.0.2.1 is Blocked Using zen.example", stageMail, verdict{outcome: handover.NotSent, ours: true}},
		{504, enhanced{5, 5, 2}, "<straks>: Helo command rejected: need fully-qualified hostname", stageRcpt, verdict{outcome: handover.NotSent, ours: true}},
		{550, enhanced{5, 7, 1}, "<straks>: Helo command rejected: Host not found", stageRcpt, verdict{outcome: handover.NotSent, ours: true}},
		{550, enhanced{5, 7, 1}, "Client was not authenticated", stageMail, verdict{outcome: handover.NotSent, ours: true}},
		{550, enhanced{5, 7, 1}, "Authentication required", stageRcpt, verdict{outcome: handover.NotSent, ours: true}},
		{553, enhanced{5, 7, 1}, "<a@b.example>: Sender address rejected: not owned by user straks", stageRcpt, verdict{outcome: handover.NotSent}},
		{553, enhanced{5, 7, 1}, "<a@b.example>: Sender address rejected: not logged in", stageRcpt, verdict{outcome: handover.NotSent}},
		{550, enhanced{5, 7, 1}, "", stageMail, verdict{outcome: handover.NotSent}},
		{550, enhanced{5, 7, 60}, "Client does not have permissions to send as this sender", stageMail, verdict{outcome: handover.NotSent}},
		{554, enhanced{5, 7, 1}, "Client host rejected, and all that", stageDot, verdict{outcome: handover.Refused, refusal: Filtered}},
		{550, enhanced{5, 1, 1}, "", stageRcpt, verdict{outcome: handover.Refused, refusal: NoSuchMailbox}},
		{556, enhanced{5, 1, 10}, "null MX", stageRcpt, verdict{outcome: handover.Refused, refusal: NoSuchMailbox}},
		{553, enhanced{5, 1, 3}, "", stageRcpt, verdict{outcome: handover.Refused, refusal: BadAddress}},
		{501, enhanced{5, 1, 7}, "", stageMail, verdict{outcome: handover.Refused, refusal: BadAddress}},
		{550, enhanced{5, 6, 7}, "", stageRcpt, verdict{outcome: handover.Refused, refusal: BadAddress}},
		{550, enhanced{5, 7, 1}, "", stageRcpt, verdict{outcome: handover.Refused, refusal: Filtered}},
		{550, enhanced{5, 7, 26}, "DMARC", stageDot, verdict{outcome: handover.Refused, refusal: Filtered}},
		{552, enhanced{5, 2, 2}, "", stageRcpt, verdict{outcome: handover.Refused, refusal: OtherRefusal}},
		{552, enhanced{5, 3, 4}, "too big", stageMail, verdict{outcome: handover.Refused, refusal: OtherRefusal}},
		{550, enhanced{}, "mailbox unavailable", stageRcpt, verdict{outcome: handover.Refused, refusal: NoSuchMailbox}},
		{550, enhanced{}, "blocked by Policy", stageRcpt, verdict{outcome: handover.Refused, refusal: Filtered}},
		{550, enhanced{}, "sender rejected", stageMail, verdict{outcome: handover.Refused, refusal: OtherRefusal}},
		{553, enhanced{}, "", stageRcpt, verdict{outcome: handover.Refused, refusal: BadAddress}},
		{554, enhanced{}, "looks like SPAM", stageDot, verdict{outcome: handover.Refused, refusal: Filtered}},
		{554, enhanced{5, 0, 0}, "no", stageDot, verdict{outcome: handover.Refused, refusal: OtherRefusal}},
		{354, enhanced{}, "", stageDot, verdict{outcome: handover.Unknown, ours: true}},
		{354, enhanced{}, "", stageRcpt, verdict{outcome: handover.NotSent, ours: true}},
		{250, enhanced{}, "", stageData, verdict{outcome: handover.NotSent, ours: true}},
		{199, enhanced{}, "", stageDot, verdict{outcome: handover.Unknown, ours: true}},
		{600, enhanced{}, "", stageDot, verdict{outcome: handover.Unknown, ours: true}},
	}
	for _, test := range tests {
		reply := &gosmtp.SMTPError{Code: test.code, EnhancedCode: test.enhanced, Message: test.text}
		if got := judge(reply, test.at); got != test.want {
			t.Errorf("%d %v %q at stage %d: %+v, want %+v", test.code, test.enhanced, test.text, test.at, got, test.want)
		}
	}
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
		if got := maskReply(text, l); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if long := maskReply(strings.Repeat("ord ", 1000), l); len(long) > maxText+len(" …") {
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
			text := maskReply(before+secret+after, l)
			if strings.Contains(text, secret) {
				t.Errorf("%q leaks", text)
			}
			if len(text) > maxText+len(" …") || strings.ContainsAny(text, "\r\n\x00") || !utf8.ValidString(text) {
				t.Errorf("%q is not fit for a log", text)
			}
		}
	})
}
