// Package sealed encrypts the recipients that an engine of orders.Journal stores, and makes keyed hashes of them
// for its look-ups.
//
//	key.go    Key: what the operator's key file holds
//	state.go  Attach: which keys a journal needs, and the Box that they make
//	box.go    Box: Seal, Open, Hash and Finder
//
// # Keys
//
// The operator's key is 256 random bits in a file. Each record has a key of its own, which HKDF-Expand (RFC 5869 §2.3)
// makes of the operator's key and of what the value is about: its table and the id of its record. The recipient is
// encrypted with that by AES-256-GCM, with a random nonce of 96 bits. So the bound of 2^32 values for one key (NIST SP
// 800-38D §8.3) is one for each record, and no traffic reaches it. A value that is copied to another record, or to another
// table, does not open.
//
// Hashes have another key. It is random, made when a journal is sealed for the first time, and stored in the journal,
// sealed with the operator's key. So a new operator's key changes no hash: whatever is looked up by one is found during
// a rotation and after it, with one look-up.
//
// A journal's State says which keys its records may still need. A program that lacks one of them does not
// attach, so that a missing key is noticed at the start and not at a record.
//
// # How an engine uses it
//
//	box, next, err := sealed.Attach(keys, journalID, state) // when it opens; state: as it was stored, nil in a new journal
//	... store next in place of state, if it is not nil, before anything else is written
//
//	value := box.Seal(to, "shipments", id[:])       // in place of the recipient; box.Seals() says whether to
//	to, err := box.Open(value, "shipments", id[:])  // the same words, or it is ErrValue
//	key := box.Hash("blocked", org, channel, to)    // where a key of a table held the recipient, or a plain hash
//	box.Finder(to)                                  // octets that each value of this recipient has, at FinderAt
//
// A nil Box seals nothing, and opens nothing.
//
// What was stored before the journal was sealed stays plain, and what was sealed with the former key stays so, until the
// engine has stored it again: its retention goes through all tables in small steps, and seals each value that is not
// Current, unless Box.Settled. When that is done it stores Box.Resealed as the state, and the former key is not needed any
// more. A look-up by hash has to try the plain hash too, while Box.Plain.
//
// Where several processes share a journal, next is stored only if the state is still what Attach was given; else Attach is
// called again. Resealed is for when all of them have the same current key: before a rotation each gets the new key as its
// former one, so that it opens what the others seal.
package sealed
