// Package limits counts orders, and refuses those that are beyond an organisation's limits: a login page that is
// abused must neither flood one phone nor cost a fortune.
//
//	limits.go     Config, Limits: Take and what it gives back; Recover
//	recipient.go  orders to one recipient, in sliding windows
//	prefix.go     orders and recipients of a prefix, in a sliding window
//	calendar.go   orders of an organisation, by day and month
//	metrics.go    metrics
//
// # What is counted
//
// An order counts from the moment before it is stored. It is given back if its key was known, if it was not stored,
// or if it surely did not leave. So what has left never exceeds a limit, whatever number of clients call at a time.
//
// # Restarts
//
// The journal has every order that was accepted, so the counts need no place of their own there: Recover counts the
// shipments of the longest window again. After a kill too, no order is missing. A shipment whose outcome is not known
// counts.
//
// # Memory
//
// A recipient is kept as a hash of 64 bits and the seconds of its orders, in generations that leave as a whole. If
// more than maxRecipients are known, the oldest generation leaves early: that is counted and logged, since a recipient
// in it may get more than its limit.
package limits
