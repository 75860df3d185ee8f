//go:build linux

package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/internal/eventually"
	"straks/orders"
)

// TestPowerLoss cuts the power at every system call of a journal's life: while
// it is made (and then is there whole or not at all), works, is reopened after a commit that failed, is closed,
// opened, compacted, and migrated. Then it cuts it again while what is left of
// some of these cuts is opened. What was told must be there each time.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before, made := oldJournal(t, 24*time.Hour, 3)
	old, err := os.ReadFile(before)
	if err != nil {
		t.Fatal(err)
	}
	writeSparse(t, filepath.Join(dir, "old.db"), old)
	c := newCuts(t)
	c.disk.add("old.db", old)
	c.told["old.db"] = made
	c.run(record(t, "TestPowerLossLife", dir, ""))

	again, dir := newCuts(t), t.TempDir()
	for i, image := range c.left {
		name := fmt.Sprintf("%d.db", i)
		writeSparse(t, filepath.Join(dir, name), image.data)
		again.disk.add(name, image.data)
		again.told[name] = image.told
	}
	again.run(record(t, "TestPowerLossRecovery", dir, ""))
	t.Logf("%d cuts, and %d while the journals were opened that %d of them left", c.n, again.n, len(c.left))
}

// TestPowerLossAfterFailure cuts the power of a disk that has failed to sync
// before, also right after a meta page was written: what programs then see is not
// what is on disk, and the journal is reopened on it.
func TestPowerLossAfterFailure(t *testing.T) {
	t.Parallel()
	j, path := newJournal(t, Options{})
	first := order(t, j, "before")
	j.Close()
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := newCuts(t)
	c.disk.add("journal.db", image)
	c.told["journal.db"] = []orders.Shipment{first}
	// Each fourth: of each third, it may always be the same one in the round of reopening and trying again, and no order is stored.
	c.run(record(t, "TestPowerLossTrouble", filepath.Dir(path), "fdatasync:error=EIO:when=2+4"))
	if c.failed < 5 {
		t.Errorf("%d syncs failed", c.failed)
	}
	t.Logf("%d cuts, %d syncs had failed", c.n, c.failed)
}

// recordEnv names the folder in which a child of TestPowerLoss works.
const recordEnv = "STRAKS_TEST_RECORD"

func childDir(t *testing.T) string {
	dir := os.Getenv(recordEnv)
	if dir == "" {
		t.Skip("the child of TestPowerLoss")
	}
	return dir
}

// sayAbout says which journal the following is about, which is there from now on.
func sayAbout(name string) { fmt.Printf("about %s\n", name) }

// TestPowerLossLife is not a test but the life that TestPowerLoss cuts.
func TestPowerLossLife(t *testing.T) {
	dir := childDir(t)
	path := filepath.Join(dir, "journal.db")
	var broken atomic.Int32
	opt := Options{MapSize: 4 << 20, Log: quiet, probe: time.Millisecond, commit: func(tx *bbolt.Tx) error {
		if broken.Add(-1) >= 0 {
			return errors.Join(tx.Commit(), syscall.EIO)
		}
		return tx.Commit()
	}}
	if err := Create(path, opt); err != nil {
		t.Fatal(err)
	}
	sayAbout("journal.db")
	j := mustOpen(t, path, opt)
	live(t, j, 4)
	broken.Store(2)
	place(t, j, acceptRequest("the file is reopened"))
	placeAndTell(t, j)
	j.Close()
	j = mustOpen(t, path, opt)
	placeAndTell(t, j)
	j.Close()
	if err := errors.Join(Compact(path, path+".compact", opt), os.Rename(path+".compact", path), SyncFolder(path)); err != nil {
		t.Fatal(err)
	}
	placeAndTell(t, mustOpen(t, path, opt))

	sayAbout("old.db")
	if err := Migrate(context.Background(), filepath.Join(dir, "old.db"), opt); err != nil {
		t.Fatal(err)
	}
	placeAndTell(t, mustOpen(t, filepath.Join(dir, "old.db"), opt))
	os.Exit(0) // as if killed
}

// live has n clients place n orders each.
func live(t *testing.T, j *Journal, n int) {
	var clients sync.WaitGroup
	for range n {
		clients.Go(func() {
			for range n {
				placeAndTell(t, j)
			}
		})
	}
	clients.Wait()
}

// TestPowerLossRecovery is not a test: it opens what cuts have left.
func TestPowerLossRecovery(t *testing.T) {
	dir := childDir(t)
	names, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range names {
		sayAbout(filepath.Base(path))
		if err := Migrate(context.Background(), path, Options{MapSize: 4 << 20, Log: quiet}); err != nil {
			t.Fatal(err)
		}
		placeAndTell(t, mustOpen(t, path, Options{MapSize: 4 << 20, Log: quiet}))
	}
	os.Exit(0)
}

// TestPowerLossTrouble is not a test but the life that TestPowerLossAfterFailure cuts.
func TestPowerLossTrouble(t *testing.T) {
	path := filepath.Join(childDir(t), "journal.db")
	sayAbout("journal.db")
	opt := Options{MapSize: 4 << 20, Log: quiet, probe: time.Millisecond}
	var j *Journal
	eventually.True(t, "the journal to open", func() bool {
		var err error
		j, err = Open(path, opt)
		return err == nil
	})
	live(t, j, 2)
	os.Exit(0)
}

// cuts are those within a recording.
type cuts struct {
	t      *testing.T
	dir    string
	dice   *rand.Rand
	disk   *sectors
	about  string
	told   map[string][]orders.Shipment // by journal, what was told of it so far
	n      int
	failed int       // calls that were made to fail
	left   []remains // some of what they left
}

// remains is a journal after a cut, and what had been told of it.
type remains struct {
	data []byte
	told []orders.Shipment
}

func newCuts(t *testing.T) *cuts {
	return &cuts{t: t, dir: t.TempDir(), dice: rand.New(rand.NewPCG(1, 2)), disk: newSectors(), told: make(map[string][]orders.Shipment)}
}

// run follows a recording and cuts it after every call.
func (c *cuts) run(ops []op) {
	c.t.Helper()
	syncs := 0
	for i, o := range ops {
		if o.call == "told" {
			c.hear(string(o.data))
			continue
		}
		if o.call == "failed" {
			c.failed++
			continue
		}
		c.disk.do(o)
		if o.call == "fdatasync" {
			syncs++
		}
		keep := never
		if !c.disk.synced() { // else there is nothing to choose
			keep = []func() bool{never, c.sometimes, always}[c.dice.IntN(3)]
		}
		c.cut(i, o, keep)
	}
	if syncs < 5 || len(c.told) == 0 {
		c.t.Fatalf("recorded %d calls, %d of them syncs", len(ops), syncs)
	}
}

func never() bool               { return false }
func always() bool              { return true }
func (c *cuts) sometimes() bool { return c.dice.IntN(2) == 0 }

// hear takes what the child said.
func (c *cuts) hear(line string) {
	first, second, _ := strings.Cut(strings.TrimSpace(line), " ")
	if first == "about" {
		if c.about = second; c.told[c.about] == nil {
			c.told[c.about] = []orders.Shipment{}
		}
		return
	}
	s := orders.Shipment{}
	var number uint8
	if _, err := fmt.Sscan(second, &number); err != nil {
		c.t.Fatalf("the child said %q", line)
	}
	s.ID, s.Status = uuid.MustParse(first), orders.Status(number)
	c.told[c.about] = append(c.told[c.about], s)
}

// cut opens the journal that a call was about as the disk has it now.
func (c *cuts) cut(i int, o op, keep func() bool) {
	c.t.Helper()
	name, _, _ := strings.Cut(strings.TrimSuffix(o.file, ".compact"), unfinished)
	if name == "." {
		name = c.about
	}
	data, there := c.disk.cut(name, keep, c.dice)
	told := c.told[name]
	if !there && told == nil {
		return // it is being made, and may be there or not, but whole
	}
	c.n++
	path := filepath.Join(c.dir, name)
	if there {
		writeSparse(c.t, path, data)
	}
	if err := survives(path, told); err != nil {
		c.t.Fatalf("power cut after call %d, %s of %s: %v", i, o.call, o.file, err)
	}
	os.Remove(path)
	if told != nil && c.n%40 == 0 && len(c.left) < 16 {
		c.left = append(c.left, remains{data, told[:len(told):len(told)]})
	}
}

// survives opens what is left, and looks for what was told.
func survives(path string, told []orders.Shipment) error {
	opt := Options{MapSize: 4 << 20, Log: quiet}
	if err := Migrate(context.Background(), path, opt); err != nil {
		return err
	}
	j, err := Open(path, opt)
	if err != nil {
		return err
	}
	defer j.Close()
	if err := errors.Join(j.Check(context.Background()), j.writer.file.db.View(checkPages)); err != nil {
		return err
	}
	for _, then := range told {
		now, err := j.Shipment(context.Background(), "ttd", then.ID)
		if err != nil || now.Status < then.Status {
			return fmt.Errorf("%s was told to be %v, now %v, %v", then.ID, then.Status, now.Status, err)
		}
	}
	return nil
}

// checkPages is bbolt's own check: no page lost or used twice.
func checkPages(tx *bbolt.Tx) error {
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = err
		}
	}
	return first
}

func writeSparse(t *testing.T, path string, image []byte) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(len(image))); err != nil {
		t.Fatal(err)
	}
	const chunk = 4096
	for off := 0; off < len(image); off += chunk {
		part := image[off:min(off+chunk, len(image))]
		for _, b := range part {
			if b != 0 {
				if _, err := f.WriteAt(part, int64(off)); err != nil && err != io.EOF {
					t.Fatal(err)
				}
				break
			}
		}
	}
}
