package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"

	"straks/internal/audit"
)

// openAudit opens the audit, nil where there is none, and records this start.
func (d *Daemon) openAudit() error {
	c := d.config().Audit
	if c.Dir == "" {
		return nil
	}
	if err := os.Mkdir(c.Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("audit.dir: %w", err)
	}
	var err error
	if d.audit, err = audit.New(audit.Config{Dir: c.Dir, Retention: c.Retention}, d.log, d.registry); err != nil {
		return err
	}
	version, _, _ := Version()
	d.audit.Record(audit.Event{Action: audit.Start, Object: version, Outcome: "configuration " + d.config().Digest()})
	for _, t := range d.config().Tokens() {
		d.audit.Record(audit.Event{Action: audit.Token, Organisation: t.Organisation, Token: t.Name, Outcome: "valid",
			Object: t.SHA256[:16], Reason: strings.Join(t.Scopes, " ")})
	}
	return nil
}

type peerKey struct{}

// withPeer notes which user of this machine is at the other end of a unix socket.
func withPeer(ctx context.Context, nc net.Conn) context.Context {
	if inner, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = inner.NetConn()
	}
	if socket, ok := nc.(*net.UnixConn); ok {
		return context.WithValue(ctx, peerKey{}, socketUser(socket))
	}
	return ctx
}

// operated records what an operator did over the admin listener: user is whom the kernel names on a unix socket, and the
// operator's own word (by) is added where it is another: of root it is the one who called sudo.
func (d *Daemon) operated(r *http.Request, e audit.Event, by string) {
	user, socket := r.Context().Value(peerKey{}).(string)
	e.User, e.Peer = user, "unix"
	if !socket {
		e.Peer = r.RemoteAddr
	}
	if by != "" && by != user {
		e.User = strings.TrimSpace(user + " as " + by)
	}
	d.audit.Record(e)
}
