package bolt

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/internal/eventually"
	"straks/orders"
)

// overwriters are the ways in which somebody puts a copy into the file of an open journal: the inode
// stays.
var overwriters = map[string]func(path string, with []byte) error{
	"cp": func(path string, with []byte) error { return writeInto(path, os.O_TRUNC, with) },
	"dd conv=notrunc": func(path string, with []byte) error {
		return writeInto(path, 0, with)
	},
	"rsync --inplace": func(path string, with []byte) error { // writes only the blocks that differ
		const block = 700
		is, err := os.ReadFile(path)
		f, openErr := os.OpenFile(path, os.O_WRONLY, 0)
		if err = errors.Join(err, openErr); err != nil {
			return err
		}
		for at := 0; at < len(with) && err == nil; at += block {
			end := min(at+block, len(with))
			if end > len(is) || !bytes.Equal(is[at:end], with[at:end]) {
				_, err = f.WriteAt(with[at:end], int64(at))
			}
		}
		return errors.Join(err, f.Truncate(int64(len(with))), f.Close())
	},
	"mv": func(path string, with []byte) error {
		return errors.Join(os.WriteFile(path+".copy", with, 0o600), os.Rename(path+".copy", path))
	},
	"rm and cp": func(path string, with []byte) error {
		return errors.Join(os.Remove(path), os.WriteFile(path, with, 0o600))
	},
	"truncate": func(path string, with []byte) error { return os.Truncate(path, 8192) },
}

func writeInto(path string, flag int, with []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|flag, 0)
	if err != nil {
		return err
	}
	for len(with) > 0 && err == nil {
		n := min(len(with), 128<<10)
		_, err = f.Write(with[:n])
		with = with[n:]
	}
	return errors.Join(err, f.Close())
}

// olderCopies returns a journal with keys 0 to 29, and copies of it from when it had 15.
func olderCopies(t *testing.T) (j *Journal, path string, copies map[string][]byte) {
	t.Helper()
	j, path = newJournal(t, Options{Log: quiet, probe: time.Millisecond})
	for i := range 15 {
		order(t, j, strconv.Itoa(i))
	}
	raw, err := os.ReadFile(path)
	var backup bytes.Buffer
	if err = errors.Join(err, j.Backup(t.Context(), &backup)); err != nil {
		t.Fatal(err)
	}
	for i := 15; i < 30; i++ {
		order(t, j, strconv.Itoa(i))
	}
	return j, path, map[string][]byte{"a copy of the file": raw, "a backup": backup.Bytes()}
}

// TestOverwrittenFile: an older copy is put over the file of a journal that is idle. Whatever is asked
// first, no key is as new, the process is told to end, and the next start does not take the file.
func TestOverwrittenFile(t *testing.T) {
	t.Parallel()
	for name, overwrite := range overwriters {
		for _, kind := range []string{"a copy of the file", "a backup"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				for _, first := range []string{"orders", "reads", "nothing"} {
					j, path, copies := olderCopies(t)
					if err := overwrite(path, copies[kind]); err != nil {
						t.Fatal(err)
					}
					switch first {
					case "orders":
						wantNoneAsNew(t, j, 30)
					case "reads":
						for i := range 30 {
							if s, known, err := j.Known(t.Context(), "ttd", strconv.Itoa(i), time.Now()); !known && err == nil {
								t.Errorf("key %d is not known: %v", i, s)
							}
						}
					}
					wantReplaced(t, j, path)
					wantNoneAsNew(t, j, 30)
				}
			})
		}
	}
}

func wantNoneAsNew(t *testing.T, j *Journal, n int) {
	t.Helper()
	for i := range n {
		if s, claimed, err := j.Accept(t.Context(), acceptRequest(strconv.Itoa(i))); err == nil {
			t.Errorf("key %d: %v, claimed %v", i, s.Status, claimed)
		}
	}
}

// wantReplaced: the process is told to end with one sentence that says why, and nothing opens the file
// before somebody has looked.
func wantReplaced(t *testing.T, j *Journal, path string) {
	t.Helper()
	select {
	case err := <-j.Damaged():
		if !errors.Is(err, ErrReplaced) || !strings.Contains(err.Error(), path) {
			t.Errorf("ends with %v", err)
		}
	case <-time.After(5 * time.Minute):
		t.Fatal("nobody noticed")
	}
	if err := j.Ready(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("ready: %v", err)
	}
	j.Close()
	if _, err := Open(path, Options{Log: quiet}); err == nil || !strings.Contains(err.Error(), path+overwritten) {
		t.Errorf("open: %v", err)
	}
}

// TestOverwrittenUnderLoad: the copy is put over the file while orders and repeats come in, and somebody
// reads. No key is as new twice.
func TestOverwrittenUnderLoad(t *testing.T) {
	t.Parallel()
	for name, overwrite := range overwriters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, path, copies := olderCopies(t)
			var mu sync.Mutex
			claims := make(map[string]int)
			for i := range 30 {
				claims[strconv.Itoa(i)] = 1
			}
			place := func(key string) bool {
				in := acceptRequest(key)
				s, claimed, err := j.Accept(t.Context(), in)
				mu.Lock()
				defer mu.Unlock()
				if err == nil && claimed {
					claims[key]++
				}
				if err == nil && claimed && s.ID != in.Shipment {
					t.Errorf("key %s: another's shipment", key)
				}
				return j.health.damage.why() == nil
			}
			var wg sync.WaitGroup
			for c := range 8 {
				wg.Go(func() {
					for i := 0; place(strconv.Itoa(i % 30)); i++ {
						key := "new " + strconv.Itoa(c) + " " + strconv.Itoa(i)
						place(key)
						place(key)
						_, _ = j.Feed(t.Context(), orders.FeedQuery{Organisation: "ttd", Limit: 100})
					}
				})
			}
			eventually.True(t, "load", func() bool { mu.Lock(); defer mu.Unlock(); return len(claims) > 100 })
			if err := overwrite(path, copies["a copy of the file"]); err != nil {
				t.Error(err)
			}
			wg.Wait()
			if name == "truncate" { // a commit may have made it as long as it was: then its pages are empty
				if err := <-j.Damaged(); !strings.Contains(err.Error(), path) {
					t.Errorf("ends with %v", err)
				}
			} else {
				wantReplaced(t, j, path)
			}
			for key, n := range claims {
				if n > 1 {
					t.Errorf("key %q was as new %d times", key, n)
				}
			}
		})
	}
}

// TestMovedAwayWhileIdle: a journal that is moved away is not ready, though no call comes, and goes on
// when it is back.
func TestMovedAwayWhileIdle(t *testing.T) {
	j, path := newJournal(t, Options{Log: quiet, probe: time.Millisecond})
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "not ready", func() bool { return j.Ready() != nil })
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "ready", func() bool { return j.Ready() == nil })
	order(t, j, "k")
}
