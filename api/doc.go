// Package api is the HTTP contract: it turns requests into orders, and
// shipments into answers. openapi.yaml, which it serves, is the contract in
// full; a test holds the two against each other.
//
//	doorConn    in a crowd, plain orders get their 503 here, before net/http
//	handler     one for each path: metrics, panics
//	  answer      the method, whether there is room, then authorize: token, organisation, scope
//	    place       rate, content type, body, a place in the room, decode, Service.Check, Service.Place
//	    shipment    one look-up
//	    feed        one look-up
//	  problemOf   every error becomes an answer here, and nowhere else
//
// Nothing is read of a body before its sender is known. All faults of a body
// are told at once: decode notes each and goes on, and what the carrier finds
// (sender, length of the text) is added to them.
//
// # Crowds
//
// There is a Room for the orders of each channel. Beyond it they get 503 at once,
// so that those inside are done in time. A burst may fill the room; a crowd that
// stays is held to fewer, because the same processors do far less when they have
// more at hand. Nobody has a place while the body is still coming, nor counts for
// the crowd while a carrier takes its time.
//
// # What an answer promises
//
// 201: stored, and the carrier has it, or refused it, or may have it; the
// shipment's status tells. 200: this idempotencyId was taken before, nothing
// was sent now. 503: surely not sent; the id is free. Repeating any order with
// its own id is safe after any answer, and after none.
//
// # What is kept and logged
//
// The package keeps nothing between requests but rates, metrics and a tally of
// refused tokens, and owns no goroutine. Of each order that gets past the door
// (room, token) there is one log line: who, which channel and
// shipment, the outcome, and how long it took. The recipient is masked. Of the
// tokens that are refused the first few of a minute are logged and the others
// counted, each token that is known by itself: a flood of guesses fills no log and
// hides nobody whose token expired. Text, subject, idempotency key and token are
// never logged, nor are the values of faulty properties: messages and problems
// are made of fixed words.
package api
