package freeport

import (
	"net"
	"testing"
)

// TestReserve: listeners may come and go on a port that is reserved, and nobody else gets it as a free one.
func TestReserve(t *testing.T) {
	addr, release, err := Reserve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for range 2 {
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
