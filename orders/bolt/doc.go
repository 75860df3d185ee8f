// Package bolt is the journal of one machine: orders.Journal on a bbolt file. It stores what
// orders/ledger puts, and has no rules of its own.
//
// # Key schema
//
//	meta       "schema"                 -> version; "schema.sum" -> its sum; "id" -> the journal's
//	                                       random id; "feed start" -> number, absent: 0;
//	                                       "sealing" -> which keys it needs, absent: none
//	keys       slot end s | hash(org, key)    -> shipment id
//	shipments  id (UUIDv7)              -> shipment
//	keys.filter, refs.filter
//	           slot end s | last key of a range -> Bloom filter of the keys in it
//	refs       slot end s | carrier NUL ref   -> the last two bound to it: shipment id, part;
//	                                    and what waits: key in parked
//	parked     carrier | at µs | number -> report that waits for its answer
//	deadlines  deadline µs | id         -> nothing
//	feed       organisation | seq       -> shipment id, status, at
//	blocked    hash(org, channel, to)   -> since when it is blocked, until when, or not any more; who,
//	                                    whence, why. The sequence is the number of suppressions
//	lifted     at µs | hash             -> nothing: a block that is lifted, to be kept for a day; or a
//	                                    suppression, a day before it is forgotten
//	unanswered number | id              -> µs: until when the entry is kept. The answer of the
//	                                    shipment never came
//	cursors    organisation NUL name    -> how far a subscription has read the feed
//	verifications, verification.requests, verification.addresses
//	           id, hash or keyed hash   -> when it is due, µs; what package codes keeps
//	verification.due
//	           table, µs, key           -> nothing
//	verification.feed
//	           organisation | seq       -> µs; what package codes keeps
//
// In a journal with a key (Options.Keys), recipients in shipments, parked and blocked are sealed for their record, and so
// are references that may have a number in them. The keys of blocked and unanswered have keyed hashes then, and those of
// refs have one in place of such a reference. What was stored before is sealed by Sweep, in steps; until it has
// come to the end, look-ups try both forms. See package sealed, recipients.go and reseal.go.
//
// Every record ends with its sum, a CRC-32C over its table, its key and the rest of it (sum.go). Where
// nothing is the value, the sum is all there is.
//
// Numbers are big endian, so that byte order is time order. Tables with random
// keys (keys, refs) are cut into one bucket for each slot of time: inserts stay
// within few pages, and what is too old leaves slot by slot. All other tables
// are ordered by time, and what is too old leaves from their front. The text of a
// message is nowhere, and an idempotency key only as a hash.
//
// The invariants that follow from the schema, and that Check walks:
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
//     is skipped, logged and counted.
//   - A feed's numbers are the bucket's own sequence: dense, from the feed start + 1, taken in
//     the transaction that changes the status. The sequence stays when entries leave.
//   - Answer and receipt meet in the one record of a reference. A report waits
//     there only if it is about none of the parts that the reference is bound to. It is
//     stored once, whatever the number of its references, and leaves them all at once.
//   - Reports that wait are bounded for each carrier, in number and octets, so that one carrier's
//     flood of unknown receipts drops none of another's.
//   - An unsettled shipment has an entry in deadlines, at its deadline. When it is
//     settled its entry stays, so that an order costs one append only: Due skips it, and
//     Sweep removes what Due has skipped. An entry whose shipment can't be read
//     is skipped too, logged and counted: it delays no other.
//   - Shipments leave from the front, and one that is unsettled waits there for its
//     deadline; but no longer than a day and the retention after its deadline. Those of organisations
//     with a retention of their own leave from between the others.
//   - A cursor is not beyond its feed's newest number.
//   - A record of a verification has the time of its entry in verification.due.
//   - Each page of the file is in use once, or free (ReadOnly's Check walks that).
//
// # Where things are
//
//	options.go    Options
//	create.go     Create: a journal is there as a whole or not at all
//	file.go       the open file
//	identity.go   whether it is still the file that was committed here
//	freelist.go   when the list of free pages is stored
//	schema.go     versions of the schema
//	migrate.go    from an older version to the present one
//	journal.go    Journal: orders.Journal's methods
//	writer.go     the writing goroutine: batches, transactions, commits
//	undecided.go  what became of calls whose commit failed
//	health.go     failed and slow writes, recovery
//	damage.go     records and pages that can't be read
//	snapshot.go   the read transaction that all readers share
//	store.go      ledger.Store in a transaction
//	parked.go     its part for reports that wait, by carrier
//	tables.go     the tables of a transaction
//	slots.go      tables with random keys
//	filter.go     Bloom filters of slots that have ended
//	find.go       looking shipments up for operators
//	blocks.go     the entries of block lists: their records, reading and checking them
//	record.go     the form of each record
//	report.go     that of a report that waits
//	recipients.go sealed recipients, in records and in keys
//	references.go sealed references
//	reseal.go     sealing what is plain, or has the former key
//	trace.go      how a hand-over went, in a shipment's record
//	codec.go      what records are made of
//	sum.go        the sum of each record, and look-ups that trust no record without it
//	seal.go       the migration that gives sums to a journal of before
//	feed.go       reading a feed
//	accepted.go   the shipments of a time, for limits to count again
//	cursors.go    how far subscriptions have read
//	codes.go      codes.Store: verifications
//	deadlines.go  which shipments are due
//	unanswered.go shipments whose answer never came
//	sweep.go      retention
//	readonly.go   ReadOnly, for the operator's commands
//	check.go      Check
//	progress.go   how far Check and Migrate are
//	stats.go      Stats, Compact
//	backup.go     copies of a journal in use
//	contents.go   all records, for another engine that takes them over
//	metrics.go    metrics
//
// # What is written when
//
// Create makes the file under another name, and links it to its own name when it is whole and
// synced: a journal is there as a whole or not at all.
//
// One goroutine writes. It takes all calls that wait, runs them in one transaction, commits once
// (two fdatasyncs) and answers them all. A call that comes alone pays for a commit; calls that come
// together share one. Orders are taken first, but only up to half of a full batch. Within a
// transaction orders run first, then answers, then reports, so that a receipt which follows its
// answer closely need not be parked; before a commit for a receipt alone the writer yields once. A
// call that fails by itself (on a corrupt record) does not fail the others: each call of the batch
// is then run alone. The queues are bounded: a full one is orders.ErrBusy at once.
//
// Readers share one read transaction, that of the last synced commit. So they wait for no lock that
// a write holds, and never see what a power cut could take back. The file is mapped once, far beyond
// its size: mapping it again would wait for readers.
//
// The list of free pages is stored with each commit while it is short, and, however long it is, when
// no call has come for a second. Without it, Open after a crash reads every page in use to find the
// free ones: about a second for each gigabyte in use.
//
// # Schema versions
//
// Open takes the present version only. Migrate brings an older one there in steps, each marked in
// its own transaction. Until the last step, meta says that the journal is between versions, which no
// program accepts; what is left to do follows from what is stored. So Migrate may be killed at any
// time, and needs the memory of one step. ReadOnly changes nothing, in whatever version.
//
// # Claims of a process that has ended
//
// Open looks for shipments whose claim is unanswered: among the newest, of two minutes, and in
// unanswered, where claims of older shipments are (keys that were tried again). So a claim costs an order
// nothing. Abandoned returns what it has found.
//
// # What can't be read
//
// A record that can't be read, since its sum is wrong or its form is, costs only its own shipment or
// key: deadlines, feeds, receipts and retention skip it, log and count it. A call that is about it
// fails, alone.
//
// A record whose key has changed is missing under its own. So an order's key, its shipment and its
// recipient's block count as absent only if the records on both sides of their place are whole and in
// order. Else the call fails: about two calls in as many as the slot has keys. A slot whose name has
// changed is still asked, and never leaves. A filter whose bits have changed rules out nothing.
//
// bbolt's own structure has no sums, except for its meta pages. A changed page number, count or
// position mostly leads to a page or a record that can't be read; but a count that has become smaller,
// or a page number that leads to another page of the same table, can hide records.
//
// A page that can't be read ends the process (Journal.Damaged): no one knows what else is on it, and
// bbolt does not survive a panic. ReadOnly reports it: "straks journal check" names the tables.
//
// # What a failed write allows
//
// All calls of the batch get orders.ErrUnavailable: they may be stored or not. From then on calls
// are refused at once (orders.ErrNotStored), and the writer tries a small write of its own, at
// growing intervals, until one succeeds.
//
// If the failed commit got as far as its meta page, that page is visible but perhaps not on disk,
// and the pages that it frees must not be reused before it is. So the file is closed and opened
// first, and its meta pages are written again and synced.
//
// # A file that becomes another
//
// cp, dd, rsync --inplace and the restore of a backup write into the file that is open, and the map shows
// it at once; mv and rm put another in its place. Each transaction checks the file before it begins and
// after its commit, each reader before and after it reads, and the writer once a second: the inode under
// the path, the length, and that the two meta pages are those of the last commit here. So no call is
// answered from an older state.
//
// A file that was moved away and has another name is waited for: calls are refused, and what is in its
// place is neither opened nor written to. Otherwise what was stored since may be gone, and the process
// ends (ErrReplaced). A file beside the journal, ".overwritten", then keeps Open from what is there
// until somebody has put the right file in place and deleted it: the supervisor's restart must not go
// on from an older state either.
//
// What a tool writes without touching a meta page, in the middle of the file, is found by the sums of
// records, or when bbolt meets the page.
//
// A write that stalls is waited for: it can't be taken back. Calls in the queue go into the next
// transaction. New calls are refused from its first second on, and the journal is not ready until a
// write was faster.
package bolt
