package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
)

// BenchmarkFold is what it costs to move so many keys, in their order and in one transaction, into a slot
// of 600,000.
func BenchmarkFold(b *testing.B) {
	j, _ := newJournal(b, Options{})
	put := func(names []string) {
		keys := make([][]byte, len(names))
		for i, name := range names {
			keys[i] = hash("ttd", name)
		}
		slices.SortFunc(keys, bytes.Compare)
		r := newRequest(b.Context())
		r.run = func(w *writeTx) (err error) {
			for _, key := range keys {
				err = errors.Join(err, w.keys().put(time.Now().UnixMicro(), key, encodeKey(nil, key, uuid.Must(uuid.NewV7()))))
			}
			return err
		}
		if err := j.do(j.facts, r); err != nil {
			b.Fatal(err)
		}
	}
	names := func(n int) (names []string) {
		for range n {
			names = append(names, strconv.FormatUint(rand.Uint64(), 10))
		}
		return names
	}
	for range 60 {
		put(names(10_000))
	}
	for _, n := range []int{64, 2_600, 16_000, 62_000} {
		b.Run(fmt.Sprint("keys=", n), func(b *testing.B) {
			spent, moved := time.Duration(0), 0
			for b.Loop() {
				all := names(n)
				before := cpu()
				put(all)
				spent, moved = spent+cpu()-before, moved+n
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(moved), "cpu-ns/key")
		})
	}
}

// BenchmarkNewKeys is what keys of new orders cost, 64 in a transaction, in CPU time with the commit,
// beside a newest slot of so many keys.
func BenchmarkNewKeys(b *testing.B) {
	for _, size := range []int{0, 10_000, 60_000, 200_000, 600_000} {
		b.Run(fmt.Sprint("slot=", size), func(b *testing.B) {
			j, _ := newJournal(b, Options{})
			put := func(n int, name func(i int) string) {
				r := newRequest(b.Context())
				r.run = func(w *writeTx) (err error) {
					for i := range n {
						key := hash("ttd", name(i))
						v, lookErr := w.keys().get(key)
						if v != nil {
							lookErr = errors.New("known")
						}
						id := uuid.Must(uuid.NewV7())
						err = errors.Join(err, lookErr, w.keys().put(time.Now().UnixMicro(), key, encodeKey(nil, key, id)))
					}
					return err
				}
				if err := j.do(j.facts, r); err != nil {
					b.Fatal(err)
				}
			}
			for done := 0; done < size; done += 10_000 {
				put(10_000, func(i int) string { return strconv.Itoa(done + i) })
			}
			b.ResetTimer()
			spent := cpu()
			for b.Loop() {
				put(64, func(int) string { return strconv.FormatUint(rand.Uint64(), 10) })
			}
			b.ReportMetric(float64((cpu()-spent).Nanoseconds())/float64(64*b.N), "cpu-ns/key")
		})
	}
}
