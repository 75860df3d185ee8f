package bolt

import (
	"slices"
	"strings"

	"straks/orders"
	"straks/orders/ledger"
	"straks/orders/sealed"
)

// A reference that is no message id may have a recipient in it (orders.IDPrefix): the user reference of an SMS has. With a
// key, records have such a reference sealed, and the key of its own record is a keyed hash of it.

// sealedRef begins a reference in a record that is sealed, and hashedRef one in the key of a record.
const (
	sealedRef = "\x00"
	hashedRef = "\x00#"
)

// refKeys returns the keys under which the record of a reference may be. A new one is under the first.
func (t tables) refKeys(carrier, ref string) [][]byte {
	plain := refKey(carrier, ref)
	if !t.box.Seals() || !ledger.NamesRecipient(carrier, ref) {
		return [][]byte{plain}
	}
	keys := [][]byte{refKey(carrier, hashedRef+string(t.box.Hash("reference", ref)))}
	if !t.box.Settled() {
		keys = append(keys, plain)
	}
	return keys
}

// refRecord returns the record of a reference, and its key; nil where there is none.
func (s *slots) refRecord(keys [][]byte) (key, record []byte, err error) {
	for _, k := range keys {
		v, err := s.get(k)
		if v != nil || err != nil {
			return k, v, err
		}
	}
	return nil, nil, nil
}

// refs appends references, for the record of this key.
func (e *encoder) refs(refs []string, carrier string, box *sealed.Box, table string, key []byte) {
	if box.Seals() && slices.ContainsFunc(refs, func(ref string) bool { return ledger.NamesRecipient(carrier, ref) }) {
		refs = slices.Clone(refs)
		for i, ref := range refs {
			if ledger.NamesRecipient(carrier, ref) {
				refs[i] = sealedRef + string(box.Seal(ref, table, key))
			}
		}
	}
	e.strings(refs)
}

// refs reads what encoder.refs wrote. Without a box, references that are sealed are left out.
func (d *decoder) refs(box *sealed.Box, table string, key []byte) []string {
	refs := d.strings()
	for i, ref := range refs {
		value, is := strings.CutPrefix(ref, sealedRef)
		if !is {
			continue
		}
		opened, err := unseal(box, orders.Recipient(value), table, key)
		d.bad = d.bad || err != nil
		refs[i] = string(opened)
	}
	if box == nil {
		refs = slices.DeleteFunc(refs, func(ref string) bool { return ref == "" })
	}
	if len(refs) == 0 {
		return nil
	}
	return refs
}

// hasKey reports whether the reference has the key.
func (t tables) hasKey(carrier, ref string, key []byte) bool {
	return slices.ContainsFunc(t.refKeys(carrier, ref), func(k []byte) bool { return string(k) == string(key) })
}

// isHashed reports whether the key of a reference is a keyed hash.
func isHashed(key []byte) bool {
	_, ref, _ := strings.Cut(string(key), "\x00")
	return strings.HasPrefix(ref, hashedRef)
}
