package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A copy of a journal in use holds a snapshot for as long as it takes, and no page that is freed
// meanwhile can be used again. So the copy goes to a file beside the journal, at the speed of the disk,
// and its reader, who may be slow, reads that file. It has no name: it is gone when it is closed, also
// by a kill.
const (
	// copyRate is how fast the copy is written, in octets a second: commits need the disk too.
	copyRate = 64 << 20
	// copyHeld is from how many octets of pages that can't be used again the copy goes as fast as it
	// can: growth costs more than the delay of commits.
	copyHeld = 16 << 20
	// copyStep is how much is written between two looks at these, in octets.
	copyStep = 1 << 20
	// copyRoom is what must stay free on the disk, in octets: the journal grows too.
	copyRoom = 64 << 20

	// copyName follows a journal's name in that of the copy, on file systems where a file must
	// have a name at first.
	copyName = ".backup-"
)

// ErrCopying reports that another copy is being made or read: each takes as much room as the journal.
var ErrCopying = errors.New("another backup is being taken")

// Copy is a consistent copy of a journal that is in use. It must be closed.
type Copy struct {
	Size int64 // in octets
	file *os.File
	done func()
}

// Read reads on in the copy.
func (c *Copy) Read(b []byte) (int, error) { return c.file.Read(b) }

// Close removes the copy.
func (c *Copy) Close() error {
	err := c.file.Close()
	c.done()
	return err
}

// Copy copies the journal as of now, while it is in use, to a file that only the caller can read. It needs
// as much room on the journal's disk as the pages have. progress is called after each step with the
// octets that are copied, and how many there are; nil: not. It fails with ErrCopying while there is
// another copy, and if the journal is closed, or fails, meanwhile: reopening does not wait for a copy.
func (j *Journal) Copy(ctx context.Context, progress func(done, all int64)) (c *Copy, err error) {
	if !j.copying.CompareAndSwap(false, true) {
		return nil, ErrCopying
	}
	defer func() {
		if err != nil {
			j.copying.Store(false)
			err = fmt.Errorf("journal: backup: %w", err)
		}
	}()
	sn, err := j.snapshots.acquire()
	if err != nil {
		return nil, err
	}
	defer j.snapshots.release(sn)
	size := sn.tx.Size()
	if err := roomBeside(j.path, size+copyRoom); err != nil {
		return nil, err
	}
	f, err := unnamed(j.path)
	if err != nil {
		return nil, err
	}
	w := &copyWriter{ctx: ctx, j: j, file: f, size: size, progress: progress, began: time.Now()}
	if err = w.copy(sn); err != nil {
		f.Close()
		return nil, err
	}
	return &Copy{Size: size, file: f, done: func() { j.copying.Store(false) }}, nil
}

// freeBeside returns the octets that are free on the disk of a file, for users other than root.
func freeBeside(path string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// roomBeside fails where less than that is free on the disk of a file, in octets.
func roomBeside(path string, octets int64) error {
	free, err := freeBeside(path)
	if err != nil {
		return err
	}
	if free < octets {
		return fmt.Errorf("it needs %d MiB on the disk of the journal, of which %d MiB are free: make room, or stop straks and copy the file",
			octets>>20, free>>20)
	}
	return nil
}

// unnamed makes a file beside the one at path that has no name.
func unnamed(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Dir(path), os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil {
		return f, nil
	}
	if f, err = os.CreateTemp(filepath.Dir(path), filepath.Base(path)+copyName+"*"); err != nil { // this file system has no such files
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// removeCopies removes what a kill may have left of a copy between the two steps of unnamed.
func removeCopies(path string) {
	left, _ := os.ReadDir(filepath.Dir(path))
	for _, f := range left {
		if strings.HasPrefix(f.Name(), filepath.Base(path)+copyName) {
			_ = os.Remove(filepath.Join(filepath.Dir(path), f.Name()))
		}
	}
}

// copyWriter writes a copy, no faster than the journal bears.
type copyWriter struct {
	ctx        context.Context
	j          *Journal
	file       *os.File
	done, size int64
	step       int64 // octets since the last look
	progress   func(done, all int64)
	began      time.Time
}

func (w *copyWriter) copy(sn *snapshot) (err error) {
	defer caught(&err)()
	if _, err := sn.tx.WriteTo(w); err != nil {
		return err
	}
	if err := w.j.snapshots.same(); err != nil {
		return err
	}
	_, err = w.file.Seek(0, io.SeekStart)
	return err
}

func (w *copyWriter) Write(b []byte) (int, error) {
	n, err := w.file.Write(b)
	w.done += int64(n)
	if w.step += int64(n); err == nil && (w.step >= copyStep || w.done == w.size) {
		w.step = 0
		if err = w.look(); err != nil {
			return 0, err // io.CopyN takes what was written for a success
		}
	}
	return n, err
}

// look ends the copy where it must end, and waits where it is too fast. What was written is synced: the
// kernel must not have a gigabyte to write when the journal next syncs.
func (w *copyWriter) look() error {
	if w.progress != nil {
		w.progress(w.done, w.size)
	}
	if w.j.snapshots.withdrawn() {
		return errNotOpen
	}
	if err := syscall.Fdatasync(int(w.file.Fd())); err != nil {
		return err
	}
	if err := roomBeside(w.j.path, copyRoom); err != nil {
		return err
	}
	due := w.began.Add(time.Duration(float64(w.done) / copyRate * float64(time.Second)))
	if w.j.held() > copyHeld {
		return context.Cause(w.ctx)
	}
	select {
	case <-time.After(time.Until(due)):
	case <-w.ctx.Done():
	}
	return context.Cause(w.ctx)
}

// held returns the octets of pages that are free as soon as no reader needs them.
func (r *reader) held() (octets int64) {
	_ = r.snapshots.view(func(t tables) error {
		db := t.tx.DB()
		octets = int64(db.Stats().PendingPageN) * int64(db.Info().PageSize)
		return nil
	})
	return octets
}

// Backup writes a consistent copy of the journal as of now, while it is in use (Copy).
func (j *Journal) Backup(ctx context.Context, to io.Writer) error {
	c, err := j.Copy(ctx, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.Copy(contextWriter{ctx, to}, c)
	return err
}

// contextWriter writes until its context ends.
type contextWriter struct {
	ctx context.Context
	to  io.Writer
}

func (w contextWriter) Write(p []byte) (int, error) {
	if err := context.Cause(w.ctx); err != nil {
		return 0, err
	}
	return w.to.Write(p)
}

// Backup writes a consistent copy of the journal. Its errors are of reading and writing alike.
func (r *ReadOnly) Backup(ctx context.Context, to io.Writer) error {
	sn, err := r.snapshots.acquire()
	if err != nil {
		return err
	}
	defer r.snapshots.release(sn)
	if _, err := sn.tx.WriteTo(contextWriter{ctx, to}); err != nil {
		return fmt.Errorf("journal: backup: %w", err)
	}
	return nil
}
