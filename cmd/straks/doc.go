// Command straks sends instant notifications: one SMS or one e-mail to one
// recipient, at once. It is the daemon, and the commands of its operator and of a client.
//
// main only ties signals to a context. run runs a command and turns its error into an
// exit code, so that tests can run the whole program in their own process:
//
//	0  done
//	1  it failed; the reason is on stderr
//	2  the command line is wrong
//	3  send: the order was taken, but its message failed for good; verify check: the code is wrong
//	65, 67, 75  report: those of sysexits.h
//
// A command is one entry of the table in main.go, and a function that defines its flags, calls
// flags.parse or choice, and does the work. Help, completion and manual pages come of these flags.
//
// The daemon is internal/daemon. serve.go runs it with what belongs to the process:
// signals, the log, the Go runtime. No command takes a password or a token as an
// argument, except "sandbox": its token opens nothing but the sandbox.
//
//	main.go     main, and the table of commands
//	run.go      exit codes, flags and operands
//	tree.go     the table as cobra's tree of commands: help, version, suggestions
//	complete.go completion
//	man.go      manual pages, for the packages
//	serve.go    serve
//	log.go      how the lines of the log look
//	dump_*.go   no core files
//	setup.go    init, token: before the first start
//	dkim.go     dkim new, show: keys that sign mails
//	mail.go     mail key: the key of return paths
//	report.go   report: a report from a pipe
//	check.go    check: the configuration, and what the daemon would find
//	doctor.go   doctor: DNS records, relays, SMSCs, the clock
//	doctor_print.go     its findings, for a person
//	doctor_database.go  the database that the journal is in
//	sandbox.go  sandbox: a daemon between simulated carriers, with an inbox
//	sandbox_text.go what the sandbox prints on a terminal
//	demo.go     demo: two orders through a sandbox
//	demo_cluster.go  demo -cluster: several nodes, of which one is killed, and their database
//	smsc.go     smsc: the simulated SMSC alone
//	reload.go   reload: another configuration without a restart
//	route.go    route: where an SMS would go
//	route_mail.go  the same for a mail
//	send.go     send, and its outcome
//	verify.go   verify start, check, key
//	feed.go     shipment, feed
//	client.go   what send, shipment and feed share
//	table.go    columns of text from anywhere
//	status.go   status: the state of a running daemon
//	trace.go    trace: the way of a message
//	forget.go   forget: erasing a person's data
//	block.go    block list, show, add, lift
//	limits.go   limits list, lift: what is suspected of pumping
//	audit.go    audit verify
//	logs.go     logs: the daemon's log, for people
//	console.go  console user; carrier pause, drain, resume, try
//	webhook.go  webhook list, test, resume, secret, verify
//	debug.go    debug words: what a carrier says just now
//	terminal.go whether the output is a terminal
//	admin.go    requests to the admin listener
//	journal.go  journal stats, check, migrate, backup
//	compact.go  journal compact
//	journalkey.go journal key
//	journal_postgres.go  the same for a journal in PostgreSQL; journal move, jump
//	upgrade.go  upgrade: the schema of such a journal
//	progress.go how far a long command is
package main
