package smtp

import (
	"context"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

func TestClassify(t *testing.T) {
	type enhanced = [3]int
	tests := []struct {
		code     int
		enhanced enhanced
		text     string
		at       stage
		want     disposition
	}{
		{250, enhanced{}, "", stageDot, disposition{outcome: handover.Accepted}},
		{421, enhanced{4, 3, 2}, "", stageMail, disposition{outcome: handover.NotSent, ours: true}},
		{421, enhanced{}, "", stageDot, disposition{outcome: handover.NotSent, ours: true}},
		{450, enhanced{4, 2, 0}, "Greylisted", stageRcpt, disposition{outcome: handover.NotSent}},
		{451, enhanced{4, 3, 0}, "", stageData, disposition{outcome: handover.NotSent, ours: true}},
		{452, enhanced{4, 3, 1}, "Insufficient system storage", stageMail, disposition{outcome: handover.NotSent, ours: true}},
		{452, enhanced{4, 2, 2}, "Mailbox full", stageDot, disposition{outcome: handover.NotSent}},
		{530, enhanced{5, 7, 0}, "Must issue a STARTTLS command first", stageMail, disposition{outcome: handover.NotSent, ours: true}},
		{503, enhanced{5, 5, 1}, "nested MAIL command", stageMail, disposition{outcome: handover.NotSent, ours: true}},
		{554, enhanced{5, 7, 1}, "<x>: Relay access denied", stageRcpt, disposition{outcome: handover.NotSent, ours: true}},
		{554, enhanced{5, 7, 1}, "<mx.example[192.0.2.1]>: Client host rejected: Access denied", stageRcpt, disposition{outcome: handover.NotSent, ours: true}},
		{554, enhanced{5, 7, 1}, "Service unavailable; Client host [192.0.2.1] blocked using zen.example", stageRcpt, disposition{outcome: handover.NotSent, ours: true}},
		{550, enhanced{}, "192.0.2.1 is Blocked Using zen.example", stageMail, disposition{outcome: handover.NotSent, ours: true}},
		{504, enhanced{5, 5, 2}, "<straks>: Helo command rejected: need fully-qualified hostname", stageRcpt, disposition{outcome: handover.NotSent, ours: true}},
		{550, enhanced{5, 7, 1}, "<straks>: Helo command rejected: Host not found", stageRcpt, disposition{outcome: handover.NotSent, ours: true}},
		{550, enhanced{5, 7, 1}, "Client was not authenticated", stageMail, disposition{outcome: handover.NotSent, ours: true}},
		{550, enhanced{5, 7, 1}, "Authentication required", stageRcpt, disposition{outcome: handover.NotSent, ours: true}},
		{553, enhanced{5, 7, 1}, "<a@b.example>: Sender address rejected: not owned by user straks", stageRcpt, disposition{outcome: handover.NotSent, refusal: OtherRefusal}},
		{553, enhanced{5, 7, 1}, "<a@b.example>: Sender address rejected: not logged in", stageRcpt, disposition{outcome: handover.NotSent, refusal: OtherRefusal}},
		{550, enhanced{5, 7, 1}, "", stageMail, disposition{outcome: handover.NotSent, refusal: OtherRefusal}},
		{550, enhanced{5, 7, 60}, "Client does not have permissions to send as this sender", stageMail, disposition{outcome: handover.NotSent, refusal: OtherRefusal}},
		{554, enhanced{5, 7, 1}, "Client host rejected, and all that", stageDot, disposition{outcome: handover.Refused, refusal: Filtered}},
		{550, enhanced{5, 1, 1}, "", stageRcpt, disposition{outcome: handover.Refused, refusal: NoSuchMailbox}},
		{556, enhanced{5, 1, 10}, "null MX", stageRcpt, disposition{outcome: handover.Refused, refusal: NoSuchMailbox}},
		{553, enhanced{5, 1, 3}, "", stageRcpt, disposition{outcome: handover.Refused, refusal: BadAddress}},
		{501, enhanced{5, 1, 7}, "", stageMail, disposition{outcome: handover.NotSent, refusal: BadAddress}},
		{550, enhanced{5, 6, 7}, "", stageRcpt, disposition{outcome: handover.NotSent, refusal: BadAddress}},
		{550, enhanced{5, 7, 1}, "", stageRcpt, disposition{outcome: handover.NotSent, refusal: Filtered}},
		{550, enhanced{5, 7, 26}, "DMARC", stageDot, disposition{outcome: handover.Refused, refusal: Filtered}},
		{552, enhanced{5, 2, 2}, "", stageRcpt, disposition{outcome: handover.Refused, refusal: OtherRefusal}},
		{552, enhanced{5, 3, 4}, "too big", stageMail, disposition{outcome: handover.NotSent, refusal: OtherRefusal}},
		{550, enhanced{}, "mailbox unavailable", stageRcpt, disposition{outcome: handover.Refused, refusal: NoSuchMailbox}},
		{550, enhanced{}, "blocked by Policy", stageRcpt, disposition{outcome: handover.NotSent, refusal: Filtered}},
		{550, enhanced{}, "sender rejected", stageMail, disposition{outcome: handover.NotSent, refusal: OtherRefusal}},
		{553, enhanced{}, "", stageRcpt, disposition{outcome: handover.NotSent, refusal: BadAddress}},
		{554, enhanced{}, "looks like SPAM", stageDot, disposition{outcome: handover.Refused, refusal: Filtered}},
		{554, enhanced{5, 0, 0}, "no", stageDot, disposition{outcome: handover.Refused, refusal: OtherRefusal}},
		{354, enhanced{}, "", stageDot, disposition{outcome: handover.Unknown, ours: true}},
		{354, enhanced{}, "", stageRcpt, disposition{outcome: handover.NotSent, ours: true}},
		{250, enhanced{}, "", stageData, disposition{outcome: handover.NotSent, ours: true}},
		{199, enhanced{}, "", stageDot, disposition{outcome: handover.Unknown, ours: true}},
		{600, enhanced{}, "", stageDot, disposition{outcome: handover.Unknown, ours: true}},
	}
	for _, test := range tests {
		r := &reply{test.code, test.enhanced, test.text}
		if got := classify(r, test.at); got != test.want {
			t.Errorf("%d %v %q at stage %d: %+v, want %+v", test.code, test.enhanced, test.text, test.at, got, test.want)
		}
	}
}

func TestAccepted(t *testing.T) {
	relay := listen(t, relaytest.Profile{})
	p := newPool(t, plain("mx", relay))
	res := p.Send(within(t), to("kari@mottaker.example"))
	if res.Outcome != handover.Accepted || res.Relay != "mx" || res.Code != 250 || res.Err != nil {
		t.Fatalf("got %+v", res)
	}
	got, err := relay.WaitMessages(within(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].From != "b+1@retur.example" || got[0].To != "kari@mottaker.example" {
		t.Errorf("envelope %s -> %s", got[0].From, got[0].To)
	}
}

func TestOutcomeByReply(t *testing.T) {
	tests := []struct {
		local   string
		outcome handover.Outcome
		refusal Refusal
		code    int
	}{
		{"nosuch", handover.Refused, NoSuchMailbox, 550},
		{"badsyntax", handover.Refused, BadAddress, 553},
		{"spam", handover.Refused, Filtered, 550},
		{"full", handover.Refused, OtherRefusal, 552},
		{"later", handover.NotSent, NotRefused, 451},
		{"toolate", handover.NotSent, NotRefused, 452},
		{"filtered", handover.Refused, Filtered, 554},
		{"lost", handover.Unknown, NotRefused, 0},
		{"kari", handover.Accepted, NotRefused, 250},
	}
	relay := listen(t, relaytest.Profile{Rules: relaytest.StandardRules()})
	p := newPool(t, plain("mx", relay)) // one connection: each leaves it fit for the next
	for _, test := range tests {
		res := p.Send(within(t), to(test.local+"@mottaker.example"))
		if res.Outcome != test.outcome || res.Refusal != test.refusal || res.Code != test.code {
			t.Errorf("%s: got %+v", test.local, res)
		}
		if (res.Err == nil) != (test.outcome == handover.Accepted) {
			t.Errorf("%s: error %v", test.local, res.Err)
		}
	}
	if accepted, _ := relay.Connections(); accepted != 4 { // "lost" cost one, the second attempt at "later" another, and the refusals a third
		t.Errorf("took %d connections", accepted)
	}
}

func TestOutcomeByBreak(t *testing.T) {
	tests := []struct {
		name    string
		profile relaytest.Profile
		outcome handover.Outcome
	}{
		{"drop at MAIL", relaytest.Profile{Drop: relaytest.AtMail}, handover.NotSent},
		{"drop at RCPT", relaytest.Profile{Drop: relaytest.AtRcpt}, handover.NotSent},
		{"drop at dot", relaytest.Profile{Drop: relaytest.AtDot}, handover.Unknown},
		{"freeze at MAIL", relaytest.Profile{Freeze: relaytest.AtMail}, handover.NotSent},
		{"freeze at RCPT", relaytest.Profile{Freeze: relaytest.AtRcpt}, handover.NotSent},
		{"freeze at dot", relaytest.Profile{Freeze: relaytest.AtDot}, handover.Unknown},
		{"mute", relaytest.Profile{Script: relaytest.Mute}, handover.NotSent},
		{"garbage", relaytest.Profile{Script: relaytest.Garbage}, handover.NotSent},
		{"nonsense after the dot", dialogue(relaytest.Reply{Verb: ".", Text: "yes\r\n"}), handover.Unknown},
		{"354 after the dot", dialogue(relaytest.Reply{Verb: ".", Text: "354 more\r\n"}), handover.Unknown},
		{"251 after the dot", dialogue(relaytest.Reply{Verb: ".", Text: "251 fine\r\n"}), handover.Accepted},
		{"421 after the dot", dialogue(relaytest.Reply{Verb: ".", Text: "421 bye\r\n", Close: true}), handover.NotSent},
		{"login wanted", dialogue(relaytest.Reply{Verb: "MAIL", Text: "530 5.7.0 Authentication required\r\n"}), handover.NotSent},
		{"relaying denied", dialogue(relaytest.Reply{Verb: "RCPT", Text: "554 5.7.1 Relay access denied\r\n"}), handover.NotSent},
		{"250 to DATA", dialogue(relaytest.Reply{Verb: "DATA", Text: "250 eh\r\n"}), handover.NotSent},
		{"one reply too many", dialogue(relaytest.Reply{Verb: "MAIL", Text: "250 ok\r\n250 ok\r\n"}), handover.NotSent},
		{"a reply before the dot", dialogue(relaytest.Reply{Verb: "DATA", Text: "354 go on\r\n250 ok\r\n"}), handover.NotSent},
		{"half a code after the dot", dialogue(relaytest.Reply{Verb: ".", Text: "25", Close: true}), handover.Unknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			memory.Bubble(t, func(t *testing.T) {

				config := plain("mx", listen(t, test.profile))
				config.DataTimeout = 300 * time.Millisecond
				p := newPool(t, config)
				ctx := within(t)
				if test.outcome == handover.NotSent { // Send goes on until the deadline
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
					defer cancel()
				}
				if res := p.Send(ctx, to("kari@mottaker.example")); res.Outcome != test.outcome {
					t.Errorf("got %s: %v", res.Outcome, res.Err)
				}
			})
		})
	}
}
