// Package smsctest is a scriptable SMSC with a will of its own: the far end of an SMPP 3.4
// link, on loopback, with the faults and habits of real SMSCs. Tests of the whole project
// use it, the sandbox embeds it, and "straks smsc" runs it as a program.
//
//	s, err := smsctest.Listen("127.0.0.1:0", smsctest.Profile{})
//	defer s.Close()
//	… send something to s.Addr() …
//	submits, err := s.WaitSubmits(ctx, 1)
//
// The files:
//
//	profile.go   Profile and Behaviour: what kind of SMSC to be
//	quirk.go     quirks as settings and rules in text; the agreed endings of numbers
//	smsc.go      SMSC: listening, connections, close
//	control.go   what a test does to a running SMSC: outage, freeze, MO messages, storm
//	conn.go      one connection: reader, writer, outbox
//	account.go   binds, and the deliveries to a system_id
//	play.go      what happens to a submit; the random choices
//	submit.go    Submit: parts and text of what came in; the record of submits
//	receipt.go   receipts and message ids
//	mischief.go  PDUs that no SMSC should send
//	codec.go     PDUs to and from octets, through go-smpp
//	clock.go     timers; freezing
//	stats.go     counters, waiting for them, and a page that shows them
//
// # What happens to a submit_sm
//
//	1 conn.read       frame, time of arrival
//	2 script.towards  the longest suffix of the number selects its Behaviour
//	3 play.decide     accepted or refused, message id
//	4 SMSC.note       recorded, counted, OnSubmit
//	5 play.perform    mischief, freezing, closing; an early receipt
//	6 play.conclude   after Delay: submit_sm_resp, or none
//	7 account.deliver after Receipt.Delay: deliver_sm on any bind of that system_id
//	                  with a free slot in its window
//	8 acknowledged    done; after a temporary error it is sent again, after Retry
//
// A receipt that is not acknowledged is sent again with the same octets, at the next bind
// if necessary: the bind ended, the time ran out, or the response was a temporary error.
// Receipts wait in memory, bounded by Profile.MaxWaiting.
//
// # Two codecs
//
// The gateway reads and writes PDUs with package wire. The simulator uses go-smpp, so that
// the two ends do not share a codec and its bugs. Package wire's structs, numbers and
// names serve both. These parts are not go-smpp's:
//
//   - frames are cut by wire.Reader: go-smpp refuses a PDU of more than 4096 octets, where
//     message_payload alone may have 65,535 (SMPP 3.4 §5.3.2.32);
//   - fields are checked by wire before they are written: go-smpp checks nothing;
//   - the list of data_sm's fields is ours, the fields are go-smpp's: it lacks the PDU;
//   - TLVs are written by go-smpp one at a time, since it would write them in random order.
//     TLVs that were read are sorted by tag, and of a repeated tag the last is kept;
//   - malformed PDUs (mischief.go) are octets by hand.
//
// The price: a message and its receipt take 2.7 times the processor time, 10 to 18
// microseconds more, and 122 allocations in place of 42 (BenchmarkSMSC). An order takes the
// gateway about 180 microseconds, so on the same processors a load benchmark would measure
// the simulator as well. Profile.Fast selects package wire for both ways; only load
// benchmarks should set it.
//
// # Goroutines
//
// One accepts. One runs the clock: everything that happens later runs there and must not
// block. Each connection has two: its reader decides, its writer writes whatever has
// gathered. Close joins them all.
//
// # Repeating a run
//
// All random choices come from one generator, seeded with Profile.Seed: the same submits in
// the same order get the same treatment.
package smsctest
