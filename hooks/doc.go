// Package hooks sends each change of a shipment, or of a verification, to the receivers that its organisation has subscribed, as HTTP
// requests by the Standard Webhooks specification (https://www.standardwebhooks.com).
//
//	hooks.go         Config, Webhook, Dispatcher and its Run
//	subscription.go  Subscription: one webhook's goroutine: read the feed, send, wait
//	round.go         the requests that are out at a time, and their order
//	settle.go        what an outcome changes: the cursor, back-off, stop, entries that are passed over
//	operate.go       what operators ask for: State, Resume, Test
//	attempt.go       one request and what came of it
//	dial.go          which addresses a receiver's name may lead to
//	source.go        the feeds that are read
//	event.go         the body, and the headers that identify it
//	signature.go     secrets and signatures
//	cursors.go       storing cursors, and removing those of webhooks that are gone
//	metrics.go       metrics
//
// # What is promised
//
// Each entry of the feed, from the one after the cursor on, is sent until the receiver answers 2xx: at least once,
// also across a restart, a kill and a power cut. Entries are sent in the order of their numbers. By default one
// request is out at a time, so that the receiver handles entries in order. With MaxInFlight above 1, requests
// overlap, except those of one shipment, and the receiver sees the order by the numbers.
//
// The cursor is stored once a second, so that it does not cost a commit for each request. After a kill, what was
// sent in the last second is sent again, with the same webhook-id.
//
// An entry is passed over when it was retried for GiveUp (3 days). An answer of 410 stops the webhook until an
// operator resumes it. Every other answer that is not 2xx, and none at all, is followed by another attempt, after a
// pause that grows to an hour.
//
// # What a receiver can cost
//
// Each webhook has one goroutine that reads the feed, at most one page of entries, and MaxInFlight requests. No
// other webhook, order or receipt waits for it. Two webhooks read the feed at a time. Of an answer, only the status
// and Retry-After are used; the rest is neither kept nor logged.
package hooks
