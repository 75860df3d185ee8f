package daemon

import (
	"errors"
	"fmt"

	"straks/orders"
)

// Being ready has two parts: an order can be stored, and a message of each channel can be sent, over a bind or relay of
// this node or, where orders are handed over, of another live one.

// Ready returns nil when orders of every channel in use would be taken and sent now, else the
// reasons why not.
func (d *Daemon) Ready() error {
	err := d.canStore()
	for _, channel := range d.inUse() {
		_, why := d.canSend(channel)
		err = errors.Join(err, why)
	}
	return err
}

// ReadyFor is Ready for one channel.
func (d *Daemon) ReadyFor(channel orders.Channel) error {
	_, why := d.canSend(channel)
	return errors.Join(d.canStore(), why)
}

var errDraining = errors.New("draining")

// canStore returns why orders can't be stored now, or nil.
func (d *Daemon) canStore() error {
	if d.draining.Load() {
		return errDraining
	}
	return errors.Join(d.journal.Ready(), d.databaseReady())
}

// databaseReady returns why the journal's database can't be relied upon, or nil.
func (d *Daemon) databaseReady() error {
	if d.doctor == nil {
		return nil
	}
	return d.doctor.Ready()
}

// canSend returns why messages of a channel can't be sent now, or nil. by has the nodes that they are handed to while this
// one can't send.
func (d *Daemon) canSend(channel orders.Channel) (by []int, why error) {
	why = d.service.ReadyFor(channel)
	if d.draining.Load() || why == nil {
		return nil, nil // draining is told once
	}
	if by = d.elsewhere(channel); len(by) > 0 {
		return by, nil
	}
	return nil, why
}

// inUse returns the channels in use.
func (d *Daemon) inUse() (channels []orders.Channel) {
	if d.gateway != nil {
		channels = append(channels, orders.SMS)
	}
	if d.pool != nil {
		channels = append(channels, orders.Email)
	}
	return channels
}

// handedOver says which channels this node can't send over itself while others do; empty if there is none.
func (d *Daemon) handedOver() (text string) {
	for _, channel := range d.inUse() {
		by, _ := d.canSend(channel)
		if len(by) == 0 {
			continue
		}
		if text != "" {
			text += "; "
		}
		text += fmt.Sprintf("%v is handed to node %v (%v)", channel, by, d.service.ReadyFor(channel))
	}
	return text
}
