package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"straks/codes"
	"straks/orders"
)

// Verifications: package codes says what their records are. One goroutine of each node changes them, all that wait in
// one transaction, and one node at a time: so each change is as if it had run alone, and none has to be done again.

var _ codes.Store = (*Journal)(nil)

const (
	lockCodes = "select pg_advisory_xact_lock($1)"
	codesKey  = lockKey + 1

	getCode  = "select record from codes where kind = $1 and key = $2"
	dueCodes = "select key, due from codes where kind = $1 order by due, key limit $2"
	putCode  = `insert into codes (kind, key, due, record) values ($1, $2, $3, $4)
		on conflict (kind, key) do update set due = excluded.due, record = excluded.record`
	deleteCode = "delete from codes where kind = $1 and key = $2"

	codeFeed     = "select seq, entry from code_feed where organisation = $1 and seq > $2 order by seq limit $3"
	codeFeedBack = "select seq, entry from code_feed where organisation = $1 and seq < $2 order by seq desc limit $3"
	codeHead     = "select coalesce((select seq from code_head where organisation = $1), (select feed_start from meta))"
	appendCode   = `with head as (insert into code_head (organisation, seq) values ($1, (select feed_start from meta) + 1)
			on conflict (organisation) do update set seq = code_head.seq + 1 returning seq)
		insert into code_feed (organisation, seq, at, entry) select $1, seq, $2, $3 from head`
	trimCodes = `delete from code_feed where (organisation, seq) in
		(select organisation, seq from code_feed where at < $1 order by at limit $2)`
)

// UpdateCodes implements codes.Store.
func (j *Journal) UpdateCodes(ctx context.Context, change func(codes.Tx) error) error {
	r := &request{ctx: ctx, change: change, done: make(chan error, 1)}
	if err := j.codes.do(r); err != nil {
		return err
	}
	return r.failed
}

// changeCodes runs the changes of a batch. One that fails by itself is taken back, and only that one.
func (j *Journal) changeCodes(ctx context.Context, conn *connection, batch []*request) error {
	b := &pgx.Batch{}
	b.Queue("begin")
	b.Queue(lockCodes, codesKey)
	if err := conn.send(ctx, b); err != nil {
		return err
	}
	for _, r := range batch {
		if err := conn.run(ctx, "savepoint change"); err != nil {
			return err
		}
		tx := &codesTx{codesReader{ctx: ctx, q: conn.Conn}}
		after := "release savepoint change"
		if r.failed = r.change(tx); r.failed != nil {
			after = "rollback to savepoint change"
		}
		if tx.failed != nil {
			return tx.failed
		}
		if err := conn.run(ctx, after); err != nil {
			return err
		}
	}
	return conn.run(ctx, "commit")
}

// run runs a statement without values.
func (c *connection) run(ctx context.Context, sql string) error {
	b := &pgx.Batch{}
	b.Queue(sql)
	return c.send(ctx, b)
}

// ViewCodes implements codes.Store. What was seen is answered when a failover can't take it back.
func (j *Journal) ViewCodes(ctx context.Context, look func(codes.Reader) error) error {
	var own error
	var server serverID
	err := pgx.BeginTxFunc(ctx, j.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		r := &codesReader{ctx: ctx, q: tx}
		own, server = look(r), serverOf(tx.Conn())
		return r.failed
	})
	if err != nil {
		return unavailable(err)
	}
	var beyond *orders.BeyondNewestError
	if own != nil && !errors.As(own, &beyond) { // that one is said by a server that can still write
		return own
	}
	if err := j.barrier.wait(ctx, server); err != nil {
		return err
	}
	return own
}

// codesReader is the store of verifications in a transaction.
type codesReader struct {
	ctx context.Context
	q   interface {
		querier
		Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	}
	failed error // of the database
}

// fail notes an error of the database, and returns what the caller gets.
func (r *codesReader) fail(err error) error {
	if r.failed = cmp.Or(r.failed, err); err != nil {
		return unavailable(err)
	}
	return nil
}

// Get implements codes.Reader.
func (r *codesReader) Get(t codes.Table, key []byte) (record []byte, err error) {
	err = r.q.QueryRow(r.ctx, getCode, int16(t), key).Scan(&record)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return record, r.fail(err)
}

// Due implements codes.Reader.
func (r *codesReader) Due(t codes.Table, now time.Time, limit int) (keys [][]byte, next time.Time, err error) {
	rows, err := r.q.Query(r.ctx, dueCodes, int16(t), limit+1)
	if err != nil {
		return nil, next, r.fail(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key []byte
		var at time.Time
		if err := rows.Scan(&key, &at); err != nil {
			return nil, next, r.fail(err)
		}
		if at.After(now) || len(keys) == limit {
			return keys, at.UTC(), nil
		}
		keys = append(keys, key)
	}
	return keys, next, r.fail(rows.Err())
}

// Feed implements codes.Reader.
func (r *codesReader) Feed(organisation string, seq uint64, limit int, descending bool) (page []codes.FeedRecord, err error) {
	var newest int64
	if err := r.q.QueryRow(r.ctx, codeHead, organisation).Scan(&newest); err != nil {
		return nil, r.fail(err)
	}
	sql, from := codeFeed, min(seq, maxSeq)
	switch {
	case !descending && seq > uint64(newest):
		return nil, &orders.BeyondNewestError{Newest: uint64(newest)}
	case descending && seq == 0:
		sql, from = codeFeedBack, maxSeq
	case descending:
		sql = codeFeedBack
	}
	rows, err := r.q.Query(r.ctx, sql, organisation, int64(from), limit)
	if err != nil {
		return nil, r.fail(err)
	}
	defer rows.Close()
	for rows.Next() {
		var number int64
		var e codes.FeedRecord
		if err := rows.Scan(&number, &e.Entry); err != nil {
			return nil, r.fail(err)
		}
		e.Seq = uint64(number)
		page = append(page, e)
	}
	return page, r.fail(rows.Err())
}

// codesTx is the store of verifications in a transaction that changes it.
type codesTx struct{ codesReader }

func (x *codesTx) exec(sql string, args ...any) (n int, err error) {
	tag, err := x.q.(*pgx.Conn).Exec(x.ctx, sql, args...)
	return int(tag.RowsAffected()), x.fail(err)
}

// Put implements codes.Tx.
func (x *codesTx) Put(t codes.Table, key, record []byte, due time.Time) error {
	if len(key) == 0 || len(key) > codes.MaxKey {
		return fmt.Errorf("journal: a key of verifications has %d octets", len(key))
	}
	if due.Unix() < 0 {
		due = time.Unix(0, 0)
	}
	_, err := x.exec(putCode, int16(t), key, due, append([]byte{}, record...))
	return err
}

// Delete implements codes.Tx.
func (x *codesTx) Delete(t codes.Table, key []byte) error {
	_, err := x.exec(deleteCode, int16(t), key)
	return err
}

// Append implements codes.Tx.
func (x *codesTx) Append(organisation string, at time.Time, entry []byte) error {
	_, err := x.exec(appendCode, organisation, at, append([]byte{}, entry...))
	return err
}

// Trim implements codes.Tx.
func (x *codesTx) Trim(before time.Time, limit int) (int, error) {
	return x.exec(trimCodes, before, limit)
}
