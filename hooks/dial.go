package hooks

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// dialTimeout bounds the connection to one receiver, name and addresses included.
const dialTimeout = 5 * time.Second

// metadata are addresses at which clouds give credentials to any program that asks, beyond the link-local ones.
var metadata = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200")}

// Loopback reports whether a URL's host is this machine by its very name: no DNS can lead elsewhere.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// addresses decides which addresses a receiver's name may lead to. The URL is the operator's, so that private
// networks are allowed; but the name's owner chooses the address, also later, and must not lead requests to what
// this machine alone can reach.
type addresses struct {
	networks []netip.Prefix // empty: all but the forbidden
	loopback bool           // the URL's own host is loopback
}

// allow returns why no connection to the address may be made, or nil.
func (a addresses) allow(ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	switch {
	case a.loopback && ip.IsLoopback():
		return nil
	case len(a.networks) > 0:
		if !slices.ContainsFunc(a.networks, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return fmt.Errorf("its name leads to %v, which is in none of its networks", ip)
		}
		return nil
	case ip.IsLoopback(), ip.IsUnspecified(), ip.IsMulticast(), ip.IsLinkLocalUnicast(), ip.Is4() && ip.As4()[0] == 0,
		ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}), slices.Contains(metadata, ip):
		return fmt.Errorf("its name leads to %v, to which nothing is sent: set networks to allow it", ip)
	}
	return nil
}

// addressError is a refusal by addresses.
type addressError struct{ reason error }

func (e *addressError) Error() string { return e.reason.Error() }

// dialer connects to a receiver, at allowed addresses only. The address is checked when the name is resolved.
func (a addresses) dialer() func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout, Control: func(_, addr string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(addr)
		if err == nil {
			err = a.allow(at.Addr())
		}
		if err != nil {
			return &addressError{err}
		}
		return nil
	}}
	return d.DialContext
}
