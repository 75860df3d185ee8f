package smsctest

import "net"

// reservePlain picks the port by listening on it for a moment.
func reservePlain(addr string) (bound string, release func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	bound = l.Addr().String()
	return bound, func() {}, l.Close()
}
