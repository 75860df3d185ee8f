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
// # Which message a report is about
//
// SMSCs give message ids again: after a day, after some thousand messages, from 1
// after each restart. A reference therefore stands for the last two parts that were
// given it, and a report is about the one that it fits best (Report.Choose):
//
//	the receipt                              is about
//	bears the submit date that the last      that part: it is a repeat
//	word on a part bore
//	else names the recipient of a part       that part, the newest of two
//	else names nobody, or whom no part has   the newest
//	fits no part                             a message whose answer it has
//	                                         overtaken: it waits for that
//
// A part that has had its last word does not fit a report that names another recipient
// or another submit date, nor one that gives no date and comes an hour after the
// deadline. Why these two facts, and not all that a receipt says: they belong to
// the message and are the same in each of its receipts. State, error and done date are
// the receipt's own, and differ where an SMSC contradicts itself, sends EXPIRED after
// DELIVRD, or makes a receipt anew each time. Submit dates are held against
// each other only, never against our clock: nobody knows the SMSC's zone.
//
// A part that still waits for its word is strict only when it has a rival or its
// deadline has passed: some SMSCs name the sender, or nobody, in every receipt, and
// theirs must count as well. So an SMSC that gives the id of an unsettled message
// again within its TTL, and whose receipt then overtakes the answer, is not seen
// through; nor is one that gives no submit date and the same id to the same recipient
// within the TTL and an hour, or within one minute if it does.
//
// A report that waits is claimed by the next part with its reference that it fits in
// the same way, once, and within a day. A repeat of it changes nothing, whether it
// comes before or after.
//
// # Where things are
//
// Shipment is the state machine, Journal the storage that a database package
// implements (orders/bolt), Carrier the hand-over that cmd/straks puts before
// smpp and smtp, Service the rules that tie them together.
package orders
