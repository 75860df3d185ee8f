// Package freeport keeps a free port for a listener that comes later, or comes and goes, such as one of another process.
package freeport

import "net"

// Reserve reserves addr ("127.0.0.1:0" picks a port) until release is called, and returns it with its port. Anybody may
// listen on it with SO_REUSEADDR, as Go does, but it is not handed out as a free one. Where the system can't reserve,
// the port is just one that was free a moment ago.
func Reserve(addr string) (bound string, release func(), err error) { return reserve(addr) }

// A Test is a testing.TB; programs that reserve ports have no use for that package.
type Test interface {
	Helper()
	Cleanup(func())
	Fatal(...any)
}

// Until returns an address on 127.0.0.1 that is reserved until the test ends. Until something listens there,
// connections are refused.
func Until(t Test) string {
	t.Helper()
	addr, release, err := Reserve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addr
}

// plain picks a port by listening on it for a moment.
func plain(addr string) (bound string, release func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	bound = l.Addr().String()
	return bound, func() {}, l.Close()
}
