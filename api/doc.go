// Package api is the HTTP contract: it turns requests into orders, and
// shipments into answers. openapi.yaml, which it serves, describes the contract in
// full. A test holds the two against each other.
//
//	handler     one for each path: metrics, panics
//	  answer      the method, whether there is room, then authorize: token, organisation, scope
//	    place       rate, content type, body, a place in the room, decode, Service.Check, Service.Place;
//	                with faults Service.Repeated
//	    shipment    one look-up
//	    feed        one look-up
//	  problemOf   every error becomes an answer here, and nowhere else
//
// net/http is the first to read a request. What it refuses itself (400, 431, 501, 505) is plain
// text. Under TLS it offers HTTP/2; see Listener and Server for the limits.
//
// No body is read before its sender is known. All faults of a body are told at once:
// decode notes each and goes on, and those that the carrier finds (sender, length of the
// text) are added.
//
// # Crowds
//
// The orders of each channel have a Room. Those beyond it get 503 at once, so that
// those inside are done in time. A burst may fill the room. A crowd that stays is held to
// fewer: the same processors do far less when they have more at hand. An order takes no
// place while its body is still coming, and is not counted as part of the crowd while it
// is with its carrier.
//
// # What an answer promises
//
//	201  stored; and the carrier has it, or refused it, or may have it: the shipment's status tells
//	200  this idempotencyId was taken before; nothing was sent now
//	503  this call surely sent nothing; an earlier one with the id may have
//
// Repeating an order with its own id is safe after any answer, and after none.
//
// # What is kept and logged
//
// The package keeps nothing between requests but rates, metrics and a tally of
// refused tokens. It owns no goroutine.
//
// Each order that gets past room and token has one log line: who sent it, its channel
// and shipment, the outcome, how long it took, and the carrier's word where there is
// one. The recipient is masked.
//
// Of the tokens that are refused, the first few of a minute are logged and the others
// counted, for each known token by itself. So a flood of guesses fills no log, and
// hides nobody whose token has expired.
//
// Never logged are text, subject, idempotency key, token, and the values of faulty
// properties: problems and log messages are made of fixed words.
package api
