// Package api is the HTTP contract: it turns requests into orders, and
// shipments into answers. openapi.yaml, which it serves, describes the contract in
// full. Tests bring about each answer that it describes, and hold it and its example against each other.
//
//	net/http      reads the request, and answers by itself what is none       server.go, connections.go
//	  handler     one for each path: metrics, panics                          api.go, exchange.go, metrics.go
//	    answer      the method, then authorize: token, organisation, scope    auth.go, auth_callers.go, auth_jwt.go, auth_known.go, auth_cert.go
//	        slow      those who fail wait, by address                         auth_failed.go
//	      place       rate, order, Service.Place                              place.go, rate.go, settings.go
//	        readBody    content type, length, octets                            body.go
//	        decode      every fault of the body at once                       decode.go, read.go, json.go, address.go
//	        forward     an order that only another node can send              forward.go
//	      shipment    one look-up, with the shipment's way if asked           shipment.go, events.go
//	      feed        a page, or what comes next for those who wait           feed.go, tail.go
//	      startVerification, checkCode, …   codes, over package codes         verification.go, verification_check.go
//	        decodeVerification   as decode                                    verification_decode.go
//	      stream      the same as Server-Sent Events                          stream.go
//	      static      the OpenAPI document                                    document.go
//	      docs        the page that renders it: Swagger UI, from docs/        docs.go
//	        read        look-ups take turns between organisations             reads.go
//	    record      the caller's part of the audit                            audit.go
//	    problemOf   every error becomes an answer here, and nowhere else      problem.go, trace.go
//
// No body is read before its sender is known. All faults of a body are reported at once:
// decode notes each and goes on, and those that the carrier finds (sender, length of the
// text) are added. Where the key of a faulty order is known, the answer is that of the first order
// (Service.Repeated).
//
// What net/http refuses itself (400, 431, 501, 505) is plain text. Under TLS it offers HTTP/2;
// see Server and Listener for the limits.
//
// # Overload
//
// How many orders are under way, package orders decides. Here, requests are bounded only so
// that memory is: by connections, by MaxRequests where HTTP/2 has many on one connection, and by the octets of
// their bodies. Organisations share requests and octets (shares.go). Reads
// have a bound of their own, so that they can't starve orders, and organisations take turns. While orders are at
// work, reads get a tenth of the time. A page is made and sent in batches of 8 KiB, and a client that does not
// read holds one of them.
//
// Connections never keep others out by being idle: when they run short, the oldest idle one is
// closed, and those first that have not shown a good token (package connlimit).
//
// # What an answer promises
//
//	201  stored; and the carrier has it, or refused it, or may have it: the shipment's status tells
//	200  this idempotencyId was taken before; nothing was sent now
//	503  this call surely sent nothing; an earlier one with the id may have. Where it was passed to another node
//	     that gave no answer, the detail says that nothing is known
//
// Repeating an order with its own id is safe after any answer, and after none.
//
// # What is kept and logged
//
// The package keeps nothing between requests but rates, metrics and a tally of
// refused tokens. It owns no goroutine.
//
// Each order whose token is good has one log line: its sender, channel
// and shipment, the outcome, how long it took, and the carrier's error where there is
// one. The recipient is masked. Of orders that are refused for load only a sample is logged, by
// package orders.
//
// Of the tokens that are refused, the first few of a minute are logged and the others
// counted, for each known token by itself. So a flood of guesses neither fills the log nor
// hides a client whose token has expired. Likewise of requests that the document does not describe.
//
// Beyond a burst from one address, the answers to bad tokens and certificates are late or 429. Good ones from the same
// address are answered at once.
//
// Never logged are text, subject, idempotency key, token, and the values of faulty
// properties: problems and log messages are made of fixed words.
package api
