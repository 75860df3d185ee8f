// Package codestest is the suite that every store of verifications passes: the definition of codes.Store in code.
package codestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"straks/codes"
	"straks/orders"
)

// Engine is what the suite needs of an engine.
type Engine struct {
	// Open returns a store in the folder, or in what else the engine makes of it: a new one, or the one of before.
	Open func(t *testing.T, dir string) codes.Store
	// Close ends it. The next Open finds what was stored.
	Close func(t *testing.T, s codes.Store)
}

// Run runs the suite.
func Run(t *testing.T, e Engine) {
	for name, test := range map[string]func(*fixture){
		"records":  records,
		"due":      due,
		"feed":     feed,
		"trim":     trim,
		"failures": failures,
		"together": together,
		"views":    views,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fixture{T: t, engine: e, dir: t.TempDir()}
			f.s = e.Open(t, f.dir)
			t.Cleanup(func() { e.Close(t, f.s) })
			test(f)
		})
	}
}

type fixture struct {
	*testing.T
	engine Engine
	dir    string
	s      codes.Store
}

// reopen ends the store and opens it again.
func (f *fixture) reopen() {
	f.Helper()
	f.engine.Close(f.T, f.s)
	f.s = f.engine.Open(f.T, f.dir)
}

func (f *fixture) update(change func(codes.Tx) error) {
	f.Helper()
	if err := f.s.UpdateCodes(f.Context(), change); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) put(t codes.Table, key, record string, due time.Time) {
	f.Helper()
	f.update(func(tx codes.Tx) error { return tx.Put(t, []byte(key), []byte(record), due) })
}

func (f *fixture) view(look func(codes.Reader) error) {
	f.Helper()
	if err := f.s.ViewCodes(f.Context(), look); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) want(t codes.Table, key, record string) {
	f.Helper()
	f.view(func(r codes.Reader) error {
		got, err := r.Get(t, []byte(key))
		if string(got) != record || (got == nil) != (record == "") {
			f.Errorf("%c %q: %q, want %q", t, key, got, record)
		}
		return err
	})
}

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// records are put, replaced, read and deleted, each in its table, over a restart.
func records(f *fixture) {
	for _, t := range codes.Tables() {
		f.want(t, "a", "")
		f.put(t, "a", string(t)+"1", noon)
		f.put(t, "b", string(t)+"2", noon)
	}
	f.put(codes.Requests, "a", "replaced", noon.Add(time.Hour))
	f.update(func(tx codes.Tx) error {
		if got, err := tx.Get(codes.Requests, []byte("a")); string(got) != "replaced" || err != nil {
			f.Errorf("%q %v", got, err)
		}
		if err := tx.Put(codes.Requests, []byte("c"), []byte("own"), noon); err != nil {
			return err
		}
		got, err := tx.Get(codes.Requests, []byte("c"))
		if string(got) != "own" {
			f.Errorf("a transaction does not see what it has put: %q", got)
		}
		return errors.Join(err, tx.Delete(codes.Addresses, []byte("a")), tx.Delete(codes.Addresses, []byte("none")))
	})
	f.reopen()
	f.want(codes.Verifications, "a", "v1")
	f.want(codes.Requests, "a", "replaced")
	f.want(codes.Requests, "c", "own")
	f.want(codes.Addresses, "a", "")
	f.want(codes.Addresses, "b", "a2")
	long := string(bytes.Repeat([]byte{0, 0xff}, codes.MaxKey/2))
	f.put(codes.Addresses, long, string(bytes.Repeat([]byte("long"), 2000)), noon)
	f.want(codes.Addresses, long, string(bytes.Repeat([]byte("long"), 2000)))
}

func (f *fixture) wantDue(t codes.Table, now time.Time, limit int, next time.Time, keys ...string) {
	f.Helper()
	f.view(func(r codes.Reader) error {
		got, at, err := r.Due(t, now, limit)
		var names []string
		for _, k := range got {
			names = append(names, string(k))
		}
		if fmt.Sprint(names) != fmt.Sprint(keys) || !at.Equal(next) {
			f.Errorf("due: %q, then %v; want %q, then %v", names, at, keys, next)
		}
		return err
	})
}

// due: records come by their time, in each table for itself.
func due(f *fixture) {
	f.wantDue(codes.Verifications, noon, 10, time.Time{})
	f.put(codes.Verifications, "b", "2", noon.Add(time.Second))
	f.put(codes.Verifications, "a", "3", noon.Add(2*time.Second))
	f.put(codes.Verifications, "c", "1", noon)
	f.put(codes.Requests, "r", "1", noon.Add(-time.Hour))
	f.wantDue(codes.Verifications, noon.Add(-time.Microsecond), 10, noon)
	f.wantDue(codes.Verifications, noon, 10, noon.Add(time.Second), "c")
	f.wantDue(codes.Verifications, noon.Add(time.Minute), 2, noon.Add(2*time.Second), "c", "b")
	f.wantDue(codes.Verifications, noon.Add(time.Minute), 3, time.Time{}, "c", "b", "a")
	f.put(codes.Verifications, "c", "later", noon.Add(time.Hour))
	f.put(codes.Verifications, "b", "same", noon.Add(time.Second))
	f.update(func(tx codes.Tx) error { return tx.Delete(codes.Verifications, []byte("a")) })
	f.reopen()
	f.wantDue(codes.Verifications, noon.Add(time.Minute), 10, noon.Add(time.Hour), "b")
	f.wantDue(codes.Requests, noon, 10, time.Time{}, "r")
	f.wantDue(codes.Addresses, noon, 10, time.Time{})
}

func (f *fixture) append(organisation string, at time.Time, entries ...string) {
	f.Helper()
	f.update(func(tx codes.Tx) error {
		for _, e := range entries {
			if err := tx.Append(organisation, at, []byte(e)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fixture) wantFeed(organisation string, seq uint64, limit int, descending bool, want ...string) {
	f.Helper()
	f.view(func(r codes.Reader) error {
		page, err := r.Feed(organisation, seq, limit, descending)
		var got []string
		for _, e := range page {
			got = append(got, fmt.Sprintf("%d%s", e.Seq, e.Entry))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			f.Errorf("feed: %q, want %q", got, want)
		}
		return err
	})
}

// feed: each organisation has numbers of its own, from 1, without a hole, over a restart.
func feed(f *fixture) {
	f.wantFeed("ttd", 0, 10, false)
	f.wantFeed("ttd", 0, 10, true)
	f.append("ttd", noon, "a", "b")
	f.append("nav", noon, "x")
	f.reopen()
	f.append("ttd", noon.Add(time.Hour), "c")
	f.wantFeed("ttd", 0, 10, false, "1a", "2b", "3c")
	f.wantFeed("ttd", 1, 1, false, "2b")
	f.wantFeed("ttd", 3, 10, false)
	f.wantFeed("ttd", 0, 2, true, "3c", "2b")
	f.wantFeed("ttd", 2, 10, true, "1a")
	f.wantFeed("nav", 0, 10, false, "1x")
	err := f.s.ViewCodes(f.Context(), func(r codes.Reader) error { _, err := r.Feed("ttd", 4, 1, false); return err })
	var beyond *orders.BeyondNewestError
	if !errors.As(err, &beyond) || beyond.Newest != 3 {
		f.Errorf("beyond the newest: %v", err)
	}
}

// trim: old entries leave from the front, and their numbers do not come back.
func trim(f *fixture) {
	f.append("ttd", noon, "a", "b", "c")
	f.append("nav", noon, "x")
	f.append("ttd", noon.Add(time.Hour), "d")
	trim := func(before time.Time, limit, want int) {
		f.Helper()
		f.update(func(tx codes.Tx) error {
			n, err := tx.Trim(before, limit)
			if n != want {
				f.Errorf("%d removed, want %d", n, want)
			}
			return err
		})
	}
	trim(noon, 10, 0)
	trim(noon.Add(time.Second), 2, 2)
	trim(noon.Add(time.Second), 10, 2)
	f.wantFeed("ttd", 0, 10, false, "4d")
	trim(noon.Add(2*time.Hour), 10, 1)
	f.append("ttd", noon.Add(2*time.Hour), "e")
	f.reopen()
	f.wantFeed("ttd", 0, 10, false, "5e")
	f.wantFeed("nav", 0, 10, false)
}

// failures: of a change that fails nothing is stored, and it fails alone.
func failures(f *fixture) {
	f.put(codes.Verifications, "a", "1", noon)
	failed := errors.New("failed")
	err := f.s.UpdateCodes(f.Context(), func(tx codes.Tx) error {
		return errors.Join(tx.Put(codes.Verifications, []byte("a"), []byte("2"), noon.Add(time.Hour)), tx.Delete(codes.Verifications, []byte("a")),
			tx.Append("ttd", noon, []byte("lost")), failed)
	})
	if !errors.Is(err, failed) {
		f.Error(err)
	}
	f.want(codes.Verifications, "a", "1")
	f.wantDue(codes.Verifications, noon, 10, time.Time{}, "a")
	f.append("ttd", noon, "first")
	f.wantFeed("ttd", 0, 10, false, "1first")
	err = f.s.UpdateCodes(f.Context(), func(tx codes.Tx) error {
		return tx.Put(codes.Requests, bytes.Repeat([]byte("k"), codes.MaxKey+1), []byte("1"), noon)
	})
	if err == nil {
		f.Error("a key that is too long was stored")
	}
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	if err := f.s.UpdateCodes(ctx, func(codes.Tx) error { return nil }); err == nil {
		f.Error("a change of a caller that has gone")
	}
}

// together: changes at the same time are as if one had run after the other. Some of them fail.
func together(f *fixture) {
	const clients, each = 16, 25
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			for i := range each {
				err := f.s.UpdateCodes(f.Context(), func(tx codes.Tx) error {
					was, err := tx.Get(codes.Verifications, []byte("counter"))
					if err != nil {
						return err
					}
					n := 0
					fmt.Sscan(string(was), &n)
					if err := tx.Put(codes.Verifications, []byte("counter"), fmt.Append(nil, n+1), noon.Add(time.Duration(n)*time.Second)); err != nil {
						return err
					}
					if i%5 == 4 {
						return errors.New("this one is not stored")
					}
					return tx.Append("ttd", noon, fmt.Append(nil, "-", c))
				})
				if (err == nil) == (i%5 == 4) {
					f.Errorf("change %d of %d: %v", i, c, err)
				}
			}
		})
	}
	group.Wait()
	const stored = clients * each * 4 / 5
	f.want(codes.Verifications, "counter", fmt.Sprint(stored))
	f.wantDue(codes.Verifications, noon.Add(24*time.Hour), 10, time.Time{}, "counter")
	f.view(func(r codes.Reader) error {
		page, err := r.Feed("ttd", 0, 2*stored, false)
		if len(page) != stored || page[stored-1].Seq != stored {
			f.Errorf("%d entries", len(page))
		}
		return err
	})
}

// views: a look sees one state, and what a change has put when it has returned.
func views(f *fixture) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 50 {
			f.put(codes.Verifications, "a", fmt.Sprint(i), noon)
			f.want(codes.Verifications, "a", fmt.Sprint(i))
			f.update(func(tx codes.Tx) error {
				return errors.Join(tx.Put(codes.Requests, []byte("x"), fmt.Append(nil, i), noon), tx.Put(codes.Addresses, []byte("y"), fmt.Append(nil, i), noon))
			})
		}
	}()
	for {
		f.view(func(r codes.Reader) error {
			x, err := r.Get(codes.Requests, []byte("x"))
			y, err2 := r.Get(codes.Addresses, []byte("y"))
			if !bytes.Equal(x, y) {
				f.Errorf("half of a change: %s %s", x, y)
			}
			return errors.Join(err, err2)
		})
		select {
		case <-done:
			return
		default:
		}
	}
}
