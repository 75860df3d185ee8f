// Command straks sends instant notifications: one SMS or one e-mail to one
// recipient, at once. It is the daemon and everything that its operator and a
// client need beside it.
//
// main only ties signals to a context; run finds the command in a table and
// turns its error into an exit code, so that tests run the whole program in
// their own process:
//
//	0  done
//	1  it failed; the reason is on stderr
//	2  the command line is wrong
//
// The daemon proper is wired in daemon*.go and carrier*.go: the only place where
// smpp, smtp, orders and the journal meet. Its parts are in stack.go (what ends
// when), listen.go, admin.go, backup.go, notify.go and memory.go, and, for what
// SMSCs deliver, delivery.go and inbound.go. Everything else here is one file for
// one command. No command takes a password or a token as an argument.
package main
