// Package bolt is the journal of one machine: orders.Journal on a bbolt file.
//
// # Key schema
//
//	meta       "schema"                 -> version; "id" -> the journal's random id
//	keys       slot end s | hash(org, key)    -> shipment id
//	shipments  id (UUIDv7)              -> shipment
//	keys.filter, refs.filter
//	           slot end s | last key of a range -> Bloom filter of the keys in it
//	refs       slot end s | carrier NUL ref   -> the last two bound to it: shipment id, part;
//	                                    and what waits: key in parked
//	parked     at µs | number           -> report that waits for its answer
//	deadlines  deadline µs | id         -> nothing
//	feed       organisation | seq       -> shipment id, status, at
//	blocked    hash(org, channel, to)   -> since when it is blocked, or not any more
//	lifted     at µs | hash             -> nothing: a block that is lifted, to be kept for a day
//
// Numbers are big endian, so that byte order is time order. Tables with random
// keys (keys, refs) are cut into one bucket for each slot of time: inserts stay
// within few pages, and what is too old leaves slot by slot. All other tables
// are ordered by time, and what is too old leaves from their front. The text of a
// message is nowhere, and an idempotency key only as a hash.
//
// What follows from it, and what Check walks:
//
//   - A slot is named by the second in which it ends, and holds nothing younger. (A reference
//     may be, by up to a day: when a report has waited under it, it goes by the time of
//     that. Check does not look at the ages of references.)
//   - A key leads to one shipment, and is in the slot of that shipment's id. A key
//     whose shipment is gone is unknown.
//   - A filter hides no key. Sweep builds it when its slot has ended, range by range
//     from the front. What is put into the slot later is put into the filter too. It
//     leaves after the last record of its slot.
//   - A shipment is stored once. A feed entry says which status it had when;
//     what never changes (recipient, reference) is read from the shipment.
//     An entry leaves the feed with its shipment at the latest. One that can't be read
//     is stepped over, told and counted.
//   - A feed's numbers are the bucket's own sequence: dense, from 1, taken in
//     the transaction that changes the status.
//   - Answer and receipt meet in the one record of a reference. A report waits
//     there only if it is about none of the parts that the reference is bound to. It is
//     stored once, whatever the number of its references, and leaves them all at once.
//   - An unsettled shipment has an entry in deadlines, at its deadline. When it is
//     settled its entry stays, which costs an order one append: Due steps over it, and
//     Sweep removes what Due has stepped over. An entry whose shipment can't be read
//     is stepped over too, logged and counted: it holds up no other.
//   - Shipments leave from the front, and one that is unsettled waits there for its
//     deadline; no longer than for a day beyond the retention after that has passed.
//   - Each page of the file is in use once, or free (ReadOnly's Check walks that).
//
// # What is written when
//
// Create makes the file under another name, and links it to its own when it is
// whole and synced: a journal is there as a whole or not at all.
//
// One goroutine writes. It takes whatever waits, runs it in one transaction, commits
// once (two fdatasyncs) and wakes everybody. Alone, a call pays for a commit; in a crowd it
// is shared. Orders are taken first, but no more than half of a full batch. Within a
// transaction orders come first, then answers, then reports, so that a receipt
// on the heels of its answer need not be parked. A call that fails by itself (on a corrupt
// record) is run again alone, so that it spoils nobody else's. The queues in front are
// bounded: a full one is orders.ErrBusy at once.
//
// Readers share one read transaction, that of the last synced commit. So they
// wait for no lock that a write holds, and never see what a power cut
// could take back. The file is mapped once, far beyond its size: to map it anew
// is to wait for readers.
//
// The list of free pages is stored with each commit while it is short, and however long it is when
// no call has come for a second. Without it, Open after a crash reads every page in use to find the
// free ones: about a second for each gigabyte in use.
//
// # Schema versions
//
// Open takes the present version only. Migrate brings an older one there in steps, each
// marked in its own transaction. Until the last one, meta says that the journal is
// between versions, which no program takes for its own; and what is left to do
// follows from what is stored. So Migrate may be killed at any time, and needs the memory of
// one step. ReadOnly is for those who only look: it changes nothing, in whatever version.
//
// # What can't be read
//
// A record that can't be read costs only its own shipment or key: deadlines, feeds, receipts and
// retention step over it, log and count it. A call that is about it fails, alone.
//
// A page that can't be read ends the process (Journal.Damaged). Nobody knows what else is on it, and
// bbolt does not outlive a panic. ReadOnly reports it: "straks journal check" names the tables.
//
// # What a failed write allows
//
// Everybody in the batch gets orders.ErrUnavailable: it may have been stored or
// not. From then on calls are refused at once (orders.ErrNotStored), and the writer
// tries a small write of its own, at growing intervals, until one succeeds.
//
// If the failed commit got as far as its meta page, that page is visible but perhaps not on
// disk, and the pages that it frees must not be reused before it is. So the file
// is closed and opened first, and its meta pages are written again and synced.
//
// A file that was moved away, replaced or cut short since it was opened is not written
// to, nor what lies in its place opened instead: each transaction looks first, and so does
// who opens it anew. A cut one stays refused until the next Open.
//
// A write that stalls is waited for: nobody can take it back. What is queued
// goes into the next one, but newcomers are refused from its first second on,
// and the journal is not ready until a write was faster.
package bolt
