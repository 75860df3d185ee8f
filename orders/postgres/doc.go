// Package postgres is the journal that several nodes share: orders.Journal on a PostgreSQL database. It stores what
// orders/ledger puts, and has no rules of its own.
//
// # Tables (schema "straks")
//
//	meta        the journal's id, the version of its schema, where feeds begin, the state of its keys
//	keys        hash(organisation, key) -> shipment. Not partitioned: a key is known once, whatever its week
//	shipments   id -> record; beside it what SQL asks for. A partition for each week of ids
//	refs        hash(carrier, reference) -> the last two bound to it; the report that waits there
//	parked      id -> report that waits for its answer
//	feed        organisation, seq -> shipment, status, at. In the partition of its shipment
//	feed_head   organisation -> its newest number
//	blocked     hash(organisation, channel, recipient) -> entry of a block list
//	unanswered  form of a number, shipment: the answer of the shipment never came
//	retried     at, claim: a shipment that was claimed again, for nodes that count what others accept
//	cursors     organisation, name -> how far a subscription has read the feed
//	codes       kind, key -> record of a verification (package codes), and when it is due
//	code_feed, code_head
//	            their feeds, as above
//	nodes       id -> who runs as this node, its epoch, when its lease ends, hashes of what all must have alike, and ids of its keys
//	slots       smsc, n -> the node that has this bind, or had it last
//	slot_users  smsc, node: the nodes that share the binds of this SMSC
//	fence       node -> a number that barriers raise
//	kept        how far deadlines are kept
//
// What clients and carriers have written is in records or hashed, since it may have octets that text does not
// take. The text of a message is nowhere.
//
// # Files
//
//	options.go     Options, and the settings of sessions
//	schema.go      tables, Create
//	upgrade.go     Upgrade: one version further, while nodes run
//	weeks.go       partitions
//	journal.go     Journal: orders.Journal's calls that are about one shipment
//	writer.go      the two writing goroutines: batches, attempts, what callers are told
//	accept.go      storing orders
//	apply.go       storing facts
//	load.go        what a transaction reads and locks, in one trip
//	undecided.go   commits whose answer is lost
//	work.go        ledger.Store over that, in memory
//	write.go       what it writes, and the commit, in one trip
//	codec.go       records
//	hashes.go      what rows are found by
//	sealing.go     the keys that seal recipients, of nodes that share a journal
//	reseal.go      sealing what was stored before
//	conn.go        sessions; what an error of the database means
//	reason/        why the database refuses or is not reached, in one line for operators
//	beside.go      what is written beside the two writers
//	barrier.go     what a reader waits for
//	feed.go find.go blocks.go cursors.go unanswered.go
//	               reading
//	verifications.go
//	               codes.Store
//	due.go mark.go which shipments are due, and how far deadlines are kept
//	sweep.go       retention
//	lease.go       this node's lease, and that of others
//	ready.go       whether this node may submit, and takes orders
//	nodes.go       what this node knows of the others
//	clock_*.go     the clock by which it ends
//	slots.go       binds of an account, shared between nodes
//	sharing.go     the nodes that have them, as this node shows it
//	others.go      what other nodes accept, for limits that count over all nodes
//	alike.go       what must be the same on all nodes, and is not
//	counts.go      levels that bounds are held against
//	levels.go      what /status shows
//	metrics.go     metrics
//	contents.go    taking over another journal
//	check.go       Check: every invariant, in one snapshot
//	stats.go       Stats; Jump, after a restore
//
// # Writing
//
// One goroutine stores orders, another one facts. Each takes all calls that wait and stores them in one transaction.
// Orders with new keys cost one statement. Facts cost two trips: one reads and locks all that they need
// (ledger.Names), then the rules run in memory, and the other one writes and commits. Those that may change a block list cost
// another, since only the recipient of a mail says which entry is its own.
//
// Locks are taken in one order: keys, references, shipments, block lists, heads of feeds. A transaction that loses
// against another one (a deadlock, a row that another has just inserted) has changed nothing and is done again.
//
// # What an answer means
//
// The commit is the only truth. It is awaited: no context of a caller reaches a write, because a commit that is
// cancelled while it waits for a standby becomes visible to all, on one disk. A caller may leave; the write goes
// on. If the session ends, or the database warns of the commit, nothing is known: orders.ErrUnavailable.
//
// What is read may be on one disk only: after a restart of the primary, its rows are visible before a standby has
// them. So whatever is answered from what was found waits for a write: an order's known key by an update that changes
// nothing, Known and Feed by a barrier (barrier.go), an unanswered claim by its end. A node remembers how far a barrier has made each feed safe.
//
// # Nodes
//
// A shipment belongs to the node that has claimed it, for good: no other node sends it. Its key becomes free only by
// an answer of handover.NotSent to a claim that has no answer yet. While that node lives, which its epoch says, it will
// answer: after an outage of the database much later than the claim lasts. So repeats of the key at other nodes wait
// for it (orders.Shipment.Held). Where it does not live any more, the node that tells a client that the key is known ends
// the claim first. Both happen under the shipment's lock: so it does not matter when a frozen node wakes, and no
// clock decides. A node that was declared dead stores no orders until it has its lease again: their claims would be
// those of a process that has ended.
//
// A node has a lease (lease.go). It must not submit after three quarters of it, counted from the request for it by
// a clock that goes on while the machine sleeps (Allow). A node whose lease has expired is declared dead: its epoch is
// raised, its slots are anyone's, and its unanswered claims are those of a process that has ended (Abandoned).
//
// The keeper is the live node with the lowest id. It alone keeps deadlines and retention, and matches reports to
// unanswered shipments. Two keepers for a moment do no harm: all that they do may be repeated.
//
// # Recipients
//
// With Options.Keys, records have recipients sealed (package sealed), and a hash or column that follows from one is keyed. A
// journal that gets its first key has both forms, until the keeper has gone through all tables. Meanwhile look-ups ask
// for both, and rows change their form in place. Nodes get a new key one after the other: first as the former one, so that each
// opens what another seals. The first key needs all nodes stopped.
//
// # Schema versions
//
// Nodes of version N and N+1 run together: a version adds, and the one after the next drops. Open takes the present
// version and the next. Upgrade goes one version further, and only when each live node can use that one. A record
// grows at its end, and a program that writes it again keeps what a newer program has appended.
package postgres
