package postgres

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// level is how many reports of a carrier wait, and the octets of their records.
type level struct {
	n      int
	octets int64
}

// levels are those of all carriers. A map is not changed once it is published.
type levels map[string]level

// with returns the levels after reports of a carrier came or left.
func (l levels) with(carrier string, n, octets int) levels {
	l = maps.Clone(l)
	if l == nil {
		l = make(levels)
	}
	l[carrier] = level{max(l[carrier].n+n, 0), max(l[carrier].octets+int64(octets), 0)}
	return l
}

// counts is what the bounds of the journal are held against: how many reports wait, and how many suppressions there
// are. It follows what this node writes, and is counted again every so often, for what other nodes and retention do.
type counts struct {
	mu           sync.Mutex
	levels       levels
	suppressions int
}

const countEvery = time.Minute

func (c *counts) now() (levels, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.levels, c.suppressions
}

func (c *counts) set(l levels, suppressions int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.levels, c.suppressions = l, suppressions
}

// count counts in the database.
func (j *Journal) count(ctx context.Context) error {
	all := make(levels)
	var suppressions int
	b := &pgx.Batch{}
	b.Queue("select carrier, count(*), coalesce(sum(octets), 0)::bigint from parked group by carrier").Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var carrier string
			var l level
			if err := rows.Scan(&carrier, &l.n, &l.octets); err != nil {
				return err
			}
			all[carrier] = l
		}
		return rows.Err()
	})
	b.Queue("select count(*) from blocked where gone is not null and suppression").QueryRow(func(row pgx.Row) error { return row.Scan(&suppressions) })
	if err := j.pool.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	j.counts.set(all, suppressions)
	return nil
}

// heads are what this node knows of the heads of feeds: whose feed has one, and how far failovers change nothing.
type heads struct {
	mu    sync.Mutex
	known map[string]bool
	kept  map[string]uint64 // a number up to which a standby has the entries
}

func (h *heads) unknown(names []string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return h.known[name] })
}

func (h *heads) know(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil {
		h.known = make(map[string]bool)
	}
	h.known[name] = true
}

// forget forgets whose feed has a head, and which entries are safe: a failover to a server that lacked some has taken heads back.
func (h *heads) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known, h.kept = nil, nil
}

func (h *heads) isKept(name string, seq uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return seq <= h.kept[name]
}

func (h *heads) keep(name string, seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.kept == nil {
		h.kept = make(map[string]uint64)
	}
	h.kept[name] = max(h.kept[name], seq)
}
