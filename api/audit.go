package api

import (
	"cmp"

	"github.com/google/uuid"

	"straks/internal/audit"
	"straks/orders"
)

// record adds an event of the caller's to the audit.
func (a *api) record(x *exchange, e audit.Event) {
	e.Organisation, e.Token, e.Peer, e.Trace = x.who.Organisation, x.who.Token, peer(x.r), traceOf(x.r.Header)
	if x.who.Certificate != "" {
		e.Certificate = x.who.Certificate + " " + x.who.Fingerprint
	}
	e.Outcome = cmp.Or(e.Outcome, "ok")
	a.audit.Record(e)
}

// recordOrder adds an order to the audit, with what its caller was told.
func (a *api) recordOrder(x *exchange, s *orders.Shipment, created bool, err error) {
	e := audit.Event{Action: audit.Order, Outcome: "repeated"}
	switch {
	case err != nil:
		e.Outcome = cmp.Or(problemOf(err).outcome, "error")
	case created:
		e.Outcome = "created"
	}
	if s.ID != (uuid.UUID{}) {
		e.Object, e.Reason = s.ID.String(), s.Status.String()
	}
	a.record(x, e)
}
