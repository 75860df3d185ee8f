package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const halfAnAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"

// silentDaemon returns the address of a server that reads one request, writes part of
// an answer and then nothing.
func silentDaemon(t *testing.T, says string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, says)
		}
		io.Copy(io.Discard, c) // until the client gives up
	}()
	t.Cleanup(func() {
		ln.Close()
		<-ended
	})
	return ln.Addr().String()
}

// TestFetchOfSilence: a copy that does not arrive, or stops arriving, is given up.
func TestFetchOfSilence(t *testing.T) {
	for _, says := range []string{"", halfAnAnswer} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		c, err := adminAt(silentDaemon(t, says))
		if err != nil {
			t.Fatal(err)
		}
		err = c.getLong(ctx, "/journal/backup", io.Discard, 50*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), "nothing arrived for 50ms") {
			t.Errorf("after %q: %v", says, err)
		}
	}
}

// TestFetchAsksTheDaemonOnly: neither the target of a redirect nor the environment's proxy.
func TestFetchAsksTheDaemonOnly(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	names := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer names.Close()
	c, err := adminAt(names.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.get(t.Context(), "/status", io.Discard, 1<<20); err == nil || asked {
		t.Errorf("%v; another was asked: %v", err, asked)
	}
	if c.http.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy is asked for the way")
	}
}

// slow is a writer that takes its time for each write.
type slow time.Duration

func (s slow) Write(b []byte) (int, error) {
	time.Sleep(time.Duration(s))
	return len(b), nil
}

// TestIdleWriter: a steady answer may take any time, and so may the reader of the copy.
func TestIdleWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fired atomic.Bool
		p := idleWriter{slow(time.Minute), time.AfterFunc(time.Second, func() { fired.Store(true) }), time.Second}
		for range 5 {
			time.Sleep(999 * time.Millisecond)
			p.Write([]byte("x"))
		}
		if synctest.Wait(); fired.Load() {
			t.Error("given up while it came")
		}
		time.Sleep(time.Second)
		if synctest.Wait(); !fired.Load() {
			t.Error("still waited for")
		}
	})
}
