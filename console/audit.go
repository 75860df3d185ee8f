package console

import (
	"context"
	"log/slog"
	"net/http"

	"straks/internal/audit"
)

// event is one line of the audit.
type event struct {
	what    string // "login", "find", "message", "lift", "pause", …
	outcome string // "ok", "refused", "failed", …
	why     string // in the user's words
}

// maxWhy bounds a user's words in the log, in octets.
const maxWhy = 200

// audit writes who did what, with what outcome, and why. No recipient may be among the attributes.
func (c *Console) audit(r *http.Request, u *User, e event, attrs ...slog.Attr) {
	e.why = masked(cut(e.why))
	all := []slog.Attr{slog.String("what", e.what), slog.String("outcome", e.outcome)}
	if u != nil {
		all = append(all, slog.String("user", u.Name), slog.String("roles", u.roles()))
	}
	all = append(all, slog.String("remote", clientOf(r)))
	if e.why != "" {
		all = append(all, slog.String("why", e.why))
	}
	c.log.LogAttrs(context.Background(), slog.LevelInfo, "console", append(all, attrs...)...)
	c.record(r, u, e, attrs)
}

// record is audit for the daemon's record.
func (c *Console) record(r *http.Request, u *User, e event, attrs []slog.Attr) {
	done := audit.Event{Action: audit.Console, Peer: clientOf(r), Object: e.what, Outcome: e.outcome, Reason: e.why}
	if u != nil {
		done.User = u.Name
	}
	for _, a := range attrs {
		switch a.Key {
		case "shipment", "carrier":
			done.Object += " " + a.Value.String()
		case "organisation":
			done.Organisation = a.Value.String()
		case "found":
			done.Count = int(a.Value.Int64())
		}
	}
	c.recorder.Record(done)
}
