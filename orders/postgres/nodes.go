package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Node is a live node, as the others know it. What it can send over is as old as its last renewal of its lease.
type Node struct {
	ID      int      `json:"id"`
	URL     string   `json:"url,omitempty"` // where other nodes reach it; empty: nowhere
	Version string   `json:"version"`       // of its program
	Up      []string `json:"up"`            // the SMSCs and relays that it can send over

	Started time.Time         `json:"started"` // since when its process has run as this node
	Alike   map[string]string `json:"-"`       // Options.Alike, as it had it at its last renewal
}

// Nodes returns the live nodes, this one included, by id. It asks the database nothing: they are as old as this node's
// last look at them. While this node has no lease, it knows none.
func (j *Journal) Nodes() []Node {
	j.lease.mu.Lock()
	defer j.lease.mu.Unlock()
	if j.lease.until <= bootTime() {
		return nil
	}
	return j.lease.alive
}

// up returns what this node can send over.
func (j *Journal) up() []string {
	if j.opt.Up == nil {
		return []string{}
	}
	return append([]string{}, j.opt.Up()...)
}

// nodes asks for the live nodes.
func (l *lease) nodes(ctx context.Context) (alive []Node, err error) {
	b := &pgx.Batch{}
	b.Queue(lookAround).Query(func(rows pgx.Rows) error {
		alive, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Node])
		return err
	})
	return alive, l.conn.send(ctx, b)
}
