package connlimit

import (
	"net"
	"net/netip"
)

// Address returns the address that shares a bound with others: an IPv4 address, or the /64
// of an IPv6 address, which is what one subscriber has. It is the zero Prefix for other
// networks, like unix sockets.
func Address(remote net.Addr) netip.Prefix {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return Prefix(tcp.AddrPort().Addr())
}

// Prefix returns the address that shares a bound with others, of the address of one connection.
func Prefix(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	prefix, err := ip.Prefix(bits)
	if err != nil { // no address at all
		return netip.Prefix{}
	}
	return prefix
}

// peer is an address with open connections.
type peer struct {
	open       int
	authorized int // of those
	idle       queues
}

// bound returns how many connections the peer may have; 0: as many as there are.
func (p *peer) bound(l Limits) int {
	if p.authorized > 0 {
		return l.AuthorizedAddress
	}
	return l.Address
}
