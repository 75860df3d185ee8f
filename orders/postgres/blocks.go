package postgres

import (
	"context"
	"encoding/hex"
	"fmt"

	"straks/orders"
)

// Blocks implements orders.Journal. Its pages follow the keys, which are hashes.
func (j *Journal) Blocks(ctx context.Context, q orders.BlockQuery) (page orders.BlockPage, err error) {
	if q.Recipient != "" {
		all := blockForms(j.box(), q.Organisation, q.Channel, orders.BlockForm(q.Channel, q.Recipient))
		_, err = j.blocks(ctx, "select hash, record from blocked where hash = any($1::bytea[]) limit $2", octets(all), 1, &page)
		page.Next = ""
		return page, err
	}
	after, err := hex.DecodeString(q.After)
	if err != nil {
		return page, fmt.Errorf("the page %q is of no block list", q.After)
	}
	var all orders.BlockPage
	n, err := j.blocks(ctx, "select hash, record from blocked where hash > $1 order by hash limit $2", after, q.Limit+1, &all)
	if err != nil {
		return page, err
	}
	if n > q.Limit {
		page.Next = all.Next
	}
	for _, b := range all.Blocks {
		if q.Organisation == "" || b.Organisation == q.Organisation {
			page.Blocks = append(page.Blocks, b)
		}
	}
	return page, nil
}

// blocks reads entries, all but the last one of more than limit-1 into a page, and returns how many there are.
func (j *Journal) blocks(ctx context.Context, sql string, from any, limit int, page *orders.BlockPage) (n int, err error) {
	rows, err := j.pool.Query(ctx, sql, from, limit)
	if err != nil {
		return 0, unavailable(err)
	}
	defer rows.Close()
	box := j.box()
	for rows.Next() {
		var h, record []byte
		if err := rows.Scan(&h, &record); err != nil {
			return n, unavailable(err)
		}
		if n++; n == limit && limit > 1 {
			break
		}
		page.Next = hex.EncodeToString(h)
		if b, err := decodeBlock(box, hash(h), record); err != nil {
			j.unread("entry of a block list", err)
		} else {
			page.Blocks = append(page.Blocks, b)
		}
	}
	if rows.Err() != nil {
		return n, unavailable(rows.Err())
	}
	return n, nil
}
