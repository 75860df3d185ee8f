// Package dlr reads delivery receipts: what an SMSC says in a deliver_sm or data_sm
// about a message that it accepted earlier. It is pure: no clock, no log, no state.
//
//	Deliver + Dialect --Parse--> Receipt     what the receipt says, and its State
//	Receipt + Dialect         --> references  which message it is about
//	Receipt + Dialect         --> Cause       why that message failed
//
// The files:
//
//	receipt.go  Deliver, Receipt and its State; Parse
//	text.go     the fields of a receipt's text
//	values.go   the values of those fields: states, words, dates
//	states.go   an SMSC's table of states; which unknown words may be shown
//	dialect.go  forms of message ids, references, mismatch hints
//	cause.go    causes, and an SMSC's table of error codes
//
// # What is a receipt
//
// The first rule that holds decides:
//
//  1. esm_class says receipt or intermediate notification (SMPP 3.4 §5.2.12). Then the
//     message is a receipt, even if nothing in it can be read: its State is None.
//  2. TLV receipted_message_id or message_state is present. Only receipts have them.
//  3. esm_class says nothing, but the text leaves no doubt: it begins with "id:" and an
//     id, has a "stat:" that is a state, and two more fields of the form below. Some
//     SMSCs forget the esm_class bits.
//
// A subscriber could type a receipt that passes the third rule. Such a receipt is
// Unverified: apply it only to a message whose recipient is the number that it comes
// from. Everything else is a message from a subscriber (mobile-originated).
//
// # What it says
//
// TLVs win over the text: they are typed, and the text is written for people
// (SMPP 3.4 Appendix B: "SMSC vendor specific"). The text is
//
//	id:I sub:S dlvrd:D submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:X err:E text:…
//
// with its fields in any order and letter case. Any field may be missing. Blanks may be
// missing, and "submit date" may be written with '_' or as one word. The text may be in
// UCS-2 although data_coding says otherwise.
//
// After "text:" comes the beginning of the message itself, which may look like fields, so
// it is not read, with two exceptions. Where "text:" is the first field, the fields after it
// are read; the last of each then counts. Where its value is empty and the state comes after it,
// the fields after it are read if no message can have written them (fields.afterEmptyText). No
// octet of the message leaves this package.
//
// An SMSC's own table of states (StateTable) goes before everything else, TLV message_state
// included: an operator who writes "0" = "delivered" means it. Else "Delivered" counts only if
// it is the whole value: a second word can reverse it ("DELIVERED NO"). ACCEPTD is final at SMSCs
// that send nothing after it (Dialect.AcceptedIsFinal). The word of an unknown state is kept for
// operators: whole if it is a short number or consists of words of which states are made
// ("DND_REJECTED"), else masked, since it could be a name or a code. The error code then
// decides, if the SMSC's table has it.
//
// Dates have no time zone; SMSCs write local time. A date is in UTC by name only: it may
// be shown and compared with another date of the same SMSC, but not with our clock. A
// date that can't be read is zero. Nothing panics, and at most 4096 octets of text are
// read.
//
// # Which message it is about
//
// The id in a receipt should equal message_id in submit_sm_resp, and often is spelled
// differently. A receipt may have two: the TLV's and, if that is another one, the text's. They are
// tried in this order. A Dialect says how an SMSC spells each. References are canonical: equal
// ids have equal references. The comment of AsIs says which differences may be ignored
// without a setting.
package dlr
