// Package orders is the domain: what an order, a shipment and a status are, and
// the one way in which an order is placed and a receipt is received.
//
//	POST …/instant/sms
//	 1 api            authenticate, decode, validate, build an Order
//	 2 Service.Place  same key in flight? wait for it
//	 3   Journal.Accept   known key: its shipment (200). Else key and shipment are on disk
//	 4   Carrier.Send     until the carrier answers or the send deadline passes
//	 5   Journal.Apply    Answer: references, status, feed entry, parked reports applied
//	 6 201
//	deliver_sm
//	 7 Service.Receive    dlr.Receipt and the SMSC's dialect become a Report
//	 8   Journal.Apply    Report: status and feed entry, or parked
//	 9 only now is it acknowledged
//
// # What is on disk when
//
// After 3 the shipment is Sending: should the process die now, the message may
// have left, so nobody sends it again; its receipt or its deadline settles it.
// Only an Answer of handover.NotSent makes the key free. The text of a message
// is never on disk.
//
// # Where things are
//
// Shipment is the state machine, Journal the storage that a database package
// implements (orders/bolt), Carrier the hand-over that cmd/straks puts before
// smpp and smtp, Service the rules that tie them together.
package orders
