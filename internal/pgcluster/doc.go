// Package pgcluster runs PostgreSQL servers on this machine, for tests and "straks demo -cluster": a primary and
// standbys that it streams to, synchronous by quorum, and what a supervisor such as Patroni does with them. It is
// no way to run a database in production.
//
// Servers listen on unix sockets only, so no port is fixed and nobody else can connect. initdb refuses root: as
// root, the servers run as an unprivileged user. All files are in one folder, which Close removes with the
// servers. If this process is killed, the kernel ends the servers (Linux only).
//
//	binaries.go  where the programs of PostgreSQL are
//	server.go    one server: start, stop, kill, freeze
//	cluster.go   several: replication, failover, rejoining
//	process_*.go users, children and ends of processes
package pgcluster
