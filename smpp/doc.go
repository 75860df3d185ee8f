// Package smpp keeps binds to SMSCs (SMPP 3.4) and hands short messages over to
// them, at once and never twice. One bound connection is package session's.
//
//	gateway.go   Gateway: built from a Config, run; an SMSC with its binds
//	config.go    Config, the operator's keys
//	check.go     its defaults and faults; TLS files
//	message.go   Message and Result
//	address.go   senders, recipients, type of number and numbering plan
//	setup.go     the configuration in use, and a change of it
//	route.go     the SMSCs that a message may go to, in which order; Explain
//	build.go     encoding, parts, submit_sm, validity_period
//	send.go      Send: attempts until one settles the message
//	attempt.go   all parts of a message on one bind
//	outcome.go   what responses, and their absence, mean for parts and message; late ones
//	status.go    what a command_status means
//	slots.go     the windows of all binds, and the queues for them
//	silence.go   SMSCs that do not respond to submit_sm, or are down: probes and refusals
//	rate.go      the rate of a bind
//	bind.go      a bind that is bound again when it is lost
//	limiter.go   attempts after refused credentials
//	share.go     binds of an account that several processes share
//	operate.go   what an operator may do with an SMSC: pause, drain, resume, try now
//	states.go    the states of binds
//	probe.go     a bind to look at an SMSC, without a message
//	metrics.go   counters and gauges
//
// # The way of a message
//
//	Gateway.Send
//	 1 routeOf          the route: longest prefix, sender, organisation       route.go
//	 2 smsc.build       encoding, parts, addresses, for each SMSC of it       build.go
//	 3 slots.acquire    a slot in the window of a bind, or a wait for one     slots.go
//	 4 attempt.pace     a token of that bind's rate                           rate.go
//	 5 Session.Submit   queue, writer, wire; validity_period is set here,     session/writer.go
//	                    and Config.Allow is asked
//	 6 attempt.submit   the response, or none                                 attempt.go, outcome.go
//	 7 job.run          settled, or again from 3                              send.go
//
// Everything before the write in 5 can be undone. The octets of a submit_sm are written in
// one place, session/writer.go.
//
// # What a response, or its absence, allows
//
//	submit_sm_resp ESME_ROK                  Accepted
//	refused for good (status.go)             Refused
//	ESME_RTHROTTLED, ESME_RMSGQFUL           another bind at once, or the same after a pause; the rate falls
//	ESME_RSYSERR, ESME_RX_T_APPN             another bind at once, or the same after a pause
//	ESME_RINVBNDSTS                          another bind; this one is unbound and bound again
//	generic_nack, in time or late            Unknown, unless it says that the PDU was not understood or too fast
//	ErrNotSent: nothing of it was written    another bind at once
//	Config.Allow says no                     the same, until time runs out: NotSent
//	ErrUnknown: it may have left             Unknown. No other bind gets it; its response may come late
//	no bind, no slot, no token in time       NotSent
//	every wait queue of the route is full    NotSent, at once
//	all SMSCs of the route silent or down    NotSent, at once, if one is silent
//	no bind of the route up for 5 s          NotSent, at once
//
// The context bounds all this. In the last part of its time (see responseTime) nothing
// is started any more, and responses are awaited.
//
// A message of several parts starts only where the bind's rate leaves time for all of
// them, after what it has promised to others. From then on its parts go before messages that
// have not started, for a slot as for a token. The message stays on the bind that accepted its
// first part, whatever happens: parts that were put off are tried again there. It is
//
//   - Refused, when one part was refused for good;
//   - else Unknown, when nothing is known of one part;
//   - else Refused as RefusedIncomplete, when time ran out for the rest.
//
// # A frozen SMSC
//
// A bind that owes a response for longer than SMSC.StallAfter is stalled: others
// are preferred until it responds. So a frozen SMSC gets the few messages that
// were with it (their outcome is unknown) and another one now and then, and does not slow
// the others down. The session ends after SMSC.DeadLink.
//
// An SMSC that owes responses on all its binds, and gave none for four seconds (or twice its
// usual response time, or four times StallAfter), is silent, even if it responds to enquire_link.
// Then Ready says so, and nothing is sent to it except a probe: an ordinary message, which
// may end as unknown. There is one a second, or one in 30 s while another SMSC of the
// route responds. Other messages go to other SMSCs, or are refused at once as NotSent. Any response ends
// the silence. A new session, and 30 s without a message, let the SMSC count as ready until
// the next message, which is a probe.
//
// # Binding again
//
// bind.go says when. limiter.go keeps refused credentials from locking the account,
// and a refused bind from keeping others out. Submits that were in flight on a lost
// session are unknown if they were written; those that were not written go to
// another bind.
//
// # Several processes on one account
//
// Config.Slots says which binds are ours. A bind whose slot ends gets no new message; it is unbound when the
// responses that are due have come, and then its slot is given back. A slot that was another
// process's comes with a session that the SMSC may still count: see patience in share.go. One whose SMSC can't be
// reached for SMSC.DeadLink is given back too: another process may reach it.
//
// # Goroutines and locks
//
// Gateway.Run starts one goroutine for each bind (maintainer.run) and joins them; its own watches for
// silent SMSCs.
// Each holds one session at a time, whose three goroutines package session lists;
// they end before the next session begins. Send runs on its caller's
// goroutine, with one more for each part of a long message, which it joins before it
// returns.
//
//	slots.mu         windows and queues of all binds, silence of all SMSCs
//	pacer.mu         one bind's rate, and the senders that wait for its tokens
//	bind.mu          what States shows of one bind
//	bindLimiter.mu   whether one SMSC accepts our credentials, and which bind tries next
//	share.mu         the slot of one bind
//	Session.mu       what is in flight on one session
//
// None is held across I/O or a callback, nor while another is taken, except
// pacer.mu under slots.mu.
//
// Deliveries, late responses and expired submits are handed up from the session's
// goroutines; their handlers must not block.
package smpp
