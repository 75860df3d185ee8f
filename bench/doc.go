// Command bench measures straks daemons between a load generator and a simulated
// carrier, as clients and carriers see them.
//
//	go run ./bench                                  # the scenarios, this module's straks
//	go run ./bench -straks OLD -straks NEW          # two binaries in alternating rounds, with ratios
//	go run ./bench -nodes 2                         # nodes over PostgreSQL, beside one daemon over a file
//	go run ./bench -overload -for 1m                # twice the peak
//	go run ./bench -soak 1h                         # carriers with every fault; nothing may grow
//
// Each daemon is a process of its own, started by its public command line
// ("straks init", "straks serve"), so any straks binary can be measured. Without
// -straks, cmd/straks of this module is built into a temporary folder. Load generator
// and SMSC simulator share this process and so one clock: the text of a message is its
// number, by which the time of a request's first octet meets the time at which the
// SMSC read the submit_sm. In an overload the load generator is a third process,
// because the simulator would be late among thousands of connections.
//
// With -nodes the journal is a PostgreSQL primary with two standbys on the same machine (internal/pgcluster), of which one
// must have a commit before it counts. Each node has one of the account's binds, and the clients' connections are
// spread over the nodes. Receipts follow at once, over either bind, so half of them meet a node that does not have the
// answer yet: the worst case. With -receipt 1s they come as late as those of phones do. Processor time and
// memory are those of all nodes; the database's are beside them.
//
// The files:
//
//	main.go       flags, and what they choose
//	compare.go    programs and rounds: who runs when
//	scenario.go   the scenarios: rates, a slow carrier, a frozen carrier
//	nodes.go      the same scenarios for nodes over PostgreSQL
//	overload.go   the peak, twice the peak, half of it; a disk that hangs
//	soak.go       carriers with every fault, and what must not grow
//	external.go   the same scenarios for another gateway (see bench/kannel)
//	daemon.go     a straks process and its metrics
//	process.go    processor time and memory of processes
//	fill.go       a journal with a history
//	load.go       when each order is due, and which connection makes it
//	client.go     one HTTP connection
//	generator.go  the load generator as a process of its own
//	track.go      times of each order
//	result.go     figures, their tables and ratios
package main
