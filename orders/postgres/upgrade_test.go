package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// nextSteps are two further versions of the schema: what a step may do, to tables that are in use and to new ones.
var nextSteps = []string{
	`alter table shipments add column next int, add column next_since timestamptz not null default '2026-01-01';
	alter table nodes add column next text not null default '';
	create table next (id uuid primary key, at timestamptz not null);
	create index on next (at);
	insert into next select id, now() from meta;`,
	`alter table shipments drop column next; drop table next;`,
}

// further are the options of a program that is as many versions ahead.
func further(opt Options, versions int) Options {
	opt.steps = slices.Concat(steps, nextSteps)[:len(steps)+versions]
	return opt
}

// TestVersions: Open refuses a database without a journal, and one of another time; Create refuses one that is there.
func TestVersions(t *testing.T) {
	t.Parallel()
	opt := Options{DSN: database(t), Log: quiet()}
	if _, err := Open(t.Context(), opt); !errors.Is(err, ErrMissing) {
		t.Errorf("no journal: %v", err)
	}
	if _, err := Upgrade(t.Context(), opt); !errors.Is(err, ErrMissing) {
		t.Errorf("an upgrade without a journal: %v", err)
	}
	if err := Create(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), opt); !errors.Is(err, ErrExists) {
		t.Errorf("a second journal: %v", err)
	}
	j := open(t, opt)
	defer j.Close()
	own := len(steps)
	for version, want := range map[int]error{own - 1: ErrOutdated, own: nil, own + 1: nil, own + 2: ErrNewer, -own: ErrMoving} {
		if err := j.write(t, fmt.Sprint("update meta set schema = ", version)); err != nil {
			t.Fatal(err)
		}
		_, err := Probe(t.Context(), opt)
		if !errors.Is(err, want) {
			t.Errorf("schema %d: %v, want %v", version, err, want)
		}
		if says := fmt.Sprintf("version %d, the program's %d", version, own); version >= 0 && err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("schema %d: %v", version, err)
		}
		if version == own-1 {
			continue // there is no step to version 1 but making the schema
		}
		if upgraded, err := Upgrade(t.Context(), opt); upgraded || !errors.Is(err, want) {
			t.Errorf("schema %d: upgraded %v, %v", version, upgraded, err)
		}
	}
}

// TestUpgrade: while two nodes have orders, the schema goes one version further, and one node after the other is replaced
// by one of the next version. Both versions work on each other's orders, and nothing is missing in the end.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	opt := Options{DSN: database(t), Log: quiet(), Readers: 4}
	if err := Create(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	next := further(opt, 1)
	if _, err := Open(t.Context(), next); !errors.Is(err, ErrOutdated) {
		t.Errorf("a program of the next version before the upgrade: %v", err)
	}
	if _, err := Upgrade(t.Context(), further(opt, 2)); !errors.Is(err, ErrSkipped) {
		t.Errorf("two versions further: %v", err)
	}
	var nodes atomic.Pointer[[]*Journal]
	a, b := open(t, opt), open(t, node(opt, 2))
	var all sync.Map
	var sent, using atomic.Int64
	stop := make(chan struct{})
	var turn sync.RWMutex // held for a life: a node is closed when no life uses it
	var load sync.WaitGroup
	nodes.Store(&[]*Journal{a, b})
	for range 8 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				turn.RLock()
				all.Store(life(t, *nodes.Load(), int(sent.Add(1))), true)
				turn.RUnlock()
				using.Add(1)
			}
		})
	}
	more := func() {
		t.Helper()
		from := using.Load()
		eventually(t, "no orders", func() bool { return using.Load() > from+40 || t.Failed() })
	}
	run := func(j ...*Journal) { // replaces the nodes that have orders
		turn.Lock()
		nodes.Store(&j)
		turn.Unlock()
		more()
	}
	more()
	upgraded, err := Upgrade(t.Context(), next)
	if err != nil || !upgraded {
		t.Fatalf("upgraded %v, %v", upgraded, err)
	}
	for _, opt := range []Options{next, opt} {
		if upgraded, err := Upgrade(t.Context(), opt); err != nil || upgraded {
			t.Errorf("again: upgraded %v, %v", upgraded, err)
		}
	}
	more()
	newer := open(t, node(next, 3))
	run(a, newer)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	b = open(t, node(opt, 2)) // the older program, on the newer schema
	run(newer, b, a)
	if _, err := Upgrade(t.Context(), further(opt, 2)); !errors.Is(err, ErrOldNode) || !strings.Contains(err.Error(), "node 1 ") {
		t.Errorf("the version after the next, while nodes of the first run: %v", err)
	}
	last := open(t, node(next, 4))
	run(newer, last)
	close(stop)
	load.Wait()
	complete(t, []*Journal{a, b, newer, last}, &all)
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Error(err)
	}
	if upgraded, err := Upgrade(t.Context(), further(opt, 2)); err != nil || !upgraded {
		t.Errorf("with nodes of the next version: upgraded %v, %v", upgraded, err)
	}
	if _, err := Open(t.Context(), node(opt, 5)); !errors.Is(err, ErrNewer) {
		t.Errorf("the first program, two versions later: %v", err)
	}
	after := life(t, []*Journal{newer, last}, int(sent.Add(1)))
	all.Store(after, true)
	complete(t, []*Journal{newer, last}, &all)
	if err := errors.Join(newer.Close(), last.Close()); err != nil {
		t.Error(err)
	}
	if err := Check(t.Context(), further(opt, 2), func(int64) {}); err != nil {
		t.Error(err)
	}
}

// TestUpgradeWaits: a step that gets no lock lets nodes pass, and is tried again; one that fails changes nothing.
func TestUpgradeWaits(t *testing.T) {
	t.Parallel()
	opt := Options{DSN: database(t), Log: quiet()}
	if err := Create(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	j := open(t, opt)
	defer j.Close()
	next := further(opt, 1)

	bad := next
	bad.steps = append(slices.Clone(steps), "create table half (id int); alter table none add column x int")
	if upgraded, err := Upgrade(t.Context(), bad); err == nil || upgraded || !strings.Contains(err.Error(), "none") {
		t.Errorf("a step that fails: %v, %v", upgraded, err)
	}
	var half bool
	if err := j.pool.QueryRow(t.Context(), "select to_regclass('straks.half') is not null").Scan(&half); err != nil || half {
		t.Errorf("half a step: %v, %v", half, err)
	}

	user, err := pgx.Connect(t.Context(), opt.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(user)
	tx, err := user.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), "select from straks.shipments") // as a dump: until its end, no column can be added
	}
	if err != nil {
		t.Fatal(err)
	}
	upgrade := func(ctx context.Context) chan error {
		done := make(chan error, 1)
		go func() {
			upgraded, err := Upgrade(ctx, next)
			if err == nil && !upgraded {
				err = errors.New("nothing was upgraded")
			}
			done <- err
		}()
		return done
	}
	waits := func() {
		t.Helper()
		eventually(t, "the step does not wait", func() bool {
			var n int
			err := j.pool.QueryRow(t.Context(), "select count(*) from pg_locks where not granted and relation = 'straks.shipments'::regclass and mode = 'AccessExclusiveLock'").Scan(&n)
			return err == nil && n == 1
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := upgrade(ctx)
	waits()
	cancel()
	if err := <-done; err == nil {
		t.Error("an upgrade that was stopped while it waited")
	}
	done = upgrade(t.Context())
	for n := range 3 {
		waits()
		life(t, []*Journal{j, j}, n)
	}
	select {
	case err := <-done:
		t.Fatalf("the step did not wait for the lock: %v", err)
	default:
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestUpgradeAndStart: a program that starts while the schema goes out of its reach either is refused, or keeps the
// upgrade from it.
func TestUpgradeAndStart(t *testing.T) {
	t.Parallel()
	opt := Options{DSN: database(t), Log: quiet(), Lease: 5 * time.Second}
	if err := Create(t.Context(), further(opt, 1)); err != nil {
		t.Fatal(err)
	}
	for {
		started := make(chan error, 1)
		var j *Journal
		go func() {
			var err error
			j, err = Open(context.Background(), opt)
			started <- err
		}()
		_, upgrade := Upgrade(t.Context(), further(opt, 2))
		start := <-started
		if start == nil {
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		}
		switch {
		case upgrade == nil && errors.Is(start, ErrNewer):
			return
		case errors.Is(upgrade, ErrOldNode) && start == nil: // again, until the upgrade is first
		case upgrade == nil && start == nil:
			// in order: it had ended before the upgrade began, or it would have kept it from it
			t.Fatal("a program of the first version runs on the third")
		default:
			t.Fatalf("start %v, upgrade %v", start, upgrade)
		}
	}
}
