// Package dsn reads mails that come back: delivery reports, automatic replies, complaints. Like package
// dlr, it is pure: no clock, no log, no state.
//
//	mail + Envelope --Parse--> Result    what became of which mail
//
// The files:
//
//	parse.go    Parse; Keys: which mail it is about
//	verdict.go  Result, and the words in it
//	tree.go     the parts of a mail, and their bounds
//	fields.go   the fields of headers and reports; comments, blank lines
//	report.go   delivery reports: Action, Status, several recipients
//	codes.go    codes in texts
//	reasons.go  why a mail failed: codes and phrases
//	qmail.go    the report of qmail, which is no MIME
//	replies.go  automatic replies and complaints
//
// # What a mail is
//
// The first rule that holds decides:
//
//  1. It has a part message/delivery-status (RFC 3464) or message/global-delivery-status (RFC 6533),
//     anywhere in the MIME tree: a report. OpenSMTPD puts it into multipart/mixed. Of several, those count
//     that are attached in the fewest mails. Auto-Submitted is not asked: reports have it too, or not.
//  2. Its text begins as qmail's reports do: a report that the mail failed.
//  3. It has a part message/feedback-report (ARF, RFC 5965) of a type that complains: Complaint.
//  4. A program sent it (RFC 3834), or it is a read receipt (RFC 8098): AutoReply. Ignore it.
//
// Everything else is Nothing: a person's reply, for instance.
//
// # What a report says
//
// Action counts first (RFC 3464 §2.3.3). Relayed is handed over to a server without DSN, and normally the
// last report. Expanded and Delayed are open.
//
// The code of a failure comes from Status, else from the enhanced code in Diagnostic-Code, else from its
// reply code, else from the first "550 5.1.1" of the text for people. x.0.0 is "not said": Exim and
// OpenSMTPD write 5.0.0 where a code is known. sendmail writes 5.1.1 for any 550 without an enhanced code
// (MadeUp). Comments (RFC 5322 §3.2.2) are removed from every field.
//
//	4.y.z, 4yz             Transient: the server gave up after temporary errors
//	5.1.1, 5.1.2, 5.1.10…  NoSuchMailbox
//	5.1.3, 5.1.7, 5.6.7    BadAddress
//	5.7.z                  Filtered
//	5.y.z                  Bounced
//	5yz or no code         by a phrase: "user unknown", "spam", "retry timeout exceeded"; else Bounced
//
// OpenSMTPD reports a mail that expired as delayed with 4.4.7, and nothing after it: Transient. Exchange
// and Amazon SES write the same in a warning, but with a Will-Retry-Until or a Diagnostic-Code: Delayed.
//
// Reports come twice, late and out of order. Parse knows of one mail only: the caller applies a report so
// that its order and number do not matter.
//
// # Which mail it is about
//
// Result.Keys has, most reliable first: the token of the address that the mail came to, which the caller
// has verified; Original-Envelope-Id; the Message-Id of the attached mail or header. Final-Recipient is
// no key: it is the address behind an alias. Only the token is proof. Anybody can write the other two.
//
// # What leaves the package
//
// A report quotes the mail, which may have a login code. So a Result has codes within the ranges of the
// standards, words and phrases of this package's tables, and UUIDs of the form of our ids. Nothing else.
//
// # Bounds
//
// At most 1 MiB of a mail is read, 64 KiB of a header, 200 parts, ten deep, 16 KiB of text. What is beyond
// is not read; nothing panics, and no mail costs more than in proportion to its size. Headers and transfer
// encodings are read by go-message. The parts of a multipart are split here (see split).
//
// # The vectors
//
// testdata/*.eml are reports that Postfix 3.7, Exim 4.96, OpenSMTPD 6.8, sendmail 8.17 and Haraka 3.3
// wrote. testdata/unverified/*.eml are not: Exchange, Gmail, Amazon SES, qmail, Domino, ARF and automatic
// replies were written by hand after documented forms, so they prove only that we read what we wrote.
package dsn
