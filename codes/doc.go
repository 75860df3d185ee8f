// Package codes makes verification codes, sends them and checks them.
//
//	POST /verifications
//	 1 api            authenticate, decode, validate, build a Request
//	 2 Service.Start  one transaction: a known idempotencyId? its verification. One pending for the same recipient and
//	                  template? that one, with another message if it is time. Else a new one
//	 3   orders.Place the message, under an idempotencyId of its own that follows from the verification and its number
//	 4 201
//	POST /verifications/{id}/check
//	 5 Service.CheckCode  one transaction: derive the code, compare, count the attempt, perhaps end the verification
//	 6 200, 410
//
// # What is on disk
//
// No code is anywhere: it is derived from a key, the verification and its recipient whenever it is needed. So another
// message has the same code, also after a restart and on another node. What is stored of a recipient are keyed hashes, by
// which it is found again, and the address itself encrypted, for further messages, until the verification has ended. The
// keys are not on that disk, or not with those rights: see Keys.
//
// After 2 the verification is pending, and its message may not have left. A caller that repeats its call sends it then:
// orders know the message by its key, so that it leaves once at most.
//
// An attempt is counted in the transaction in which it is compared, and its outcome is known outside when that is on
// disk. A process that is killed has counted each attempt that anybody has an answer to.
//
// # Limits of guessing
//
// A verification has at most 10 attempts, and an address 100 wrong codes within an hour, over all verifications of its
// organisation. An address has at most 5 pending verifications, and a verification at most 10 messages.
//
// # Files
//
//	key.go           keys: what is derived from them, their text
//	code.go          codes: derived, normalised, compared
//	verification.go  Verification: its life, pure
//	recipient.go     what is counted of an address, pure
//	template.go      texts
//	language.go      which language a person prefers
//	store.go         Store: what an engine gives
//	record.go        the stored forms
//	newer.go         what a newer program has added to them
//	service.go       Service; look-ups, and the end that a caller wants
//	start.go         a verification begins, or goes on
//	send.go          its messages
//	check.go         its attempts
//	feed.go          reading the feed
//	keep.go          what is due without a caller
//	metrics.go       metrics
package codes
