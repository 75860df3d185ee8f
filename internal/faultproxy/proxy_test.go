package faultproxy

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// echo returns the address of a server that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func listen(t *testing.T) *Proxy {
	t.Helper()
	p, err := Listen("tcp", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func exchange(t *testing.T, c net.Conn, word string) {
	t.Helper()
	io.WriteString(c, word)
	got := make([]byte, len(word))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != word {
		t.Fatalf("%q came back as %q, %v", word, got, err)
	}
}

// TestDrop: what is sent while a direction drops arrives after it, and not before.
func TestDrop(t *testing.T) {
	for name, set := range map[string]func(*Proxy, Fault){"to server": (*Proxy).ToServer, "to client": (*Proxy).ToClient} {
		t.Run(name, func(t *testing.T) {
			p := listen(t)
			c := dial(t, p)
			exchange(t, c, "before")
			set(p, Fault{Drop: true})
			io.WriteString(c, "held")
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if n, err := c.Read(make([]byte, 1)); n != 0 {
				t.Fatalf("%d octets came through, %v", n, err)
			}
			c.SetReadDeadline(time.Time{})
			p.Heal()
			got := make([]byte, 4)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "held" {
				t.Fatalf("%q, %v", got, err)
			}
		})
	}
}

func TestDelay(t *testing.T) {
	p := listen(t)
	c := dial(t, p)
	p.ToServer(Fault{Delay: 30 * time.Millisecond})
	began := time.Now()
	exchange(t, c, "late")
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

func TestReset(t *testing.T) {
	p := listen(t)
	c := dial(t, p)
	exchange(t, c, "before")
	p.Reset()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection that was open: %v", err)
	}
	if again, err := net.Dial("tcp", p.Addr()); err == nil {
		if _, err := again.Read(make([]byte, 1)); err == nil {
			t.Error("a new connection works")
		}
		again.Close()
	}
	p.Heal()
	exchange(t, dial(t, p), "after")
}

// TestEnds: an end that closes its half is seen by the other, which may still answer.
func TestEnds(t *testing.T) {
	c := dial(t, listen(t))
	exchange(t, c, "word")
	c.(*net.TCPConn).CloseWrite()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d octets, %v", n, err)
	}
}

// TestTap: a tap sees what passes, and holds back what it wants to, in one connection and one direction.
func TestTap(t *testing.T) {
	p := listen(t)
	one, other := dial(t, p), dial(t, p)
	exchange(t, one, "before")
	release, seen := make(chan struct{}), make(chan Chunk, 1)
	p.Tap(func(c Chunk) <-chan struct{} {
		if c.ToServer && string(c.Octets) == "held" {
			seen <- Chunk{c.Conn, true, nil}
			return release
		}
		return nil
	})
	io.WriteString(one, "held")
	if c := <-seen; c.Conn != 1 {
		t.Errorf("connection %d", c.Conn)
	}
	exchange(t, other, "other")
	one.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, _ := one.Read(make([]byte, 1)); n != 0 {
		t.Fatal("it was not held back")
	}
	one.SetReadDeadline(time.Time{})
	close(release)
	got := make([]byte, 4)
	if _, err := io.ReadFull(one, got); err != nil || string(got) != "held" {
		t.Fatalf("%q, %v", got, err)
	}
}
