package freeport

import (
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// reserve binds a socket to the port that never listens. Linux allows a listener beside that socket, and does not hand the
// port out as a free one.
func reserve(addr string) (bound string, release func(), err error) {
	host, _, _ := net.SplitHostPort(addr)
	tcp, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil || tcp.IP.To4() == nil {
		return plain(addr) // IPv6
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("socket: %w", err)
	}
	sa := &syscall.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, sa)
	}
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	if err != nil {
		syscall.Close(fd)
		return "", nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	port := name.(*syscall.SockaddrInet4).Port
	return net.JoinHostPort(host, strconv.Itoa(port)), func() { syscall.Close(fd) }, nil
}
