package bolt

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"straks/orders"
	"straks/orders/ledger"
)

// ErrCorrupt reports a record that can't be read. Calling again does not help.
var ErrCorrupt = ledger.ErrCorrupt

func corrupt(what string) error { return fmt.Errorf("%w: %s", ErrCorrupt, what) }

// ErrDamaged reports a page of the file that can't be read: a failing disk under the map, or a page
// that is not what bbolt wrote.
var ErrDamaged = errors.New("a page can't be read")

// about names the journal that an error is about, and what to do about a page that can't be read.
func about(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrReplaced):
		return err // names it
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("journal %s: %w; stop straks, run \"straks journal check\", and restore a backup", path, err)
	}
	return fmt.Errorf("journal %s: %w", path, err)
}

// caught turns a panic of the deferring function into ErrDamaged, that of a
// page fault in the map (SIGBUS) too.
func caught(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}
}

// damage is the end of a journal that has met a page which can't be read, in a read or a write.
type damage struct {
	met atomic.Pointer[error]
	end chan error // takes the first
}

func (d *damage) report(path string, err error) {
	err = about(path, err)
	if d.met.CompareAndSwap(nil, &err) {
		d.end <- err
	}
}

// why returns why nothing is stored any more, or nil.
func (d *damage) why() error {
	if err := d.met.Load(); err != nil {
		return fmt.Errorf("%w: %w", orders.ErrUnavailable, *err)
	}
	return nil
}

// lose ends the journal for an error that is ErrDamaged or ErrReplaced. A page that can't be read is
// not there any more if the file was cut short.
func (j *Journal) lose(id *identity, err error) {
	if changed := id.kept(); errors.Is(err, ErrDamaged) && errors.Is(changed, ErrReplaced) {
		err = changed
	}
	if errors.Is(err, ErrReplaced) {
		if err := mark(j.path, err); err != nil {
			j.opt.Log.Error("the next start can't be kept from the file", "err", err)
		}
	}
	j.health.damage.report(j.path, err)
}

// Damaged returns the channel that receives an error when a page can't be read, or the file is not what
// was committed here (ErrReplaced): the process must end with it. Nobody knows what else is wrong, and
// bbolt does not survive a panic. From then on nothing is stored: calls that write fail with
// orders.ErrUnavailable, and Close does not write to the file.
func (j *Journal) Damaged() <-chan error { return j.health.damage.end }
