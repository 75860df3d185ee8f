// Package orders is the domain: what an order, a shipment and a status are, and
// the one way in which an order is placed and a receipt is received.
//
//	POST …/instant/sms
//	 1 api            authenticate, decode, validate, build an Order; of one with faults, Service.Repeated
//	                  looks up the key
//	 2 Service.Place  same key in flight? wait for its outcome
//	     admission        no room now, and the key unknown? wait for half a second at most, or 503
//	 3   Journal.Accept   known key: its shipment (200). Else key and shipment are on disk
//	 4   Carrier.Send     until the carrier answers or the send deadline passes
//	 5   Journal.Apply    Answer: references, status, feed entry, parked reports applied
//	 6 201
//	deliver_sm
//	 7 orders/sms         dlr.Receipt and the SMSC's dialect become a Report
//	 8 Service.Receive
//	     Journal.Apply    Report: status and feed entry, or parked
//	 9 only now is it acknowledged
//
// # What is on disk when
//
// After 3 the shipment is Sending. Should the process die now, the message may
// have left: nobody sends it again, and its receipt or its deadline settles it.
// Only an Answer of handover.NotSent makes the key free, and only while the claim lasts:
// its end is stored (Intake.ClaimFor). Until then the shipment does not expire, and any other
// caller is told that the order is in flight (Shipment.Held). The text of a message is never on disk.
//
// # Which message a report is about
//
// SMSCs give message ids again: after a day, after some thousand messages, from 1
// after each restart. A reference therefore stands for the last two parts that were
// given it. A report is about the one that it fits best (Report.Choose):
//
//	the receipt                              is about
//	bears the submit date that the last      that part: it is a repeat
//	word on a part bore
//	else names the recipient of a part       that part, the newest of two
//	else names nobody, or whom no part has   the newest
//	fits no part                             a message whose answer it has
//	                                         overtaken: it waits for that
//
// A part that has had its last word does not fit a report
//
//   - that names another recipient,
//   - that bears another submit date,
//   - or that comes an hour after the deadline, with no date to tell by.
//
// A part that still waits for its last word is strict only about the recipient, and only
// where another part has that recipient, or when its deadline has passed. Some SMSCs
// name the sender, or nobody, in every receipt, and theirs must count as well.
//
// Why recipient and submit date, and not all that a receipt says? They belong to
// the message and are the same in each of its receipts. State, error and done date are
// the receipt's own. They differ where an SMSC contradicts itself, sends EXPIRED after
// DELIVRD, or makes a receipt anew each time. Submit dates are held against
// each other only, never against our clock: nobody knows the SMSC's zone.
//
// A report that waits is claimed by the next part with its reference that it fits in
// the same way: once, and within a day. A repeat of it changes nothing, whether it
// comes before that or after.
//
// What is not seen through: an SMSC that gives an id again
//
//   - while its first message is unsettled and within its TTL, if the second one's receipt
//     then overtakes the answer;
//   - to the same recipient within the TTL and an hour, if it writes no submit dates; or
//     within one minute, if it does;
//   - up to a week after a message that nobody ever told of, if it names nobody in its
//     receipts and the second one's overtakes the answer. It corrects the Failed_TTL of the
//     first, as do the receipts that an SMSC has kept for hours, while it had nobody to
//     send them to. Those are far more.
//
// # Overload
//
// Orders of a channel are admitted before anything of them is stored: as many at a time as the
// processors and the windows of the carriers can use. The others wait in a short queue, which is shed by
// waiting time. An order counts from its admission until its outcome is on disk, also when
// its client has gone.
//
// # Files
//
//	message.go    Order, Message, Recipient
//	status.go     every status, and what it means
//	shipment.go   Shipment: the state machine, pure
//	match.go      which part a report is about
//	journal.go    Journal: the storage, which an engine implements (orders/bolt)
//	carrier.go    Carrier: the hand-over, which orders/sms and orders/mail implement
//	service.go    Service: its configuration, errors and goroutines
//	place.go      the way of one order
//	inflight.go   the orders in flight, by key; Drain
//	repeat.go     repeats of a key, in flight here or in another process
//	admission.go  how many orders are under way, which ones wait, and which are refused
//	receive.go    the way of a report, a late answer and a change of a block list
//	keep.go       deadlines and retention
//	changes.go    wakes those who wait for a feed to grow
//	metrics.go    metrics
package orders
