package postgres

import "github.com/google/uuid"

// Levels is what this node knows of the journal without asking the database.
type Levels struct {
	ID           uuid.UUID `json:"id"`
	Schema       int       `json:"schema"`
	Node         int       `json:"node"`
	Keeper       bool      `json:"keeper"`
	LiveNodes    int       `json:"liveNodes"`
	Lease        float64   `json:"leaseSeconds"` // for how long this node may still submit without renewing its lease
	Offset       float64   `json:"clockOffsetSeconds"`
	Parked       int       `json:"parked"`
	ParkedOctets int64     `json:"parkedOctets"` // of their records
	ParkedMost   string    `json:"parkedMost,omitzero"`
}

// Levels returns what this node knows without asking the database.
func (j *Journal) Levels() Levels {
	l := Levels{ID: j.id, Schema: len(j.opt.schema()), Node: j.opt.Node, Keeper: j.lease.keeper(), LiveNodes: j.Alive(),
		Lease: max(j.lease.left().Seconds(), 0), Offset: j.lease.clockOffset().Seconds()}
	all, _ := j.counts.now()
	most := 0
	for carrier, one := range all {
		l.Parked += one.n
		l.ParkedOctets += one.octets
		if one.n > most {
			most, l.ParkedMost = one.n, carrier
		}
	}
	return l
}
