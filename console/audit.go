package console

import (
	"context"
	"log/slog"
	"net/http"
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
	all := []slog.Attr{slog.String("what", e.what), slog.String("outcome", e.outcome)}
	if u != nil {
		all = append(all, slog.String("user", u.Name), slog.String("roles", u.roles()))
	}
	all = append(all, slog.String("remote", r.RemoteAddr))
	if e.why != "" {
		all = append(all, slog.String("why", cut(e.why)))
	}
	c.log.LogAttrs(context.Background(), slog.LevelInfo, "console", append(all, attrs...)...)
}
