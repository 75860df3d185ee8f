// Package ledger holds the rules of the journal: what an order, an answer, a report, an expiry and a
// block change. An engine (orders/bolt) stores what they change; it has no rules of its own.
//
//	store.go   Store: what one transaction of an engine can do, and the records that it keeps
//	accept.go  Accept: a key is new, known, free or in flight; a recipient is blocked
//	apply.go   Apply: one event and its effect
//	refs.go    which part a report is about, and what an answer binds
//	match.go   reports about shipments whose answer never came
//	park.go    reports that wait for their answer
//	forget.go  a person is forgotten
//	mail.go    reports about mails, and the suppressions that they begin and end
//	contents.go all records of a journal, for another engine that takes them over
//	walks.go   how far shipments were looked through for those that leave earlier than others
//	names.go   what a batch of events names, for an engine that loads it in one trip
//
// # One transaction
//
// A Ledger is good for one transaction of its Store. The rules are orders.Shipment's methods and
// orders.Report's matching, which are pure; the ledger reads what they need, calls them, and puts
// what they changed. What it put it can get again. If a call fails with anything but ErrCorrupt,
// the transaction must not be committed.
//
// # Batches
//
// An engine may read from disk at each call of the Store, as one with a B+tree in memory does. One
// with a server behind it locks and loads first all that the events need: what they name (Names), the
// shipments and parked reports that these references lead to, the references of those reports, the
// shipments that the index of unanswered ones has of the numbers, and the entries of block lists of the
// shipments' recipients.
// Then it runs the rules in memory, and writes what was put in one trip. The model of
// orders/journaltest is such an engine, and fails on a get of anything else. Only a report that is
// parked where too many of its carrier wait needs more: that carrier's oldest one.
package ledger
