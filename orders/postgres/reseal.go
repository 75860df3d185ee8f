package postgres

import (
	"bytes"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders"
	"straks/orders/sealed"
)

// Retention seals what was stored before the journal had a key, or with the former one, once all live nodes seal with the
// same key. Rows change their hashes in place: a session that waits for the lock of one under its plain hash then gets it under
// the keyed one, since it asks for both.

const (
	nextBlocked     = "select hash, record from blocked where hash > $1 order by hash limit $2"
	lockBlocked     = "select hash, record from blocked where hash = any($1::bytea[]) order by hash for update"
	resealBlocked   = "update blocked b set hash = u.k, record = u.record from unnest($1::bytea[], $2::bytea[], $3::bytea[]) as u (h, k, record) where b.hash = u.h"
	nextParked      = "select id, number, refs, record from parked where id > $1 order by id limit $2"
	resealParked    = "update parked set number = $2, refs = $3, record = $4 where id = $1"
	nextShipments   = "select id, record from shipments where id > $1 order by id limit $2"
	lockResealed    = "select id, record from shipments where id = any($1::uuid[]) order by id for update"
	resealShipments = "update shipments s set record = u.record from unnest($1::uuid[], $2::bytea[]) as u (id, record) where s.id = u.id"

	nextUnanswered   = "select number, shipment from unanswered where octet_length(number) = $1 limit $2"
	resealUnanswered = `update unanswered l set number = u.k from unnest($1::bytea[], $2::uuid[], $3::bytea[]) as u (h, id, k)
		where l.number = u.h and l.shipment = u.id and not exists (select from unanswered o where o.number = u.k and o.shipment = u.id)`
	dropResealed = `delete from unanswered where (number, shipment) in (select * from unnest($1::bytea[], $2::uuid[]))`

	// A reference that is renamed is renamed too in the report that waits there: looked at once the reference is locked.
	lockNames   = "select from refs where hash = any($1::bytea[]) order by hash for update"
	renameRefs  = "update refs r set hash = u.k from unnest($1::bytea[], $2::bytea[]) as u (h, k) where r.hash = u.h"
	renameInRow = `update parked p set refs = array(select coalesce(u.k, x.h)
			from unnest(p.refs) with ordinality as x (h, n) left join unnest($1::bytea[], $2::bytea[]) as u (h, k) on u.h = x.h order by x.n)
		where id = any(array(select parked from refs where hash = any($2::bytea[]) and parked is not null))`
)

// resealing is how far the walk through all tables is. It is the keeper's, and begins again with each process until it has
// once come to its end.
type resealing struct {
	from  *boxOf // as the walk began; nil: it has not begun
	table int
	after []byte // the last key that was looked at in the table; nil: none
	plain bool   // what stays plain was met
	told  bool   // the log says that the walk waits
}

// reseal goes on with the walk. A caller that left may have left a step running.
func (s *sweep) reseal() error {
	k := &s.j.sealing
	k.walk.Lock()
	defer k.walk.Unlock()
	if !k.resealing() {
		return nil
	}
	if k.at.from == nil {
		if begun, err := s.beginResealing(); err != nil || !begun {
			return err
		}
	}
	r := &resealer{sweep: s, box: k.at.from.Box, at: &k.at}
	tables := []func(n int) (seen int, last []byte, err error){r.unanswered, r.blocked, r.parked, r.shipments}
	for k.at.table < len(tables) {
		if s.budget <= 0 {
			return nil
		}
		seen, last, err := tables[k.at.table](s.budget)
		if err != nil {
			return err
		}
		s.budget -= seen
		if k.at.after = last; last == nil {
			k.at.table++
		}
	}
	return s.endResealing()
}

// beginResealing waits until all live nodes seal with this node's key. The state says then that it is the current
// one: a node that comes with another changes the state, and so the walk does not settle it.
func (s *sweep) beginResealing() (bool, error) {
	j, at := s.j, &s.j.sealing.at
	var otherwise bool
	if err := s.conn.QueryRow(s.ctx, "select exists ("+sealsOtherwise+"$1)", j.opt.Keys.Current.ID[:]).Scan(&otherwise); err != nil {
		return false, err
	}
	if otherwise {
		if !at.told {
			j.log.Info("journal: recipients are sealed again when all nodes have this key as journal.key_file", "key", j.opt.Keys.Current.ID.String())
		}
		at.told = true
		return false, nil
	}
	if err := j.attach(s.ctx, s.conn); err != nil {
		return false, err
	}
	*at = resealing{from: j.sealing.now.Load()}
	return true, nil
}

// endResealing notes that the journal needs no other key than the current one, if no other node has come with another.
func (s *sweep) endResealing() error {
	j := s.j
	at := j.sealing.at
	j.sealing.at = resealing{}
	box, state := at.from.Resealed(at.plain)
	settled, err := s.conn.changes(s.ctx, settleSealing, at.from.state, state, j.opt.Keys.Current.ID[:])
	if err != nil || !settled {
		return err
	}
	now := &boxOf{box, state}
	j.sealing.now.Store(now)
	j.sealing.walked.Store(now)
	j.log.Info("journal: all recipients are sealed with the current key. The former key is not needed any more. "+
		"Rows that are not vacuumed yet, WAL and backups may hold what was there before", "key", j.opt.Keys.Current.ID.String())
	return nil
}

// resealer seals the rows of one step. Its steps look at the next n rows of a table, and return how many there were, and the key
// of the last of them; nil where no more come.
type resealer struct {
	*sweep
	box *sealed.Box
	at  *resealing
}

// unsealable logs a record that can't be read, so that it stays as it is.
func (r *resealer) unsealable(kind string, err error) {
	r.j.log.Error("a recipient can't be sealed again, its record stays as it is; see straks journal check", "record", kind, "err", err)
}

// rows visits the rows of a query.
func (r *resealer) rows(sql string, args []any, into []any, visit func()) (n int, err error) {
	rows, err := r.conn.Query(r.ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	_, err = pgx.ForEachRow(rows, into, func() error {
		n++
		visit()
		return nil
	})
	return n, err
}

// unanswered puts entries under the keyed hash of their number. Those that are left come first.
func (r *resealer) unanswered(n int) (seen int, last []byte, err error) {
	var plain, keyed [][]byte
	var of [][16]byte
	var number []byte
	var id [16]byte
	seen, err = r.rows(nextUnanswered, []any{numberSize, n}, []any{&number, &id}, func() {
		plain, keyed, of = append(plain, number), append(keyed, sealedNumber(r.box, number)), append(of, id)
	})
	if err != nil || seen == 0 {
		return seen, nil, err
	}
	b := &pgx.Batch{}
	b.Queue("begin")
	b.Queue(resealUnanswered, plain, of, keyed)
	b.Queue(dropResealed, plain, of)
	b.Queue("commit")
	return seen, plain[seen-1], r.conn.send(r.ctx, b)
}

// blocked puts entries of block lists under a keyed hash. One that came from a journal of an old version may not say whom
// it is of: it stays under its plain hash.
func (r *resealer) blocked(n int) (seen int, last []byte, err error) {
	var stale []hash
	var h, record []byte
	seen, err = r.rows(nextBlocked, []any{append([]byte{}, r.at.after...), n}, []any{&h, &record}, func() {
		last = h
		b, of, err := readBlock(r.box, hash(h), record)
		switch {
		case err != nil:
			r.unsealable("block", err)
		case b.Recipient == "":
			r.at.plain = true
		case of.stale || r.hashOf(&b) != hash(h):
			stale = append(stale, hash(h))
		}
	})
	if err != nil || len(stale) == 0 {
		return seen, unlessLast(seen, n, last), err
	}
	var from, to, records [][]byte
	b := &pgx.Batch{}
	b.Queue("begin")
	b.Queue(lockBlocked, octets(stale)).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&h, &record}, func() error {
			if b, of, err := readBlock(r.box, hash(h), record); err == nil && b.Recipient != "" {
				k := r.hashOf(&b)
				from, to, records = append(from, h), append(to, k[:]), append(records, encodeBlock(r.box, k, &b, of.newer))
			}
			return nil
		})
		return err
	})
	if err := r.conn.send(r.ctx, b); err != nil {
		return seen, nil, err
	}
	b = &pgx.Batch{}
	b.Queue(resealBlocked, from, to, records)
	b.Queue("commit")
	return seen, unlessLast(seen, n, last), r.conn.send(r.ctx, b)
}

func (r *resealer) hashOf(b *orders.Block) hash {
	return blockForms(r.box, b.Organisation, b.Channel, b.Recipient)[0]
}

// unlessLast returns the key of the last row that was seen, nil where fewer came than were asked for.
func unlessLast(seen, asked int, last []byte) []byte {
	if seen < asked {
		return nil
	}
	return last
}

// from returns the id after which a walk by ids goes on.
func (r *resealer) from() (id [16]byte) {
	copy(id[:], r.at.after)
	return id
}

// renames are references that may still be under a plain hash.
type renames struct{ from, to [][]byte }

// of adds those of a carrier, and returns the hashes that all of them get.
func (n *renames) of(box *sealed.Box, carrier string, refs []string) [][]byte {
	hashes := make([][]byte, len(refs))
	for i, ref := range refs {
		all := refForms(box, carrier, ref)
		if hashes[i] = all[0][:]; len(all) > 1 {
			n.from, n.to = append(n.from, all[1][:]), append(n.to, all[0][:])
		}
	}
	return hashes
}

// queue renames them. It comes first in a transaction, since references are locked before shipments.
func (n *renames) queue(b *pgx.Batch) {
	if len(n.from) > 0 {
		b.Queue(lockNames, n.from)
		b.Queue(renameRefs, n.from, n.to)
		b.Queue(renameInRow, n.from, n.to)
	}
}

// parked seals reports that wait, and what they are found by.
func (r *resealer) parked(n int) (seen int, last []byte, err error) {
	var renamed renames
	var changes []func(*pgx.Batch)
	var id [16]byte
	var number, record []byte
	var refs [][]byte
	seen, err = r.rows(nextParked, []any{r.from(), n}, []any{&id, &number, &refs, &record}, func() {
		key := id
		last = key[:]
		report, of, err := readReport(r.box, key, record)
		if err != nil {
			r.unsealable("report", err)
			return
		}
		hashes, to := renamed.of(r.box, report.Carrier, report.Refs), sealedNumber(r.box, number)
		if of.stale || !bytes.Equal(to, number) || !slices.EqualFunc(refs, hashes, bytes.Equal) {
			changes = append(changes, func(b *pgx.Batch) {
				b.Queue(resealParked, key, to, hashes, encodeReport(r.box, key, &report, of.newer))
			})
		}
	})
	if err != nil || len(renamed.from)+len(changes) == 0 {
		return seen, unlessLast(seen, n, last), err
	}
	b := &pgx.Batch{}
	b.Queue("begin")
	renamed.queue(b)
	for _, change := range changes {
		change(b)
	}
	b.Queue("commit")
	return seen, unlessLast(seen, n, last), r.conn.send(r.ctx, b)
}

// shipments seals shipments, and the references that they are found by.
func (r *resealer) shipments(n int) (seen int, last []byte, err error) {
	var renamed renames
	stale := []uuid.UUID{}
	var id [16]byte
	var record []byte
	seen, err = r.rows(nextShipments, []any{r.from(), n}, []any{&id, &record}, func() {
		key := id
		last = key[:]
		s, of, err := readShipment(r.box, key, record)
		if err != nil {
			r.unsealable("shipment", err)
			return
		}
		for _, p := range s.Parts {
			renamed.of(r.box, s.Carrier, p.Refs)
		}
		if of.stale {
			stale = append(stale, key)
		}
	})
	if err != nil || len(renamed.from)+len(stale) == 0 {
		return seen, unlessLast(seen, n, last), err
	}
	var all [][16]byte
	var records [][]byte
	b := &pgx.Batch{}
	b.Queue("begin")
	renamed.queue(b)
	b.Queue(lockResealed, ids(stale)).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&id, &record}, func() error {
			if s, of, err := readShipment(r.box, id, record); err == nil {
				all, records = append(all, id), append(records, encodeShipment(r.box, &s, of.newer))
			}
			return nil
		})
		return err
	})
	if err := r.conn.send(r.ctx, b); err != nil {
		return seen, nil, err
	}
	b = &pgx.Batch{}
	b.Queue(resealShipments, all, records)
	b.Queue("commit")
	return seen, unlessLast(seen, n, last), r.conn.send(r.ctx, b)
}
