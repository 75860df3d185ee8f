package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"straks/orders"
	"straks/orders/ledger"
	"straks/orders/sealed"
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
func (j *Journal) Feed(ctx context.Context, q orders.FeedQuery) ([]orders.FeedEntry, error) {
	page, server, err := j.page(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(page) > 0 {
		if err := j.keepFeed(ctx, q.Organisation, max(page[0].Seq, page[len(page)-1].Seq), server); err != nil {
			return nil, err
		}
		return page, nil
	}
	if q.Descending {
		return nil, nil
	}
	newest, server, err := j.newest(ctx, q.Organisation)
	if err == nil && q.Seq > newest {
		if err = j.barrier.wait(ctx, server); err == nil {
			err = &orders.BeyondNewestError{Newest: newest}
		}
	}
	return nil, err
}

// newest returns the newest number of a feed, and the server that was asked.
func (j *Journal) newest(ctx context.Context, organisation string) (newest uint64, of serverID, err error) {
	var seq int64
	if of, err = j.readRow(ctx, []any{&seq}, readHead, organisation); err != nil {
		return 0, of, unavailable(err)
	}
	return uint64(seq), of, nil
}

// keepFeed returns when no failover can take back the entry of a feed that was read, nor those before it. One write serves
// all entries that were there by then: the pages up to them need no other.
func (j *Journal) keepFeed(ctx context.Context, organisation string, seq uint64, read serverID) error {
	if j.heads.isKept(organisation, seq) {
		return nil
	}
	newest, server, err := j.newest(ctx, organisation)
	if err == nil && server != read {
		err = errMoved
	}
	if err == nil {
		err = j.barrier.wait(ctx, server)
	}
	if err == nil {
		j.heads.keep(organisation, newest)
	}
	return err
}

// page returns a page as a server has it, and which one that is.
func (j *Journal) page(ctx context.Context, q orders.FeedQuery) (page []orders.FeedEntry, of serverID, err error) {
	if q.Limit <= 0 {
		return nil, 0, nil
	}
	sql, seq := readFeed, min(q.Seq, maxSeq)
	if q.Descending {
		sql = readFeedBack
		if seq == 0 {
			seq = maxSeq
		}
	}
	c, err := j.pool.Acquire(ctx)
	if err != nil {
		return nil, 0, unavailable(err)
	}
	defer c.Release()
	rows, err := c.Query(ctx, sql, q.Organisation, int64(seq), q.Limit, leftOut(q.FinalOnly))
	if err != nil {
		return nil, 0, unavailable(err)
	}
	defer rows.Close()
	box := j.box()
	for rows.Next() {
		e, err := scanEntry(box, rows)
		if errors.Is(err, ledger.ErrCorrupt) {
			j.unread("feed entry", err)
			continue
		}
		if err != nil {
			return nil, 0, unavailable(err)
		}
		page = append(page, e)
	}
	if rows.Err() != nil {
		return nil, 0, unavailable(rows.Err())
	}
	return page, serverOf(c.Conn()), nil
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

func scanEntry(box *sealed.Box, rows pgx.Rows) (e orders.FeedEntry, err error) {
	var seq int64
	var status int16
	var at time.Time
	var id [16]byte
	var record []byte
	if err = rows.Scan(&seq, &status, &at, &id, &record); err != nil {
		return e, err
	}
	e.Seq = uint64(seq)
	if e.Shipment, err = decodeShipment(box, id, record); err != nil {
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
