// Package limits counts orders and what they cost, and refuses those that are beyond an organisation's limits: a login
// page that is abused must neither flood one phone nor cost a fortune.
//
//	limits.go     Config, Limits: Take and what it gives back
//	recover.go    counts after a restart, and under another configuration
//	others.go     what other processes accept into the same journal: Count, Follower
//	recipient.go  orders to one recipient, in sliding windows
//	prefix.go     orders and recipients of a prefix or country, in a sliding window
//	calendar.go   orders of an organisation, by day and month
//	budget.go     what an organisation spends, by month: Spend
//	metrics.go    metrics
//
// # What is counted
//
// An order counts from the moment before it is stored. It is given back if its key was known, if it was not stored,
// or if it surely did not leave. So what has left never exceeds a limit, whatever number of clients call at a time.
//
// An order that is under way counts in the budget with the most that it can cost: its parts at the most expensive SMSC
// of its route. Then what it did cost takes that place: the price of the SMSC that has it, or may have it, for each part.
//
// # Restarts
//
// The journal has every order that was accepted, so the counts need no place of their own there: Recover counts the
// shipments of the longest window again. After a kill too, no order is missing. A shipment whose outcome is not known
// counts. The journal has the cost of each shipment, by the prices of when it was sent: other prices change nothing of it.
//
// # Several processes
//
// Where several processes accept orders into one journal, each counts its own before they are stored, and learns of
// those of the others from the journal, again and again (Follower). So a limit is exceeded by no more than what the others
// accept in that time. An order of another process counts from when it is seen; it is given back if it did not
// leave, and then costs what it did cost, as one of this process.
//
// # Another configuration
//
// Reconfigure keeps the counts. Where a window is longer than before, or new, what is missing is counted from the journal.
//
// # Memory
//
// A recipient is kept as a hash of 64 bits and the seconds of its orders, in generations that leave as a whole. If
// more than maxRecipients are known, the oldest generation leaves early: that is counted and logged, since a recipient
// in it may get more than its limit.
package limits
