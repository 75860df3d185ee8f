package bench

import (
	"encoding/binary"
	"io"
	"net"
	"syscall"
	"time"
)

// arrivals reads from a connection and knows since when the kernel had what it read last
// (SO_TIMESTAMPNS): on a machine that is busy a process comes to read it milliseconds later.
type arrivals struct {
	raw  syscall.RawConn
	room [64]byte
	last time.Time
}

func newArrivals(conn net.Conn) (*arrivals, error) {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	})
	if err == nil {
		err = refused
	}
	return &arrivals{raw: raw}, err
}

func (a *arrivals) Read(b []byte) (n int, err error) {
	var told int
	broken := a.raw.Read(func(fd uintptr) bool {
		n, told, _, _, err = syscall.Recvmsg(int(fd), b, a.room[:], syscall.MSG_DONTWAIT)
		return err != syscall.EAGAIN
	})
	switch {
	case broken != nil:
		return 0, broken
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	a.last = arrival(a.room[:told])
	return n, nil
}

// arrival reads the time stamp among what recvmsg told beside the data; without one it is now.
func arrival(told []byte) time.Time {
	messages, err := syscall.ParseSocketControlMessage(told)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		if m.Header.Level == syscall.SOL_SOCKET && m.Header.Type == syscall.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			word := func(at int) int64 { return int64(binary.NativeEndian.Uint64(m.Data[at:])) }
			return time.Unix(word(0), word(8))
		}
	}
	return time.Now()
}
