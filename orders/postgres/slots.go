package postgres

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// The binds of an SMSC's account are slots, which the live nodes that use the SMSC share: each takes
// ceil(slots / nodes) at the most, and gives back what is more. A node whose dialect of the SMSC is not that of the others
// takes none (alike.go). A slot is free when it was given back, or when the epoch
// of its node has ended. A node that can't renew its lease gives its slots back when that expires (lease.lapse).

const (
	makeSlots = `insert into slots (smsc, n) select $1, n from unnest($2::int[]) as n order by n on conflict do nothing`
	useSlots  = `insert into slot_users (smsc, node, epoch) values ($1, $2, $3)
		on conflict (smsc, node) do update set epoch = excluded.epoch where slot_users.epoch <> excluded.epoch`
	leaveSlots = `delete from slot_users where smsc = $1 and node = $2`
	lookSlots  = `select s.n, coalesce(h.id, 0),
			(select count(*) from slot_users u join nodes l on l.id = u.node and l.epoch = u.epoch where u.smsc = $1)
		from slots s left join nodes h on h.id = s.node and h.epoch = s.epoch where s.smsc = $1`
	takeSlots = `with free as (select s.n, coalesce(s.node, s.last) as before, s.node is null as given from slots s
			where s.smsc = $1 and s.n = any($2::int[]) and (s.node = $3 and s.epoch = $4
				or not ` + ownerLives + `)
			order by s.n limit $5 for update of s skip locked)
		update slots s set node = $3, epoch = $4, last = null from free where s.smsc = $1 and s.n = free.n
		returning s.n, free.before is not null and not (free.given and free.before = $3)`
	freeSlot = `update slots set node = null, epoch = null, last = $3 where smsc = $1 and n = $2 and node = $3 and epoch = $4`
)

const (
	slotsWaiting = 250 * time.Millisecond // between two looks while a slot that is ours by right is not free yet
	slotsSettled = 2 * time.Second        // otherwise
)

// Slot is the right to keep one bind up.
type Slot struct {
	Ended     <-chan struct{} // closed when the slot must be given back
	Inherited bool            // another process had it before, whose session the SMSC may still count
	Release   func()          // gives the slot back. Called once, when the bind is down
}

type slotKey struct {
	smsc string
	n    int
}

type heldSlot struct {
	epoch int64
	ended chan struct{}
	over  bool // ended is closed
	freed bool // given back here, and not yet in the database
}

// slots are those that this node has or waits for.
type slots struct {
	j    *Journal
	wake chan struct{}

	mu      sync.Mutex
	waiting map[slotKey]chan Slot
	held    map[slotKey]*heldSlot
	used    map[string]bool    // SMSCs of which slot_users has this node
	seen    map[string]sharing // of each of these SMSCs
}

// AcquireSlot waits until slot n of an SMSC, counted from 0, is this node's. It returns an error only when ctx ends.
// One caller at a time waits for a slot or has it.
func (j *Journal) AcquireSlot(ctx context.Context, smsc string, n int) (Slot, error) {
	s, key, got := &j.slots, slotKey{smsc, n}, make(chan Slot, 1)
	s.mu.Lock()
	if s.waiting == nil {
		s.waiting, s.held = make(map[slotKey]chan Slot), make(map[slotKey]*heldSlot)
		s.used, s.seen = make(map[string]bool), make(map[string]sharing)
	}
	s.waiting[key] = got
	s.mu.Unlock()
	s.hurry()
	select {
	case slot := <-got:
		return slot, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	if s.waiting[key] == got {
		delete(s.waiting, key)
	}
	s.mu.Unlock()
	s.hurry()
	select {
	case slot := <-got: // both at once
		slot.Release()
	default:
	}
	return Slot{}, context.Cause(ctx)
}

func (s *slots) hurry() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run looks at all slots again and again, until the journal closes. What is held then ends with the lease.
func (s *slots) run() {
	for {
		pause := slotsSettled
		if s.round() {
			pause = slotsWaiting
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.wake:
			timer.Stop()
		case <-s.j.closing:
			timer.Stop()
			return
		}
	}
}

// round takes and gives back slots. It reports whether one that is ours by right is not free yet.
func (s *slots) round() (more bool) {
	epoch := s.j.lease.epochNow()
	s.outdated(epoch)
	for _, smsc := range s.smscs() {
		ctx, cancel := context.WithTimeout(context.Background(), writeTime)
		wants, err := s.share(ctx, smsc, epoch)
		cancel()
		if err != nil {
			s.see(smsc, sharing{err: err})
			s.j.skipped.Write("slots "+smsc, slog.LevelError, "binds are not shared with other nodes now, trying again",
				slog.String("smsc", smsc), slog.Any("err", err))
		}
		more = more || wants
	}
	return more
}

// smscs returns the SMSCs to look at: those with slots that are waited for or held, and those that were used until now.
func (s *slots) smscs() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.waiting {
		names = append(names, key.smsc)
	}
	for key := range s.held {
		names = append(names, key.smsc)
	}
	for name := range s.used {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// noEpoch is the epoch of a node whose lease has expired.
const noEpoch = 0

// outdated ends the slots of all epochs but this node's present one: other nodes may have them.
func (s *slots) outdated(epoch int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		if h.epoch != epoch {
			h.end()
		}
	}
}

func (h *heldSlot) end() {
	if !h.over {
		h.over = true
		close(h.ended)
	}
}

// share takes free slots of one SMSC up to this node's share, and ends those beyond it.
func (s *slots) share(ctx context.Context, smsc string, epoch int64) (more bool, err error) {
	if err := s.free(ctx, smsc); err != nil {
		return true, err
	}
	waiting, held := s.numbers(smsc)
	if len(waiting)+len(held) == 0 {
		return false, s.leave(ctx, smsc)
	}
	if keeps := s.j.strange(DialectOf(smsc)); keeps != 0 {
		s.see(smsc, sharing{keeps: keeps})
		s.endLast(smsc, len(held))
		return false, s.leave(ctx, smsc)
	}
	seen, err := s.look(ctx, smsc, slices.Concat(waiting, held), epoch)
	if err != nil {
		return true, err
	}
	s.see(smsc, seen)
	if len(held) > seen.fair {
		s.endLast(smsc, len(held)-seen.fair)
		return true, nil
	}
	if len(waiting) == 0 || len(held) == seen.fair {
		return false, nil
	}
	taken, err := s.take(ctx, smsc, waiting, epoch, seen.fair-len(held))
	return len(held)+taken < min(seen.fair, len(held)+len(waiting)), err
}

// numbers returns the slots of an SMSC that are waited for, and those that are held.
func (s *slots) numbers(smsc string) (waiting, held []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.waiting {
		if key.smsc == smsc && s.held[key] == nil {
			waiting = append(waiting, key.n)
		}
	}
	for key := range s.held {
		if key.smsc == smsc {
			held = append(held, key.n)
		}
	}
	return waiting, held
}

// endLast ends n slots, the last ones.
func (s *slots) endLast(smsc string, n int) {
	_, held := s.numbers(smsc)
	slices.Sort(held)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, number := range held[max(len(held)-n, 0):] {
		if h := s.held[slotKey{smsc, number}]; h != nil {
			h.end()
		}
	}
}

// take takes free slots, and gives them to those who wait. What the database has and nobody waits for any more is
// given back.
func (s *slots) take(ctx context.Context, smsc string, waiting []int, epoch int64, most int) (int, error) {
	inherited := make(map[int]bool)
	err := s.j.pooled(ctx, func(ctx context.Context, conn *connection) error {
		clear(inherited)
		b := &pgx.Batch{}
		b.Queue(takeSlots, smsc, waiting, s.j.opt.Node, epoch, most).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var n int
				var other bool
				if err := rows.Scan(&n, &other); err != nil {
					return err
				}
				inherited[n] = other
			}
			return rows.Err()
		})
		return conn.send(ctx, b)
	})
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, other := range inherited {
		key := slotKey{smsc, n}
		h := &heldSlot{epoch: epoch, ended: make(chan struct{})}
		s.held[key] = h
		if s.j.lease.expired() { // lease.lapse may have ended what was held by then
			h.end()
		}
		got := s.waiting[key]
		if delete(s.waiting, key); got == nil {
			h.freed = true
			continue
		}
		got <- Slot{Ended: h.ended, Inherited: other, Release: func() { s.release(h) }}
	}
	return len(inherited), nil
}

func (s *slots) release(h *heldSlot) {
	s.mu.Lock()
	h.freed = true
	s.mu.Unlock()
	s.hurry()
}

// free gives back in the database what was given back here.
func (s *slots) free(ctx context.Context, smsc string) error {
	s.mu.Lock()
	freed := make(map[slotKey]*heldSlot)
	for key, h := range s.held {
		if key.smsc == smsc && h.freed {
			freed[key] = h
		}
	}
	s.mu.Unlock()
	if len(freed) == 0 {
		return nil
	}
	err := s.j.pooled(ctx, func(ctx context.Context, conn *connection) error {
		b := &pgx.Batch{}
		for key, h := range freed {
			b.Queue(freeSlot, key.smsc, key.n, s.j.opt.Node, h.epoch)
		}
		return conn.send(ctx, b)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range freed {
		delete(s.held, key)
	}
	return nil
}

// leave notes that this node uses the SMSC no more.
func (s *slots) leave(ctx context.Context, smsc string) error {
	s.mu.Lock()
	used := s.used[smsc]
	s.mu.Unlock()
	if !used {
		return nil
	}
	err := s.j.pooled(ctx, func(ctx context.Context, conn *connection) error {
		b := &pgx.Batch{}
		b.Queue(leaveSlots, smsc, s.j.opt.Node)
		return conn.send(ctx, b)
	})
	if err == nil {
		s.mu.Lock()
		delete(s.used, smsc)
		s.mu.Unlock()
	}
	return err
}
