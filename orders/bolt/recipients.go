package bolt

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"straks/orders"
	"straks/orders/sealed"
)

// Recipients are plain, or with a key they are sealed (package sealed). A sealed recipient belongs to its record: it is
// sealed for the table and the key of the record. Where a table's key has a recipient, or a hash of it, the journal with a
// key has a keyed hash. Until all that was stored before is sealed too (reseal.go), look-ups try both forms.

// The tables of sealed recipients. They are part of what is sealed: do not change them.
const (
	shipmentTable = "shipments"
	blockedTable  = "blocked"
)

func parkedTable(carrier string) string { return "parked " + carrier }

// seals reports whether a recipient has to be sealed.
func seals(box *sealed.Box, to orders.Recipient) bool {
	return box.Seals() && to != "" && to != orders.Forgotten
}

// unseal opens a recipient; without a box, it is empty.
func unseal(box *sealed.Box, value orders.Recipient, table string, key []byte) (orders.Recipient, error) {
	if box == nil {
		return "", nil
	}
	to, err := box.Open([]byte(value), table, key)
	if err != nil {
		return "", fmt.Errorf("%w: %w", corrupt("recipient in "+strings.Fields(table)[0]), err)
	}
	return orders.Recipient(to), nil
}

func plainBlockedKey(organisation string, c orders.Channel, to orders.Recipient) []byte {
	return hash(organisation, c.String(), string(to))
}

// blockedKeys returns the keys under which an entry of a block list may be. New ones are under the first.
func (t tables) blockedKeys(organisation string, c orders.Channel, to orders.Recipient) [][]byte {
	plain := plainBlockedKey(organisation, c, to)
	if !t.box.Seals() {
		return [][]byte{plain}
	}
	keys := [][]byte{t.box.Hash(blockedTable, organisation, c.String(), string(to))}
	if !t.box.Settled() {
		keys = append(keys, plain)
	}
	return keys
}

// A number in the keys of unanswered has numberSize digits (orders.Recipient.Number), and its keyed hash formSize octets.
const (
	numberSize = 7
	formSize   = 8
)

// numberForm returns what stands for a number in the keys of unanswered.
func (t tables) numberForm(number string) string {
	if number == "" || !t.box.Seals() {
		return number
	}
	return string(t.box.Hash("unanswered", number)[:formSize])
}

// numberForms returns all that may stand for it. New entries have the first.
func (t tables) numberForms(number string) []string {
	forms := []string{t.numberForm(number)}
	if t.box.Seals() && !t.box.Settled() {
		forms = append(forms, number)
	}
	return forms
}

// sealedForm returns what stands for a number in new keys, of what stands for it in a key.
func (t tables) sealedForm(number string) string {
	if len(number) == numberSize {
		return t.numberForm(number)
	}
	return number
}

// unansweredKeys returns the keys under which the entry of an unanswered shipment may be. A new one is under the first.
func (t tables) unansweredKeys(s *orders.Shipment) (keys [][]byte) {
	for _, form := range t.numberForms(s.Recipient.Number()) {
		keys = append(keys, append([]byte(form), s.ID[:]...))
	}
	return keys
}

// attach gives the file the box of its recipients. Where the journal is not sealed yet, or has another key than before,
// that is stored first. A reader without keys gets none.
func (f *file) attach(opt *Options, readOnly bool) error {
	if readOnly && opt.Keys.Current == nil {
		return nil
	}
	var next []byte
	err := f.view(func(t tables) (err error) {
		f.box, next, err = t.attached(opt.Keys)
		return err
	})
	if err != nil || next == nil || readOnly {
		return err
	}
	tx, err := f.db.Begin(true)
	if err != nil {
		return err
	}
	if err := (tables{tx: tx}).putMeta(keySealing, next); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	list(f.db, true)
	return opt.commit(tx)
}

// attached is sealed.Attach for the journal.
func (t tables) attached(keys sealed.Keys) (*sealed.Box, []byte, error) {
	state, err := t.metaValue(keySealing)
	if err != nil {
		return nil, nil, err
	}
	id, err := t.id()
	if err != nil {
		return nil, nil, err
	}
	return sealed.Attach(keys, id, state)
}

// sealedShipment returns the recipient in the record of a shipment, as it is stored, and whether it is sealed.
func sealedShipment(id, record []byte) (value orders.Recipient, is bool, err error) {
	b, ok := shipmentScope.open(id, record)
	if !ok {
		return "", false, corrupt("shipment")
	}
	d := decoder{b: b}
	version := d.byte()
	d.byte()
	for range 3 {
		d.int()
	}
	d.uuid()
	_ = d.string()
	value = orders.Recipient(d.string())
	if d.bad {
		err = corrupt("shipment")
	}
	return value, version == recordSealed, err
}

// countRecipients counts the recipients that are stored plain, and those that are sealed with each key.
func (t tables) countRecipients(ctx context.Context) (plain int, sealedWith map[string]int, err error) {
	sealedWith = make(map[string]int)
	note := func(to, value orders.Recipient) {
		if id, ok := sealed.KeyOf([]byte(value)); ok {
			sealedWith[id.String()]++
		} else if to != "" && to != orders.Forgotten {
			plain++
		}
	}
	c := t.shipments().Cursor()
	for k, v := c.First(); k != nil && ctx.Err() == nil; k, v = c.Next() {
		if value, is, err := sealedShipment(k, v); err == nil && is {
			note("", value)
		} else {
			note(value, "")
		}
	}
	c = t.blocked().Cursor()
	for k, v := c.First(); k != nil && ctx.Err() == nil; k, v = c.Next() {
		b, value, _ := sealedBlock(k, v) // what can't be read is for Check
		note(b.Recipient, value)
	}
	t.eachParked(func(_ string, k, v []byte) bool {
		if b, ok := parkedScope.open(k, v); ok {
			r, value, _ := reportWithoutSum(b, k, nil)
			note(r.Recipient, value)
		}
		return ctx.Err() == nil
	})
	return plain, sealedWith, context.Cause(ctx)
}
