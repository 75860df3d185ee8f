package freeport

import (
	"net"
	"testing"
)

// TestReserve: listeners may come and go on a port that is reserved, and nobody else gets it as a free one.
func TestReserve(t *testing.T) {
	addr := Until(t)
	for range 2 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Error("a port where nobody listens takes a connection")
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if l.Addr().String() != addr {
			t.Errorf("listens on %v, not %s", l.Addr(), addr)
		}
		l.Close()
	}
	if _, _, err := Reserve("127.0.0.1:none"); err == nil {
		t.Error("no port was reserved")
	}
}
