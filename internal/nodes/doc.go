// Package nodes runs several straks in front of one PostgreSQL, on this machine: each a process of its own, so that it
// can be killed and frozen, between a simulated SMSC and database servers of internal/pgcluster. It places orders on
// them, repeats at the other node what was not answered, and compares what clients were told, what the SMSC got and
// what the feed says. "straks demo -cluster" shows that, and tests hold it against every failure.
//
//	world.go  World: database, SMSC, configurations
//	node.go   Node: a process (process_*.go: its end)
//	tls.go    certificates with which nodes know each other
//	book.go   Book: what was ordered, answered and sent
//	load.go   clients that place orders and repeat them
//	judge.go  what must hold in the end
//	open.go   orders without an outcome, and why they have none
//	outage.go what happened to nodes, and when
package nodes
