// Command bench measures straks daemons between a load generator and a simulated
// carrier, as clients and carriers see them.
//
//	go run ./bench                                  # the scenarios, this module's straks
//	go run ./bench -straks OLD -straks NEW          # two binaries in alternating rounds, with ratios
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
// The files:
//
//	main.go       flags, and what they choose
//	compare.go    programs and rounds: who runs when
//	scenario.go   the scenarios: rates, a slow carrier, a frozen carrier
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
