package postgres

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/ledger"
	"straks/orders/sealed"
)

// What rows are found by. With a key, what follows from a recipient is a keyed hash (package sealed). Until all that was
// stored before the journal had a key is sealed too (reseal.go), a row may be under either form.

// hash is a key of several strings, none of which can pass for another.
type hash [16]byte

func compareHashes(a, b hash) int { return bytes.Compare(a[:], b[:]) }

func hashOf(parts ...string) (h hash) {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	copy(h[:], sum[:])
	return h
}

// forms returns the hashes under which a row may be. A new one is under the first.
func forms(box *sealed.Box, plain hash, parts ...string) []hash {
	switch {
	case !box.Seals():
		return []hash{plain}
	case !box.Plain():
		return []hash{hash(box.Hash(parts...))}
	}
	return []hash{hash(box.Hash(parts...)), plain}
}

// plainBlock, like the hash of a key, is the one that orders/bolt has: a journal that moves has no more of old entries.
func plainBlock(organisation string, c orders.Channel, to orders.Recipient) hash {
	return hashOf(organisation, c.String(), string(to))
}

// blockForms are those of an entry of a block list.
func blockForms(box *sealed.Box, organisation string, c orders.Channel, to orders.Recipient) []hash {
	return forms(box, plainBlock(organisation, c, to), "blocked", organisation, c.String(), string(to))
}

// refForms are those of a reference.
func refForms(box *sealed.Box, carrier, ref string) []hash {
	plain := hashOf("ref", carrier, ref)
	if !ledger.NamesRecipient(carrier, ref) {
		return []hash{plain}
	}
	return forms(box, plain, "ref", carrier, ref)
}

// numberSize is how many digits stand for a phone number (orders.Recipient.Number).
const numberSize = 7

// numberForms returns what may stand for a number in a column, none for an empty one: a keyed hash, or its digits. A new row
// has the first.
func numberForms(box *sealed.Box, number string) [][]byte {
	switch {
	case number == "":
		return nil
	case !box.Plain():
		return [][]byte{sealedNumber(box, []byte(number))}
	}
	return [][]byte{sealedNumber(box, []byte(number)), []byte(number)}
}

// sealedNumber returns what stands for a number in new rows, of what stands for it in a row.
func sealedNumber(box *sealed.Box, form []byte) []byte {
	if !box.Seals() || len(form) != numberSize {
		return form
	}
	return box.Hash("number", string(form))
}

// octets returns hashes as a bytea[].
func octets(hashes []hash) [][]byte {
	all := make([][]byte, len(hashes))
	for i := range hashes {
		all[i] = hashes[i][:]
	}
	return all
}

// ids returns ids as a uuid[].
func ids(all []uuid.UUID) [][16]byte {
	out := make([][16]byte, len(all))
	for i, id := range all {
		out[i] = id
	}
	return out
}
