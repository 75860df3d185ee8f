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
//	 9 the receipt is acknowledged
//
// # What is on disk when
//
// After 3 the shipment is Sending. If the process dies now, the message may have left: it is not sent
// again, and its receipt or its deadline settles it. Only an Answer of handover.NotSent makes the key
// free, however late it comes: after an outage of the journal it may be much later. So a caller with the same key waits for
// it (Shipment.Held) while the claim lasts (AcceptRequest.ClaimFor) or its process lives. After that, the claim is ended
// by an Answer of handover.Unknown before that caller is told that the key is known; a NotSent that comes then ends the
// order as failed. Likewise a shipment does not expire while its claim lasts or its answer will come.
// The text of a message is never on disk.
//
// # Which message a report is about
//
// SMSCs reuse message ids: after a day, after some thousand messages, or from 1 after each restart. A
// reference therefore stands for the last two parts that it was given to. A report is about the part that
// it fits best (Report.Choose):
//
//	the receipt                                  is about
//	has the submit date of the last receipt      that part: it is a repeat
//	of a settled part
//	else names the recipient of a part           that part, the newer of two
//	else names no recipient, or one that no      the newest part
//	part has
//	fits no part                                 a message whose answer it has
//	                                             overtaken: it waits for that answer
//
// A settled part does not fit a report
//
//   - that names another recipient,
//   - that has another submit date,
//   - or that comes an hour after the deadline and has no date.
//
// An unsettled part rejects a report for its recipient only where another part has that recipient, or
// after the deadline. Some SMSCs name the sender, or nobody, in every receipt, and their receipts must
// count as well.
//
// Only recipient and submit date are compared, because they belong to the message and are the same in
// each of its receipts. State, error and done date belong to the receipt: they differ where an SMSC
// contradicts itself, sends EXPIRED after DELIVRD, or writes a new receipt for each repeat. Submit dates
// are compared with each other only, never with our clock, since the SMSC's time zone is unknown.
//
// A report that waits is claimed by the next part that gets its reference and that it fits: once, and
// within a day. A repeat of it changes nothing, before or after.
//
// These cases are not told apart. An SMSC reuses an id
//
//   - while its first message is unsettled and within its TTL, and the second one's receipt
//     overtakes the answer;
//   - for the same recipient within the TTL and an hour, without submit dates; or within one
//     minute, with them;
//   - up to a week after a message that got no receipt, if its receipts name no recipient and the
//     second one's overtakes the answer. It corrects the Failed_TTL of the first message. So do receipts
//     that an SMSC has kept for hours, while it had no bind to send them to, and those are far more frequent.
//
// # When no answer comes
//
// The answer of a hand-over may never come: the connection is lost, or this process is killed in between.
// Then the message may have left, and no message id is known. Such a shipment is unanswered, and its
// receipt finds it in one of two ways (Report.Unanswered):
//
//	the receipt                                  is about
//	echoes a user reference                      the unanswered part of this recipient that has it. It
//	                                             follows from the claim, so that it is stored with the
//	                                             order, before the message leaves
//	names a recipient, and all of its            the only unanswered shipment of that recipient, if the
//	references are unknown                       SMSC's setting allows it. Each of its parts takes one
//	                                             such receipt
//
// By the recipient alone a receipt is matched only after it has waited for as long as a claim lasts, and while
// no order to that recipient is in flight: until then it may have overtaken an answer. It
// must fit the times of the shipment. If two shipments fit, or receipts that contradict each other, nothing
// is decided, and the deadline settles the shipments. A receipt that could be of another form of message
// id is not matched: it has an answer. The number of parts is stored with the order too; it is the highest of
// all SMSCs of the route, so that no message counts as delivered before its last part.
//
// A receipt of a message that straks did not send, over the same account to the same recipient in the same
// minutes, can't be told apart: for such accounts the setting must be off.
//
// # Overload
//
// Orders of a channel are admitted before anything of them is stored: as many at a time as the
// processors and the windows of the carriers can use. Other orders wait in a short queue, and are
// refused by waiting time. Organisations share both fairly: one that sends more than its share delays
// and loses orders of its own. An order counts from its admission until its outcome is on disk, also when
// its client has gone.
//
// # Files
//
//	message.go    Order, Message, Recipient
//	status.go     every status, and what it means
//	shipment.go   Shipment: the state machine, pure
//	answer.go     Answer: what it changes, likewise
//	match.go      which part a report is about
//	unanswered.go reports about shipments whose answer never came
//	journal.go    Journal: the storage, which an engine implements (orders/bolt); orders/sealed encrypts recipients
//	cost.go       what a message costs
//	limit.go      Limiter: what bounds an organisation's orders (internal/limits)
//	cursor.go     Cursors: how far subscriptions have read the feed, which an engine implements too
//	carrier.go    Carrier: the hand-over, which orders/sms and orders/mail implement
//	service.go    Service: its configuration, errors and goroutines
//	place.go      the way of one order
//	inflight.go   the orders in flight, by key; Drain
//	repeat.go     repeats of a key, in flight here or in another process
//	admission.go  how many orders are under way, which ones wait, and which are refused
//	flow.go       what each organisation has in a lane: its queue, its turn, its overload
//	receive.go    the way of a report, a late answer and a change of a block list
//	inbox.go      those that wait for the journal, in a lane for each carrier
//	keep.go       deadlines and retention
//	retention.go  Retention: how long what is stored is kept
//	abandoned.go  orders of a process that has ended; reports for unanswered shipments
//	forget.go     erasing a person's data
//	find.go       which shipments an operator looks for
//	timeline.go   the steps of a shipment's way
//	heads.go      entries that other processes append to a feed
//	changes.go    wakes the readers that wait for a feed to grow
//	metrics.go    metrics
//	applied.go    what is counted and logged of the effect of an event
//	undecided.go  effects that the journal knows later than its caller waits
package orders
