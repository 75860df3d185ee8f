package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"straks/orders"
)

var _ orders.Cursors = (*Journal)(nil)

func checkCursor(c *orders.Cursor) error {
	if c.Organisation == "" || c.Name == "" || strings.ContainsRune(c.Organisation+c.Name, 0) {
		return fmt.Errorf("journal: a cursor is called %q of %q", c.Name, c.Organisation)
	}
	return nil
}

func decodeCursor(organisation, name string, record []byte) (orders.Cursor, error) {
	c, _, err := readCursor(organisation, name, record)
	return c, err
}

// readCursor reads a record that may be written again.
func readCursor(organisation, name string, record []byte) (c orders.Cursor, newer []byte, err error) {
	c.Organisation, c.Name = organisation, name
	of, err := row{}.decode(fmt.Sprintf("cursor %q of %q", name, organisation), record, func(d *coder) { d.cursor(&c) })
	return c, of.newer, err
}

// Cursor implements orders.Cursors.
func (j *Journal) Cursor(ctx context.Context, organisation, name string) (c orders.Cursor, ok bool, err error) {
	if err := checkCursor(&orders.Cursor{Organisation: organisation, Name: name}); err != nil {
		return c, false, err
	}
	var record []byte
	err = j.pool.QueryRow(ctx, "select record from cursors where organisation = $1 and name = $2", organisation, name).Scan(&record)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, false, nil
	}
	if err != nil {
		return c, false, unavailable(err)
	}
	if c, err = decodeCursor(organisation, name, record); err != nil {
		return orders.Cursor{}, false, err
	}
	return c, true, nil
}

// Cursors implements orders.Cursors.
func (j *Journal) Cursors(ctx context.Context) (all []orders.Cursor, err error) {
	rows, err := j.pool.Query(ctx, `select organisation, name, record from cursors order by organisation collate "C", name collate "C"`)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var organisation, name string
		var record []byte
		if err := rows.Scan(&organisation, &name, &record); err != nil {
			return nil, unavailable(err)
		}
		c, err := decodeCursor(organisation, name, record)
		if err != nil {
			j.unread("cursor", err)
			continue
		}
		all = append(all, c)
	}
	if rows.Err() != nil {
		return nil, unavailable(rows.Err())
	}
	return all, nil
}

// PutCursors implements orders.Cursors.
func (j *Journal) PutCursors(ctx context.Context, put, remove []orders.Cursor) error {
	if len(put)+len(remove) == 0 {
		return nil
	}
	for _, c := range slices.Concat(put, remove) {
		if err := checkCursor(&c); err != nil {
			return err
		}
	}
	return j.detached(ctx, func(ctx context.Context, conn *connection) error {
		newer := make([][]byte, len(put))
		b := &pgx.Batch{}
		b.Queue("begin")
		for i, c := range put {
			b.Queue("select record from cursors where organisation = $1 and name = $2 for update", c.Organisation, c.Name).Query(func(rows pgx.Rows) error {
				records, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
				for _, record := range records { // one, or none
					_, newer[i], _ = readCursor(c.Organisation, c.Name, record) // one that can't be read is replaced
				}
				return err
			})
		}
		if err := conn.send(ctx, b); err != nil {
			return err
		}
		b = &pgx.Batch{}
		for i, c := range put {
			b.Queue(`insert into cursors (organisation, name, record) values ($1, $2, $3)
				on conflict (organisation, name) do update set record = excluded.record`,
				c.Organisation, c.Name, row{}.encode(func(e *coder) { e.cursor(&c) }, newer[i]...))
		}
		for _, c := range remove {
			b.Queue("delete from cursors where organisation = $1 and name = $2", c.Organisation, c.Name)
		}
		b.Queue("commit")
		return conn.send(ctx, b)
	})
}
