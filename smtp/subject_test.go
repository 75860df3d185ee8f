package smtp

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// elsewhere are refusals before the dot that are not about the recipient, as servers word them.
var elsewhere = []struct{ verb, reply string }{
	{"RCPT", "550 Sender verify failed"},
	{"RCPT", "550-Verification failed for <varsel@avsender.example>\r\n550-No Such User Here\r\n550 Sender verify failed"},
	{"RCPT", "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP."},
	{"RCPT", "550-5.4.5 Daily user sending limit exceeded. For more information on Gmail\r\n550-5.4.5 sending limits go to\r\n550 5.4.5  https://support.google.com/a/answer/166852 a1 - gsmtp"},
	{"MAIL", "501 5.1.7 Invalid address"},
	{"MAIL", "550 5.2.252 Sender throttled due to continuous send as denied errors."},
	{"MAIL", "550 5.1.1 User unknown"},
	{"MAIL", "550 No such user"},
	{"MAIL", "550"},
	{"MAIL", "552 5.3.4 Message size exceeds fixed limit"},
	// Exchange Online
	{"RCPT", "550 5.1.8 Access denied, bad outbound sender"},
	{"RCPT", "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients"},
	{"RCPT", "550 5.7.64 TenantAttribution; Relay Access Denied SMTP"},
	{"RCPT", "550 5.7.501 Access denied, spam abuse detected"},
	{"RCPT", "550 5.7.511 Access denied, banned sender[192.0.2.1]"},
	{"RCPT", "550 5.7.606 Access denied, banned sending IP [192.0.2.1]"},
	{"RCPT", "550 5.7.705 Access denied, tenant has exceeded threshold"},
	{"RCPT", "550 5.7.750 Service unavailable. Client blocked from sending from unregistered domains"},
	{"MAIL", "530 5.7.57 Client not authenticated to send mail"},
	{"RCPT", "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140)."},
	// Google
	{"RCPT", "550-5.7.1 [192.0.2.1] Our system has detected an unusual rate of\r\n550-5.7.1 unsolicited mail originating from your IP\r\n550 5.7.1 address. gsmtp"},
	{"RCPT", "550-5.7.25 [192.0.2.1] The IP address sending this message does not have a PTR record\r\n550 5.7.25 setup. gsmtp"},
	{"RCPT", "550-5.7.26 Unauthenticated email from avsender.example is not accepted due to\r\n550 5.7.26 domain's DMARC policy. gsmtp"},
	{"MAIL", "550 5.7.1 Daily SMTP relay limit exceeded for customer. gsmtp"},
	{"RCPT", "550-5.7.0 Mail relay denied [192.0.2.1]. Invalid credentials for relay for\r\n550 5.7.0 one of the domains. gsmtp"},
	// Postfix, Exim, sendmail, qmail
	{"RCPT", "550 5.1.0 <varsel@avsender.example>: Sender address rejected: User unknown in virtual mailbox table"},
	{"RCPT", "550 5.1.8 <varsel@avsender.example>: Sender address rejected: Domain not found"},
	{"RCPT", "550 5.1.7 <varsel@avsender.example>: Sender address rejected: undeliverable address: host mx said: 550 5.1.1 User unknown"},
	{"RCPT", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"},
	{"RCPT", "550 5.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.1]"},
	{"RCPT", "550 relay not permitted"},
	{"RCPT", "550 192.0.2.1 is listed at dnsbl.example"},
	{"RCPT", "553 5.1.8 <varsel@avsender.example>... Domain of sender address varsel@avsender.example does not exist"},
	{"RCPT", "550 5.7.1 <kari@mottaker.example>... Relaying denied. Proper authentication required."},
	{"RCPT", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"},
	{"RCPT", "550 5.5.3 Too many recipients"},
	{"DATA", "554 5.5.0 Too many messages in this session"},
	{"RCPT", "550 Rejected: avsender.example does not pass SPF"},
	// Amazon SES, Mailgun, SendGrid, Brevo
	{"MAIL", "554 Message rejected: Email address is not verified. The following identities failed the check"},
	{"RCPT", "554 Throttling failure: Daily message quota exceeded."},
	{"RCPT", "554 Sending paused for this account."},
	{"MAIL", "550 5.7.1 Domain sandbox.example is not allowed to send: Free accounts are for test purposes only."},
	{"RCPT", "550 Unauthenticated senders not allowed"},
	{"RCPT", "550 The from address does not match a verified Sender Identity."},
	{"RCPT", "550 5.7.1 Maximum credits exceeded"},
	{"RCPT", "525 5.7.1 Unauthorized IP address"},
	// They say nothing of the recipient.
	{"RCPT", "550"},
	{"RCPT", "550 5.7.1 Refused by policy"},
	{"RCPT", "554 5.0.0 Go away"},
	{"RCPT", "550 Administrative prohibition"},
	{"DATA", "554 5.7.1 Not today"},
	// What a relay quotes says nothing either.
	{"RCPT", "550 5.7.1 <user.unknown@mottaker.example>: rejected"},
}

// A refusal that is not about the recipient leaves the mail to the next relay.
func TestRefusalsOfUsAndTheSender(t *testing.T) {
	good := listen(t, relaytest.Profile{})
	for _, test := range elsewhere {
		t.Run(test.reply, func(t *testing.T) {
			first := listen(t, dialogue(relaytest.Reply{Verb: test.verb, Text: test.reply + "\r\n"}))
			p := newPool(t, plain("first", first), plain("good", good))
			if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted || res.Relay != "good" {
				t.Errorf("got %+v", res)
			}
		})
	}
}

// At the greeting, EHLO and AUTH no reply is about a mail.
func TestRefusalsOfTheSession(t *testing.T) {
	good := listen(t, relaytest.Profile{})
	hello := relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250-auth plain\r\n250 SIZE\r\n"}
	for name, replies := range map[string][]relaytest.Reply{
		"EHLO": {{Verb: "EHLO", Text: "550 5.1.1 User unknown\r\n"}},
		"AUTH": {hello, {Verb: "AUTH", Text: "550 5.1.1 User unknown\r\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			first := plain("first", listen(t, dialogue(replies...)))
			first.Username, first.Password, first.TLS, first.InsecureAuth = "straks", "hemmelig", TLSOff, true
			p := newPool(t, first, plain("good", good))
			if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted || res.Relay != "good" {
				t.Errorf("got %+v", res)
			}
		})
	}
}

// A refusal that is about the recipient is final: no other relay is tried.
func TestRefusalsOfTheRecipient(t *testing.T) {
	good := listen(t, relaytest.Profile{})
	for reply, want := range map[string]Refusal{
		"550 5.1.1 <kari@mottaker.example>: Recipient address rejected: User unknown in local recipient table":                                                  NoSuchMailbox,
		"550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n550 5.1.1  https://support.google.com/mail/?p=NoSuchUser a1 - gsmtp": NoSuchMailbox,
		"550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup":                                                                 NoSuchMailbox,
		"550-5.2.1 The email account that you tried to reach is disabled.\r\n550 5.2.1 gsmtp":                                                                   NoSuchMailbox,
		"550 Requested action not taken: mailbox unavailable":                                                                                                   NoSuchMailbox,
		"550 Unrouteable address": NoSuchMailbox,
		"550 User (kari@mottaker.example) not listed in Domino Directory": NoSuchMailbox,
		"551 kari is not local":                           NoSuchMailbox,
		"550 No such user - spam@x.example":               NoSuchMailbox,
		"552 5.2.2 <kari@mottaker.example>: Mailbox full": OtherRefusal,
		"552 Mailbox is over quota":                       OtherRefusal,
		"553 5.1.3 Bad syntax":                            BadAddress,
	} {
		first := listen(t, dialogue(relaytest.Reply{Verb: "RCPT", Text: reply + "\r\n"}))
		p := newPool(t, plain("first", first), plain("good", good))
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Refused || res.Refusal != want || res.Relay != "first" {
			t.Errorf("%q: got %+v", reply, res)
		}
	}
	if good.Taken() > 0 {
		t.Errorf("the other relay took %d mails", good.Taken())
	}
}

// A mail that every relay declines is refused at once, unless one declines it for a fault of ours, which can be
// corrected.
func TestEveryRelayDeclines(t *testing.T) {
	const sender, us, policy = "550 5.7.1 Sender address rejected\r\n", "550 5.7.708 Access denied, traffic not accepted from this IP.\r\n", "550 5.7.1 Refused by policy\r\n"
	for _, test := range []struct {
		replies []string
		outcome handover.Outcome
		refusal Refusal
	}{
		{[]string{sender}, handover.Refused, OtherRefusal},
		{[]string{"501 5.1.7 Invalid address\r\n", sender}, handover.Refused, BadAddress},
		{[]string{policy, sender}, handover.Refused, Filtered},
		{[]string{us, sender}, handover.NotSent, NotRefused},
		{[]string{us, us}, handover.NotSent, NotRefused},
		{[]string{policy, "451 4.4.2 Later\r\n"}, handover.NotSent, NotRefused},
	} {
		var relays []Relay
		for i, reply := range test.replies {
			relays = append(relays, plain(fmt.Sprint("r", i), listen(t, dialogue(relaytest.Reply{Verb: "RCPT", Text: reply}))))
		}
		p := newPool(t, relays...)
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != test.outcome || res.Refusal != test.refusal || res.Err == nil {
			t.Errorf("%q: got %+v", test.replies, res)
		}
	}
}

// While a relay can't be reached, one that declined the mail is not asked again; the other gets the mail when
// it is back.
func TestDeclinedIsNotAskedAgain(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		script, sent := recorded(relaytest.Dialogue(relaytest.Reply{Verb: "RCPT", Text: "550 5.7.1 Refused by policy\r\n"}))
		picky, down := listen(t, relaytest.Profile{Script: script}), listen(t, relaytest.Profile{})
		addr := down.Addr()
		down.Close()
		p := newPool(t, plain("picky", picky), Relay{Name: "down", Addr: addr})
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		res := p.Send(ctx, to("kari@mottaker.example"))
		if n := strings.Count(sent(), "RCPT"); res.Outcome != handover.NotSent || n != 1 {
			t.Errorf("asked %d times: %+v", n, res)
		}
		if p.States()[1].Failures < 2 {
			t.Errorf("the other was tried %d times", p.States()[1].Failures)
		}
	})
}

// A limit of the connection ends with the connection.
func TestConnectionLimit(t *testing.T) {
	relay := listen(t, dialogue(relaytest.Reply{Verb: "MAIL", Nth: 3, Text: "550 5.7.0 Too many messages in this session\r\n"}))
	p := newPool(t, plain("mx", relay))
	for range 6 {
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Errorf("got %+v", res)
		}
	}
	if accepted, _ := relay.Connections(); accepted != 3 {
		t.Errorf("%d connections", accepted)
	}
}

// A mail larger than the SIZE of a relay goes to another, or is refused before MAIL.
func TestSize(t *testing.T) {
	for _, keyword := range []string{"SIZE 100", "size 100"} {
		script, sent := recorded(relaytest.Dialogue(relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250 " + keyword + "\r\n"}))
		small, large := listen(t, relaytest.Profile{Script: script}), listen(t, relaytest.Profile{})
		p := newPool(t, plain("small", small), plain("large", large))
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted || res.Relay != "large" {
			t.Errorf("%s: got %+v", keyword, res)
		}
		p = newPool(t, plain("small", small))
		res := p.Send(within(t), to("kari@mottaker.example"))
		if res.Outcome != handover.Refused || res.Refusal != OtherRefusal || !strings.Contains(res.Err.Error(), "its SIZE is 100") {
			t.Errorf("%s: got %+v", keyword, res)
		}
		if strings.Contains(sent(), "MAIL") {
			t.Errorf("%s: sent\n%s", keyword, sent())
		}
	}
	for _, keyword := range []string{"SIZE", "SIZE 0", "SIZE x", "SIZE -1", "SIZE 1000000", "SIZE 99999999999999999999"} {
		relay := listen(t, dialogue(relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250 " + keyword + "\r\n"}))
		if res := newPool(t, plain("mx", relay)).Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Errorf("%s: got %+v", keyword, res)
		}
	}
}
