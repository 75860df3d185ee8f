// Package daemon wires the program: configuration, journal, channels, orders and
// API become one Daemon that runs until its context ends. It is the only package
// that knows all of these.
//
// Everything is built in one direction (daemon.go):
//
//	journal -> smpp.Gateway, smtp.Pool -> sms.Channel, mail.Channel -> orders.Service -> codes.Service, hooks.Dispatcher, api.Handler
//
// and runs in the same order (run.go). What a part finds on its own (a receipt, a
// late response) it gives to the handler that its Run takes. A shutdown ends the
// parts in the reverse order:
//
//	/readyz says 503, for api.drain_notice before anything else ends
//	api      no new connections; requests in flight get their answers
//	drain    orders whose clients have gone reach their outcome
//	verifications  messages on another channel that have begun reach theirs
//	smtp     relays get QUIT
//	inbound  mails that have begun are stored, none begins
//	smpp     nothing more is submitted; receipts are acknowledged until the unbind
//	webhooks store how far they are
//	service  stores what has arrived
//	notify, console, metrics, admin
//	journal  closed last
//
// # Files
//
//	daemon.go   New: what can be refused (journal, listeners) and the wiring; Close
//	nodes.go    what a journal that several nodes share asks of this one
//	journal.go  the engine: opened, created and brought up to date, in one place
//	preflight.go  what New would refuse, for "straks check"
//	run.go      Run: the parts and their order
//	reload.go   another configuration in the place of the one in use
//	stack.go    parts that end in the reverse order of their start
//	peers.go    orders that go to another node, and come from one
//	ready.go    what can be stored and sent now
//	status.go   /status, and the status line of systemd
//	activation.go  listeners that systemd opened
//	callers.go  who may call the API: static tokens, issuers, client certificates
//	expiry.go   tokens and certificates that end soon
//	listen.go   listeners on TCP, TLS, and serving until a context ends
//	socket.go   listeners on unix sockets
//	inbound.go  the listeners for reports about mails
//	admin.go    the admin listener's routes: status, profiles, backup
//	kept.go     messages of organisations that only test
//	audit.go    what operators do is recorded; peer_*.go says who is at a socket
//	trace.go    /trace: what became of messages
//	blocks.go   /blocks: block lists, read and changed by operators
//	forget.go   /forget: erasing a person's data
//	operate.go  carriers that an operator pauses, drains, resumes: /carriers, and the console's page
//	console.go  the console's listener, and what its first page shows
//	traffic.go  what was counted lately, for the console
//	support.go  messages and block lists, for the console
//	logtail.go  the last warnings of the log, for the console
//	cost.go     what messages of this month cost
//	limits.go   what bounds the orders of an organisation
//	others.go   what other nodes accept counts here too
//	codes.go    verification codes, over the service
//	webhooks.go  /webhooks: their states, resumed and tested by operators
//	words.go    /debug/words: what a carrier says, for an operator who listens
//	metrics.go  the metrics listener's routes: metrics, health, readiness
//	guard.go    bounds of both, and access to the admin listener on TCP
//	notify.go   systemd's sd_notify(3) and watchdog
//	version.go  which build this is
package daemon
