// Package examine looks at a PostgreSQL server and the standbys around it, and says what would make the journal
// forget what it has acknowledged: replication that nobody waits for, a server that does not sync, a supervisor
// that may promote a standby which lacks something. "straks doctor" prints what it finds, and each node looks
// again every minute (Watch).
//
// Examine opens a connection of its own with the settings that role and database give it, not those of the
// journal's sessions: so it sees what another session would get. It writes no row. Its commits are empty messages in
// the WAL, by which it measures how long a commit takes.
//
//	examine.go  Examine: a look at everything
//	facts.go    what is read from the server
//	judge.go    what follows from it: pure
//	quorum.go   synchronous_standby_names
//	commits.go  how long a commit takes
//	patroni.go  the supervisor's version
//	watch.go    every minute, for a node
package examine
