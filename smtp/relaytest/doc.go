// Package relaytest is a mail relay for tests, the sandbox and the demo: a real
// SMTP server that remembers the mails it took, and misbehaves on request.
//
// # Files
//
//	relay.go     the relay: Listen, the mails it took, Close
//	profile.go   the behaviour of a relay, and the mails that it records
//	session.go   an ordinary connection: the backend of go-smtp's server
//	rules.go     recipients that fail
//	reports.go   reports about mails that the relay took; reporttext.go: their texts
//	sandbox.go   the profile of the sandbox's relay
//	trouble.go   trouble of the whole relay that begins and ends: busy, slow, down
//	scripts.go   misbehaviour that a server library can't produce
//	fault.go     Faulty: a relay that is wrong in one reply
//	listener.go  counts, limits and closes connections
//
// # Behaviour
//
// An ordinary relay is go-smtp's server over a listener that counts and limits
// connections. Profile has the extensions it offers, and the stages at which it delays,
// freezes or drops. Profile.Script has a bare connection instead, for the rest; scripts.go
// has the common ones.
//
// # Recipients that fail
//
// With StandardRules, the local part of the recipient decides, up to a "+" or
// "." (nosuch+7@example.org is treated as nosuch@example.org):
//
//	nosuch     550 5.1.1  no such mailbox
//	badsyntax  553 5.1.3  malformed address
//	spam       550 5.7.1  refused by policy
//	full       552 5.2.2  mailbox full
//	later      451 4.3.0  temporary failure
//	toolate    452 4.2.2  temporary failure, only after the final dot
//	filtered   554 5.7.1  refused for its content, only after the final dot
//	lost       taken, and the connection closed without a reply
//	slow       taken, and the final dot answered after three seconds
//
// All other recipients get their mail.
//
// # Reports
//
// With Profile.Reports the relay takes mails as a smarthost does, and reports to their return paths what became of
// them. With StandardReports:
//
//	nosuch       failed 5.1.1
//	full         failed 5.2.2
//	spam         failed 5.7.1
//	quarantined  failed 5.7.1, put into quarantine
//	later        delayed, then failed with 4.2.0
//	delivered    delivered
//	relayed      relayed, as of all other recipients
//	expanded     expanded, and nothing after it
//	returned     relayed, then failed with 5.1.1 by the server beyond
//	autoreply    relayed, then an automatic reply
//	complaint    relayed, then a complaint
//	silent       nothing
//
// In the sandbox, refused@ (550 5.1.1) and busy@ (451) are refused at RCPT, since nosuch@ and later@ are taken.
//
// # Ownership
//
// Listen starts the accepting goroutine, which starts one per connection. Close
// ends and joins them all, frozen ones too. Listen refuses addresses other than loopback
// by default: the relay takes mail from everyone, into memory.
package relaytest
