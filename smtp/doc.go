// Package smtp hands single mails over to mail relays, now, over connections
// that are kept open.
//
// # Protocol flow
//
// A kept connection carries one transaction after another (RFC 5321 §3.3), no
// RSET between:
//
//	C: MAIL FROM:<sender> [SMTPUTF8] [RET=HDRS ENVID=…]
//	C: RCPT TO:<recipient> [NOTIFY=… ORCPT=…]
//	C: DATA
//	S: 354
//	C: header, body, "."         the point of no return
//	S: 250 2.0.0 queued as …
//
// # What an error allows
//
// Everything hangs on the final dot. A relay must not deliver a message whose
// end it has not seen (RFC 5321 §4.1.1.4), so:
//
//	before the dot   4yz, 421, lost, timed out    NotSent, another relay may get it
//	before the dot   a reply that answers nothing NotSent, and the dot is not written
//	before the dot   5yz about us or the session  NotSent, another relay may get it
//	                 (530, 535, "relay access denied", "client host rejected", …)
//	                 or about the sender (5.7.x to MAIL, …)
//	anywhere         5yz about the mail           Refused
//	dot not written  the write itself failed      NotSent: its last octet never left
//	dot written      2yz                          Accepted
//	dot written      4yz                          NotSent: the relay says it did not take it
//	dot written      lost, timed out, garbage     Unknown: no relay ever gets it again
//
// A Send whose deadline passes between the dot and its answer ends as Unknown. The
// answer is listened for all the same, up to Relay.DataTimeout after the dot. The connection
// keeps its slot meanwhile, but is given up when a mail has waited lateYields for one. What
// comes goes to Late. There 4yz counts as Refused: nobody sends the mail again.
//
// replies.go holds the one table from reply codes (RFC 3463) to reasons.
//
// # Several relays
//
// They are tried in the order of the configuration, but for health: connected
// before not, well before in trouble, free before busy. Each gets its share of the
// time left up to the dot. When no relay can be reached, all are tried again until
// the context ends.
//
// A relay in trouble (it broke off, timed out, or said that it is unfit) goes last, until
// the keeper's probe finds it well. The probe is a NOOP, and may be wrong about mails:
// so the next failure puts the relay back for longer.
//
// # Ownership
//
// Pool.Run starts one keeper per relay and joins it. The keeper holds at least
// one connection open, asks idle ones for a sign of life, replaces those that were
// asked often (see endurance), and reconnects with jittered back-off.
//
// A connection belongs to the Send or the keeper that took it from its relay's stack,
// until it is put back. It has a goroutine of its own only from the final dot to the
// answer; where Send ends before that, this goroutine owns it, and Run joins it. Every
// Send has one of Relay.MaxConns slots, so that connections, in use or idle, are never
// more than that.
//
// go-smtp's client does the commands. It knows no context, no limit on a
// reply and no deadline while a body is written, and would take what came beyond a reply
// for the next one. guard, the net.Conn beneath it, sees to these. A context that ends closes the socket, unless a late answer is awaited there.
//
// The text and subject of a mail live in memory for the length of Send, and of the
// wait for a late answer, which may quote them. They never reach a log or an error, and
// neither does the recipient: relays like to quote, so their replies are masked first.
package smtp
