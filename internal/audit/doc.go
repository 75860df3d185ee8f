// Package audit keeps who did what and when, in files that show whether anything in them was changed.
//
//	Record --> queue --> Run: one line each, in the order of Record --> a file for each day (UTC)
//
// The files:
//
//	event.go    Event: what is recorded, and its line
//	log.go      Log: the queue, and the goroutine that writes
//	files.go    the files of the days: opened, continued, removed
//	verify.go   whether every line is as it was written
//	metrics.go  straks_audit_*
//
// # Lines
//
// A line is a JSON object. seq counts lines from 1 on, over all files. prev is the SHA-256 (64 hex digits) of the line
// before, without its line end; of the first line it is 64 zeros. So a line that is changed, removed or
// added does not fit to the lines after it. Everything after a change could be written again by
// someone who may write the files: so the hash of the last line goes to the daemon's log every hour, at the
// end of each day, and when the daemon stops. Who keeps that log elsewhere can hold it
// against the files: "straks audit verify -head HASH".
//
// No line has a message's text, a recipient, a token or an idempotencyId.
//
// # What may be lost
//
// An order does not wait for the audit. The queue has a bound; where the disk can't keep up, events are left out, and the
// next line says how many (lost), a metric too. A line is in the kernel's hands within
// milliseconds, and on disk within a second: a kill of the process loses what was queued, a power cut a second.
// A line that a power cut tore is removed at the next start, which is an event of its own.
package audit
