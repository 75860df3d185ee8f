package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"straks/smpp"
	"straks/smpp/session"
)

// bindCheck says whether the SMSC takes our binds. A running daemon's own binds count: another bind could take
// one away from it, where the SMSC bounds their number. sealed: the password is not known.
func (p *Plan) bindCheck(ctx context.Context, s smpp.SMSC, sealed bool) []Finding {
	if p.Running != nil {
		return p.runningBinds(s)
	}
	if p.Occupied != "" {
		return []Finding{found(Unknown, "No bind was made: %s", p.Occupied)}
	}
	if sealed {
		return []Finding{found(Unknown, "The password can't be read, so no bind was made.")}
	}
	addresses := append([]string{s.Addr}, s.MoreAddrs...)
	var all []Finding
	for i, err := range smpp.Probe(ctx, s) {
		if err != nil {
			all = append(all, bindFault(addresses[i], err))
			continue
		}
		f := found(OK, "%s took a bind as %q, which was given up at once.", addresses[i], s.SystemID)
		if i == 0 {
			f.Level = Note
			f.Says += " If another straks or a standby has this account, and the SMSC allows one bind, that one may have lost its bind."
		}
		all = append(all, f)
	}
	return all
}

// bindFault is the finding of a bind that failed.
func bindFault(addr string, err error) Finding {
	f := found(Fix, "%s: %s", addr, sentence(err))
	var refusal *session.BindError
	switch {
	case !errors.As(err, &refusal):
		f.Says += " Check addr and tls, and that no firewall is between; carriers let in known addresses only."
	case refusal.Credentials():
		f.Says += " Check system_id, the password's file and system_type."
	default:
		f.Says += " Ask the carrier whether the account allows another bind now."
	}
	return f
}

// runningBinds is what the daemon says of the binds of an SMSC.
func (p *Plan) runningBinds(s smpp.SMSC) []Finding {
	var up, down []string
	for _, b := range p.Running.SMSC {
		switch {
		case b.SMSC != s.Name:
		case b.State == smpp.StateBound:
			up = append(up, b.Bind)
		default:
			down = append(down, fmt.Sprintf("%s is %s (%s)", b.Bind, b.State, b.Reason))
		}
	}
	switch {
	case len(up)+len(down) == 0:
		f := found(Fix, "The running straks does not know this SMSC: it was started with another configuration.")
		f.Run = []string{"systemctl restart straks"}
		return []Finding{f}
	case len(down) > 0:
		return []Finding{found(Fix, "The running straks says: %s.", strings.Join(down, "; "))}
	}
	return []Finding{found(OK, "Bound, says the running straks: %s.", strings.Join(up, ", "))}
}
