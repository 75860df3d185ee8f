// Package session is one bound connection to an SMSC (SMPP 3.4): submits and their
// answers, deliveries, enquire_link, from bind to unbind or loss. It knows nothing of
// accounts, routes and binding again: that is package smpp's.
//
//	session.go     the Session: its goroutines, the way of a submit, the end
//	config.go      Config, its defaults and check
//	errors.go      what an error says about a message
//	dial.go        connecting and binding
//	submit.go      Submit
//	exchange.go    requests that wait for an answer, and those given up
//	writer.go      queues to socket: the one place where octets are written
//	reader.go      frames to their takers
//	delivery.go    deliver_sm and data_sm
//	keepalive.go   enquire_link, the peer's death, response time-outs
//	unbind.go      the end in good order, from either side
package session
