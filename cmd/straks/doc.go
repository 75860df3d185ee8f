// Command straks sends instant notifications: one SMS or one e-mail to one
// recipient, at once. It is the daemon, and what its operator and a client need
// beside it.
//
// main only ties signals to a context. run finds the command in a table and turns
// its error into an exit code, so that tests can run the whole program in their own
// process:
//
//	0  done
//	1  it failed; the reason is on stderr
//	2  the command line is wrong
//	3  send: the order was taken, but its message failed for good
//
// The daemon itself is internal/daemon. serve.go runs it with what belongs to the
// process: signals, the log, the Go runtime. Every other file is one command,
// or what several share; no command takes a password or a token as an argument:
//
//	main.go, run.go, commands.go    the table of commands, flags, exit codes
//	serve.go, init.go, check.go     the daemon, its journal and its configuration
//	demo.go, sandbox.go, smsc.go    a daemon with simulated carriers, or one of these alone
//	route.go                        where an SMS would go
//	status.go, fetch.go             what a running daemon says of itself
//	journal.go, compact.go          the journal's file
//	token.go, version.go
//	client.go                       what the client's commands share:
//	send.go, outcome.go, feed.go    orders, and what became of them
package main
