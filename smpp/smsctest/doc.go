// Package smsctest is a scriptable SMSC: the far end of an SMPP 3.4 link, on
// loopback, with the faults and habits of real ones. Tests of the whole project
// use it, the sandbox embeds it, and "straks smsc" is it as a program.
//
//	s, err := smsctest.Listen("127.0.0.1:0", smsctest.Profile{})
//	defer s.Close()
//	… send something to s.Addr() …
//	submits, err := s.WaitSubmits(ctx, 1)
//
// # What becomes of a submit_sm
//
//	1 conn.read       frame, time of arrival
//	2 script.towards  the longest suffix of the number names its Behaviour
//	3 play.judge      taken or refused, message id
//	4 SMSC.note       recorded, counted, OnSubmit
//	5 play.perform    mischief, freezing, closing; an early receipt
//	6 play.conclude   after Delay: submit_sm_resp, or silence
//	7 account.deliver after Receipt.Delay: deliver_sm on any bind of that
//	                  system_id with room in its window
//	8 acknowledged    done; a temporary error brings it again after Retry
//
// A receipt that is not acknowledged is sent again as it was, at the next bind if need
// be: because the bind ended, the time ran out, or the answer was a temporary error. It
// waits in memory, bounded by Profile.MaxWaiting.
//
// # Goroutines
//
// One accepts. One keeps the clock: everything that happens later runs there
// and must not block. Each connection has two: its reader decides, its writer writes
// whatever has gathered. Close joins them all.
//
// # Repeating a run
//
// Every chance is drawn from one generator that Profile.Seed starts, so the
// same submits in the same order meet the same fate.
package smsctest
