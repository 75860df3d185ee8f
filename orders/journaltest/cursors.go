package journaltest

import (
	"slices"
	"strings"
	"time"

	"straks/orders"
)

// cursors stores, replaces, reads and removes cursors, over a restart.
func cursors(f *fixture) {
	f.taken("a", "1")
	f.apply(f.report(orders.SMSDelivered, "1"))
	first := orders.Cursor{Organisation: org, Name: "crm", Seq: 1, Begin: 1, Seen: f.now}
	failing := orders.Cursor{Organisation: org, Name: "crm.2", Seq: 2, FailingSince: f.now.Add(-time.Hour), Seen: f.now}
	stopped := orders.Cursor{Organisation: "other", Name: "crm", StoppedAt: f.now, StopReason: "it answered 410", Seen: f.now}
	f.putCursors([]orders.Cursor{stopped, failing, first}, nil)
	f.putCursors(nil, nil)
	f.reopen()
	f.wantCursors(stopped, first, failing)

	first.Seq, stopped.StoppedAt, stopped.StopReason = 2, time.Time{}, ""
	f.putCursors([]orders.Cursor{first, stopped}, []orders.Cursor{failing})
	f.putCursors(nil, []orders.Cursor{failing}) // a repeat
	f.reopen()
	f.wantCursors(stopped, first)
	f.pass(100 * 24 * time.Hour)
	f.sweep()
	f.wantCursors(stopped, first)
}

// cursorsRefused: names that could be taken for others are refused, and nothing of the call is stored.
func cursorsRefused(f *fixture) {
	good := orders.Cursor{Organisation: org, Name: "crm", Seen: f.now}
	for _, bad := range []orders.Cursor{{Name: "crm"}, {Organisation: org}, {Organisation: org, Name: "a\x00b"}} {
		if err := f.cursorStore().PutCursors(ctx(), []orders.Cursor{good, bad}, nil); err == nil {
			f.Fatalf("%q of %q was stored", bad.Name, bad.Organisation)
		}
	}
	f.wantCursors()
	long := good
	long.StopReason = strings.Repeat("x", 10_000)
	f.putCursors([]orders.Cursor{long}, nil)
	if got, ok, err := f.cursorStore().Cursor(ctx(), org, "crm"); err != nil || !ok || !strings.HasPrefix(long.StopReason, got.StopReason) || got.StopReason == "" {
		f.Fatalf("a long reason: %d octets, %v, %v", len(got.StopReason), ok, err)
	}
}

func (f *fixture) cursorStore() orders.Cursors {
	f.Helper()
	store, ok := f.j.(orders.Cursors)
	if !ok {
		f.Fatalf("%T keeps no cursors", f.j)
	}
	return store
}

func (f *fixture) putCursors(put, remove []orders.Cursor) {
	f.Helper()
	if err := f.cursorStore().PutCursors(ctx(), put, remove); err != nil {
		f.Fatalf("put cursors: %v", err)
	}
	f.check()
}

func (f *fixture) wantCursors(want ...orders.Cursor) {
	f.Helper()
	got, err := f.cursorStore().Cursors(ctx())
	if err != nil || !slices.Equal(got, want) {
		f.Fatalf("cursors %+v, %v, want %+v", got, err, want)
	}
	for _, c := range want {
		if got, ok, err := f.cursorStore().Cursor(ctx(), c.Organisation, c.Name); err != nil || !ok || got != c {
			f.Fatalf("cursor %+v, %v, %v, want %+v", got, ok, err, c)
		}
	}
	if got, ok, err := f.cursorStore().Cursor(ctx(), org, "unknown"); err != nil || ok || got != (orders.Cursor{}) {
		f.Fatalf("no cursor: %+v, %v, %v", got, ok, err)
	}
}
