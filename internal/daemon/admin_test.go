package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/bolt/bolttest"
	"straks/orders/orderstest"
)

// TestBackupThatFails: a copy that can't be made is refused with the reason.
func TestBackupThatFails(t *testing.T) {
	j := bolttest.New(t)
	c, err := j.Copy(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, w := httptest.NewRequest("GET", "/journal/backup", nil), httptest.NewRecorder()
	backupHandler(j, slog.New(slog.DiscardHandler), BackupTimeout, func() {})(w, r)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "another backup") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestBackupIsNotHeldUp: a client that asks for a copy and does not read it loses its
// connection, and the journal's snapshot is released.
func TestBackupIsNotHeldUp(t *testing.T) {
	j := bolttest.New(t)
	var wg sync.WaitGroup
	for range 1000 { // a megabyte: more than the buffers in between hold
		wg.Go(func() {
			in := orderstest.AcceptRequest(uuid.NewString())
			in.SendersReference = strings.Repeat("x", 1024)
			_, _, err := j.Accept(t.Context(), in)
			for errors.Is(err, orders.ErrUnavailable) && t.Context().Err() == nil { // a slow disk
				_, _, err = j.Accept(t.Context(), in)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ended := make(chan any, 1)
	admin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- recover() }()
		backupHandler(j, slog.New(slog.DiscardHandler), 50*time.Millisecond, func() {})(w, r)
	}))
	admin.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(4096)
		return ctx
	}
	admin.Start()
	defer admin.Close()
	sleeper, err := net.Dial("tcp", admin.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer sleeper.Close()
	sleeper.(*net.TCPConn).SetReadBuffer(4096)
	io.WriteString(sleeper, "GET / HTTP/1.1\r\nHost: admin\r\n\r\n")
	select {
	case cut := <-ended:
		if cut != http.ErrAbortHandler {
			t.Errorf("the copy was completed, though it was not read (%v)", cut)
		}
	case <-time.After(5 * time.Minute):
		t.Error("the copy waits for its reader")
	}
}
