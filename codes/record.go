package codes

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// request is what is kept of an idempotencyId. This is its stored form.
type request struct {
	Verification uuid.UUID `json:"v"`
	Message      int       `json:"m"` // that was the last when the call was made
	At           time.Time `json:"a"`
}

// requestHash stands for an idempotencyId of an organisation. It has no key: a new one must not make it forgotten.
func requestHash(organisation, key string) []byte {
	b := binary.AppendUvarint(nil, uint64(len(organisation)))
	sum := sha256.Sum256(append(append(b, organisation...), key...))
	return sum[:]
}

// read reads a record into v, and reports whether there is one.
func read(r Reader, t Table, key []byte, v any) (bool, error) {
	b, err := r.Get(t, key)
	if b == nil || err != nil {
		return false, err
	}
	if err := decode(b, v); err != nil {
		return false, fmt.Errorf("%w: not of a form that this program knows", ErrUnreadable)
	}
	return true, nil
}

func put(tx Tx, t Table, key []byte, v any, due time.Time) error {
	b, err := encode(v)
	if err != nil {
		return err // impossible: strings, numbers and times
	}
	return tx.Put(t, key, b, due)
}

// verification reads a verification; false where there is none.
func verification(r Reader, id uuid.UUID) (v Verification, ok bool, err error) {
	ok, err = read(r, Verifications, id[:], &v)
	v.ID = id
	return v, ok, err
}

// place is an address in a transaction.
type place struct {
	hash []byte
	address
}

// places reads addresses. Those that nothing is kept of are empty.
func places(r Reader, hashes [][]byte) ([]*place, error) {
	all := make([]*place, len(hashes))
	for i, h := range hashes {
		all[i] = &place{hash: h}
		if _, err := read(r, Addresses, h, &all[i].address); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (p *place) put(tx Tx, now time.Time) error {
	return put(tx, Addresses, p.hash, &p.address, now.Add(addressKept).Truncate(time.Hour).Add(time.Hour))
}

// Entry is an entry of the feed: a change of a verification's status. This is its stored form.
type Entry struct {
	Seq              uint64    `json:"-"`
	Organisation     string    `json:"-"`
	Verification     uuid.UUID `json:"v"`
	SendersReference string    `json:"r,omitempty"`
	Template         string    `json:"t"`
	Status           Status    `json:"u"`
	At               time.Time `json:"a"`
	Expires          time.Time `json:"x"`
	AttemptsLeft     int       `json:"l"`
	Messages         int       `json:"m"`
}

// entryOf returns the entry of a verification's present status.
func entryOf(v *Verification) Entry {
	return Entry{Organisation: v.Organisation, Verification: v.ID, SendersReference: v.SendersReference, Template: v.Template,
		Status: v.Status, At: v.Updated, Expires: v.Expires, AttemptsLeft: v.Left(), Messages: len(v.Channels)}
}

// appendEntry tells the organisation's feed of the present status.
func appendEntry(tx Tx, v *Verification) error {
	b, err := json.Marshal(entryOf(v))
	if err != nil {
		return err // impossible, as above
	}
	return tx.Append(v.Organisation, v.Updated, b)
}
