package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"straks/orders"
	"straks/orders/ledger"
)

// An entry whose shipment is gone is gone too. $4 are the statuses that are left out.
const (
	readFeed = `select f.seq, f.status, f.at, s.id, s.record from feed f join shipments s on s.id = f.shipment
		where f.organisation = $1 and f.seq > $2 and f.status <> all($4::smallint[]) order by f.seq limit $3`
	readFeedBack = `select f.seq, f.status, f.at, s.id, s.record from feed f join shipments s on s.id = f.shipment
		where f.organisation = $1 and f.seq < $2 and f.status <> all($4::smallint[]) order by f.seq desc limit $3`
	readHead = `select coalesce((select seq from feed_head where organisation = $1), (select feed_start from meta))`
)

// maxSeq is beyond each number of a feed.
const maxSeq = 1<<63 - 1

// Feed implements orders.Journal. It answers nothing that a failover could take back.
func (j *Journal) Feed(ctx context.Context, q orders.FeedQuery) (page []orders.FeedEntry, err error) {
	if page, err = j.page(ctx, q); err != nil || len(page) > 0 {
		if err == nil {
			err = j.barrier.wait(ctx)
		}
		if err != nil {
			return nil, err
		}
		return page, nil
	}
	if q.Descending {
		return nil, nil
	}
	var newest int64
	if err := j.pool.QueryRow(ctx, readHead, q.Organisation).Scan(&newest); err != nil {
		return nil, unavailable(err)
	}
	if q.Seq > uint64(newest) {
		return nil, &orders.BeyondNewestError{Newest: uint64(newest)}
	}
	return nil, nil
}

func (j *Journal) page(ctx context.Context, q orders.FeedQuery) (page []orders.FeedEntry, err error) {
	if q.Limit <= 0 {
		return nil, nil
	}
	sql, seq := readFeed, min(q.Seq, maxSeq)
	if q.Descending {
		sql = readFeedBack
		if seq == 0 {
			seq = maxSeq
		}
	}
	rows, err := j.pool.Query(ctx, sql, q.Organisation, int64(seq), q.Limit, leftOut(q.FinalOnly))
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEntry(rows)
		if errors.Is(err, ledger.ErrCorrupt) {
			j.unread("feed entry", err)
			continue
		}
		if err != nil {
			return nil, unavailable(err)
		}
		page = append(page, e)
	}
	if rows.Err() != nil {
		return nil, unavailable(rows.Err())
	}
	return page, nil
}

// leftOut returns the statuses that a query leaves out.
func leftOut(finalOnly bool) []int16 {
	out := []int16{}
	for _, s := range orders.Statuses() {
		if finalOnly && !s.Final() {
			out = append(out, int16(s))
		}
	}
	return out
}

func scanEntry(rows pgx.Rows) (e orders.FeedEntry, err error) {
	var seq int64
	var status int16
	var at time.Time
	var id [16]byte
	var record []byte
	if err = rows.Scan(&seq, &status, &at, &id, &record); err != nil {
		return e, err
	}
	e.Seq = uint64(seq)
	if e.Shipment, err = decodeShipment(id, record); err != nil {
		return e, err
	}
	e.Shipment.Status, e.Shipment.Updated = orders.Status(status), at.UTC()
	return e, nil
}

// Heads returns the newest number of each feed, of whichever node's entry.
func (j *Journal) Heads(ctx context.Context) (map[string]uint64, error) {
	all := make(map[string]uint64)
	err := j.read(ctx, func(rows pgx.Rows) error {
		for rows.Next() {
			var organisation string
			var seq int64
			if err := rows.Scan(&organisation, &seq); err != nil {
				return err
			}
			all[organisation] = uint64(seq)
		}
		return rows.Err()
	}, "select organisation, seq from feed_head")
	return all, err
}
