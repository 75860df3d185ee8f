// Package smtp hands single mails over to mail relays, now, over connections
// that are kept open.
//
// # Files
//
//	pool.go         several relays: the order in which a mail tries them
//	setup.go        the configuration in use, and a change of it
//	route.go        the relays of a mail, by its domains and organisation
//	relay.go        one relay: its connections and their slots
//	maintain.go     idle connections: keepalive, probes, reconnects; drain
//	health.go       the state of a relay, its back-off, and its state for operators
//	operate.go      what an operator may do with a relay: pause, drain, resume, try now
//	silence.go      a relay that does not reply to the final dot
//	dial.go         a new connection: TLS, greeting, EHLO, login
//	auth.go         the mechanisms of a login
//	transaction.go  one mail on one connection, up to the reply to its final dot
//	flight.go       MAIL, RCPT and DATA in one round trip
//	late.go         replies to the final dot that arrive after Send has ended
//	client.go       our end of SMTP: eight commands, deadlines, extensions
//	reply.go        the only reader of replies
//	queueid.go      the forms in which relays name a mail
//	outcome.go      what a reply allows: the table from reply codes to reasons
//	subject.go      what a refusal is about: the recipient, the sender or us
//	message.go      the mail: its check, its header, its encoding
//	attached.go     a mail that carries another one
//	envelope.go     the envelope sender, and whether reports come back
//	subjectline.go  the subject as encoded words
//	name.go         the sender's name beside its address
//	dkim.go         the signatures of a mail
//	dkimkey.go      the keys of signatures, and their DNS records
//	text.go         the text alternative of an HTML mail
//	hidden.go       what of an HTML mail is not shown
//	lists.go        the numbers of ordered lists
//	address.go      addresses and host names
//	config.go       the configuration of a relay
//	validate.go     every fault of the configuration
//	probe.go        a connection to look at a relay, without a mail
//	metrics.go      straks_smtp_*
//
// # Protocol flow
//
// A kept connection carries one transaction after another (RFC 5321 §3.3), without
// RSET between them:
//
//	C: MAIL FROM:<return path> [SIZE=…] [SMTPUTF8] [RET=HDRS ENVID=…]
//	C: RCPT TO:<recipient> [NOTIFY=… ORCPT=…]
//	C: DATA
//	S: 354
//	C: header, body, "."         the point of no return
//	S: 250 2.0.0 queued as …
//
// Where the relay offers PIPELINING (RFC 2920), MAIL, RCPT and DATA go out in one piece: two round trips in place of
// four. After a refusal of MAIL or RCPT the replies to the other commands are read too. If DATA got 354 all the
// same, the connection is closed: a lone dot could deliver an empty mail. If a reply is missing, or
// one is left over, it is not certain which command was refused, and the mail is NotSent.
//
// # What an error allows
//
// Everything depends on the final dot. A relay must not deliver a message whose
// end it has not seen (RFC 5321 §4.1.1.4), so:
//
//	before the dot   4yz, 421, lost, timed out    NotSent, another relay may get it
//	before the dot   a reply to no command        NotSent, and the dot is not written
//	before the dot   5yz about the recipient      Refused
//	before the dot   any other 5yz                NotSent, another relay may get it
//	after the dot    5yz                          Refused
//	dot not written  the write itself failed      NotSent: its last octet never left
//	dot written      2yz                          Accepted
//	dot written      4yz                          NotSent: the relay says it did not take it
//	dot written      lost, timed out, garbage     Unknown: no relay ever gets it again
//
// A 5yz before the dot is about the recipient only if it says so, by its code (5.1.1, 5.2.2, …) or its
// text; at the greeting, EHLO, AUTH and MAIL it can't be. Others are about us or the session (530, "relay
// access denied", limits of the account, …), about the sender (5.1.7, "sender verify failed", …), or do not say. The
// relay then declines the mail: it is not asked again, and the next relay is. A mail larger than the SIZE of
// a relay, or with an address that needs SMTPUTF8 where that is not offered, is declined without
// a command. When every relay has declined a mail, it is Refused, as the first of them put it; but
// NotSent where one of them declined it for a fault of ours, which can be corrected.
//
// A Send whose deadline passes between the dot and its reply ends as Unknown. The reply is
// awaited all the same, until Relay.DataTimeout after the dot. The connection keeps its slot
// meanwhile, but is closed when a mail has waited yieldAfter for a slot. A reply that arrives
// goes to Handler.Late. There a 4yz counts as Refused: nobody sends the mail again.
//
// # Several relays
//
// A mail has one route, which names its relays. They are tried in that order, modified by their health:
// connected before not, well before in trouble, free before busy or at their rate. Each gets its share of the
// time left up to the dot. When no relay can be reached, all are tried again until
// the context ends.
//
// A 4yz to RCPT gets a second attempt on a new connection, once, when no other relay takes the mail: at once
// after postscreen's 4.3.2, else after 250 to 500 ms, in which Postfix verifies an address.
//
// A relay that was reached, and refuses us or breaks off before it is ready for a mail (greeting, TLS, EHLO,
// login), is dialled once in refusedPause. A mail that finds no other relay is NotSent at once, rather than waiting for
// it.
//
// A relay in trouble (it broke off, timed out, or replied that it is unfit) goes last, until
// a probe finds it well. The probe is a NOOP, and may be wrong about mails: so after the next
// failure the probe comes later.
//
// A relay that replies to no final dot any more, while replies are due, is silent (silence.go). It gets
// no mail except one a second, or one in 30 s where another relay is connected and replies. If all others
// are silent or down, mails are refused at once. No NOOP ends this, but the next reply to a dot does.
//
// # Ownership
//
// Pool.Run starts one goroutine per relay, relay.maintain, and joins it. It keeps
// Relay.MinIdle connections open, sends NOOP on idle ones, replaces exhausted ones (too old, MaxMails, maxReuse), and
// reconnects with jittered back-off.
//
// A connection belongs to the Send or the maintain that took it from its relay's stack,
// until it is put back. Where Send ends before the reply to the final dot, a goroutine owns
// the connection until that reply; Run joins it. Every Send has one of Relay.MaxConns slots,
// so that connections, in use or idle, are never more than that.
//
// Every read and write has an absolute deadline: that of its stage, or of its context. A
// context that is cancelled closes the socket. Replies are bounded in octets and lines. A
// connection on which more arrived than was asked for is closed: a reply out of step would
// pass for the reply to the next mail.
//
// The text and subject of a mail live in memory for the length of Send, and of the
// wait for a late reply. They never reach a log or an error, and neither does the recipient. Relays
// quote mails, addresses and passwords in their replies, so of a reply only its codes, a queue
// id of a known form and a phrase of our own table (knownPhrase) leave this package, and of a
// failed handshake nothing that the certificate says.
package smtp
