// Package smpp keeps binds to SMSCs (SMPP 3.4) and hands short messages over to
// them, at once and never twice.
//
// # The way of a message
//
//	Gateway.Send
//	 1 routeOf         the route: longest prefix, sender, organisation       route.go
//	 2 smsc.build      encoding, parts, addresses, for each SMSC of it       build.go
//	 3 slots.acquire   a slot in the window of a bind, or a wait for one     slots.go
//	 4 attempt.pace    a token of that bind's rate                           pacer.go, rate.go
//	 5 Session.Submit  queue, writer, wire; validity_period is set here      session/submit.go, session/writer.go
//	 6 attempt.submit  the response, or none                                 attempt.go, outcome.go
//	 7 job.run         settled, or once more from 3                          send.go
//
// Everything up to 5 can be undone. The octets of a submit_sm are written in one
// place, session/writer.go.
//
// # What an answer, or none, allows
//
//	submit_sm_resp ESME_ROK                  Accepted
//	refused for good (status.go)             Refused
//	ESME_RTHROTTLED, ESME_RMSGQFUL           another bind at once, or the same after a pause; the rate falls
//	ESME_RSYSERR, ESME_RX_T_APPN             another bind at once, or the same after a pause
//	ESME_RINVBNDSTS                          another bind; this one is unbound and bound anew
//	generic_nack, in time or late            Unknown, unless it says that the PDU was not understood or too fast
//	ErrNotSent: nothing of it was written    another bind at once
//	ErrUnknown: it may have left             Unknown. Nobody else gets it; its answer may come late
//	no bind, no place, no token in time      NotSent
//	too many wait for a place already        NotSent, at once
//
// The context bounds all this. In the last part of its time (see answerTime) nothing
// is begun any more, and answers are waited for.
//
// A message of several parts is begun only where the bind's rate leaves time for all of
// them, after what it has promised to others; from then on its parts go before those of messages that
// are not begun, for a place as for a token. It stays on the bind that took the first
// of them, whatever happens: parts that were put off are tried again there. It is
//
//   - Refused, when one part was refused for good;
//   - else Unknown, when nothing is known of one part;
//   - else Refused as RefusedIncomplete, when time ran out for the rest.
//
// # A frozen SMSC
//
// A bind that owes an answer for longer than SMSC.StallAfter is stalled: others
// are preferred until it answers. So a frozen SMSC gets the few messages that
// were with it (their outcome is unknown) and one more now and then, and costs the
// others nothing. The session is ended after SMSC.DeadLink.
//
// # Binding again
//
// bind.go says when. limiter.go keeps refused credentials from locking the account,
// and a bind that is refused from keeping others out. What was in flight on a lost
// session is unknown if it was written and unanswered; what was not written goes to
// another bind.
//
// # Who owns what
//
// Gateway.Run starts one goroutine for each bind (binding.run) and joins them.
// Each holds one session at a time, whose three goroutines package session lists;
// they end before the next session begins. Send runs on its caller's
// goroutine, with one more for each part of a long message, which it joins before it
// returns.
//
//	slots.mu        windows and queues of all binds
//	pacer.mu        one bind's rate, and who waits for its tokens
//	binding.mu      what States shows of one bind
//	gate.mu         whether one SMSC takes our credentials, and who tries next
//	Session.mu      what is in flight on one session
//
// None is held across I/O or a callback, nor while another is taken, but for
// pacer.mu under slots.mu.
//
// Deliveries and late answers are handed up from the session's reader; their
// takers must not block.
package smpp
