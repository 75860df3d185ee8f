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
// The daemon is wired in daemon.go, the only place where channels, orders and the
// journal meet. Its parts:
//
//	daemon_run.go                what runs, in which order it ends, and readiness
//	stack.go                     parts that end in the reverse order of their start
//	listen.go, admin.go          the two listeners
//	daemon_status.go, backup.go  what the admin listener tells
//	notify.go, hangup.go         systemd and SIGHUP
//	tune.go                      processors and memory
//
// Every other file is one command, or what several share. No command takes a password or
// a token as an argument.
package main
