// Package relaytest is a mail relay for tests, the sandbox and the demo: a real
// SMTP server that remembers what it took, and misbehaves on request.
//
// # What it plays
//
// An ordinary relay is go-smtp's server over a listener that counts and limits
// connections. Profile says which extensions it offers, and where it delays,
// freezes or drops. Profile.Script does with the bare connection what a decent server
// library can't do; scripts.go has the common ones.
//
// # Recipients that fail
//
// With StandardRules, the local part of the recipient decides, up to a "+" or
// "." (nosuch+7@example.org is as good as nosuch@example.org):
//
//	nosuch     550 5.1.1  no such mailbox
//	badsyntax  553 5.1.3  malformed address
//	spam       550 5.7.1  refused by policy
//	full       552 5.2.2  mailbox full
//	later      451 4.3.0  not now
//	toolate    452 4.2.2  not now, said only after the final dot
//	filtered   554 5.7.1  refused for its content, said only after the final dot
//	lost       taken, and the connection closed without an answer
//
// Anyone else gets their mail.
//
// # Ownership
//
// Listen starts the accepting goroutine, which starts one per connection. Close
// ends and joins them all, frozen ones too. Listen refuses any address but loopback,
// unless told otherwise: the relay is open to all, into memory.
package relaytest
