// Package dlr reads delivery receipts: what an SMSC says in a deliver_sm or
// data_sm about a message that it took before. It is pure: no clock, no
// log, no state.
//
//	Deliver --Parse--> Receipt           what it says, in any dialect
//	Receipt + Dialect  --> references    whom it is about
//	Receipt + Dialect  --> State, Cause  what became of it
//
// # What is a receipt
//
// The first of these that holds decides:
//
//  1. esm_class says receipt or intermediate notification (SMPP 3.4 §5.2.12).
//     Then it is one, even if nothing in it can be read: its State is None.
//  2. TLV receipted_message_id or message_state is there. Nothing else bears them.
//  3. esm_class says nothing, but the text can't be mistaken: it begins with "id:" and an
//     id, has a "stat:" that is a state, and two more fields of the form below. Some SMSCs
//     forget the esm_class bits.
//
// By the third rule a subscriber could write a receipt by hand. So such a receipt is
// Unmarked: it is to be believed only of a message to the number that it comes from.
// All else is a message of a subscriber (mobile-originated).
//
// # What it says
//
// TLVs win over text: they are typed, and the text is written for people
// (SMPP 3.4 Appendix B: "SMSC vendor specific"). The text is
//
//	id:I sub:S dlvrd:D submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:X err:E text:…
//
// with its fields in any order and letter case, any of them missing, with or without
// blanks, with '_' or nothing in "submit date", and in UCS-2 even if data_coding denies it.
//
// What follows "text:" is the beginning of the message itself. It may look like fields,
// so it is not looked at. Only where "text:" comes first of all are fields read behind it;
// then the last of each counts. No octet of it leaves this package.
//
// "Delivered" is believed only where it is the whole value, since one word more can turn it
// round. A word for the state that nobody knows is kept for operators, if it can't be more
// than that. Then the error code decides, where the SMSC's table has it.
//
// Dates have no time zone, and SMSCs write what their clock shows. So a date is in UTC by
// name only: good to show and to compare with another of the same SMSC, but not with our
// clock. What can't be read is left empty. Nothing panics, and no more than 4096 octets of
// text are read.
//
// # Whom it is about
//
// The id in a receipt should be the one in submit_sm_resp, and often is
// spelled differently. A Dialect says how an SMSC spells either; its references are
// canonical, so that equal ids have equal references. Form tells what is safe to do
// without being told.
package dlr
