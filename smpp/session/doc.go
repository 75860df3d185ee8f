// Package session is one bound connection to an SMSC (SMPP 3.4): submits and their
// responses, deliveries, enquire_link, from bind to unbind or loss. It knows nothing of
// accounts, windows, rates, routes and binding again. Those are package smpp's.
//
//	session.go     Session: its goroutines, its state, its end
//	config.go      Config, the defaults and their check
//	dial.go        connect, TLS, bind
//	submit.go      Submit, and what its errors say about the message
//	exchange.go    requests of ours that wait for a response, and expired submits
//	writer.go      queues to socket: the only place where octets are written
//	reader.go      frames to their takers; deliveries
//	keepalive.go   enquire_link, dead peers, response time-outs
//	unbind.go      the orderly end, from either side
//
// # Goroutines
//
// Three goroutines work for a session. All have ended when Done is closed.
//
//	read       frames to their takers: responses to exchanges, deliveries to Config.Deliver.
//	           It waits only for the writer, whose writes have a deadline.
//	write      queues to the socket, many PDUs in one write. Only here does a submit turn
//	           from "not sent" to "may have left". Responses, enquire_link and unbind go
//	           before submits.
//	keepalive  the clock: enquire_link, the death of the peer, response time-outs.
//
// # The way of a submit
//
// Each step is taken under Session.mu, and at most once.
//
//	queue -> pending -> response                              Submit returns it
//	  |         |-> ResponseTimeout -> expired                Submit returns ErrUnknown
//	  |         |-> caller gone -> response                   Submit has returned ErrUnknown; Config.Late
//	  |                    |-> ResponseTimeout -> expired     likewise; Config.Expired
//	  |-> caller gone, loss                                   Submit returns ErrNotSent
//
// A response to an expired submit goes to Config.Late. On loss, what is pending is
// unknown, except what the last write surely did not reach: that is not sent.
//
// How many submits may be unanswered is the caller's decision. A submit counts against the
// SMSC's window until Submit has returned, or after ErrUnknown without ErrNoResponse until
// Late, Expired or Done.
package session
