package api

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"straks/internal/eventually"
)

// largeEmail is an order with as many octets as an order may have.
func largeEmail(key string) string {
	body := strings.NewReplacer(`"k"`, fmt.Sprintf("%q", key), " post@example.org ", "post@example.org").Replace(emailBody)
	return body[:len(body)-1] + `,"x":"` + strings.Repeat("x", DefaultMaxBody-len(body)-7) + `"}`
}

// Large bodies of one organisation whose ends do not come use up its share of the octets, and no more: those
// beyond it are refused, and another organisation's orders, small and large, are placed.
func TestBodiesOfOneOrganisation(t *testing.T) {
	const clients = 80
	w := start(t)
	octets := w.api.api.octets
	end := make(chan struct{})
	var statuses [600]atomic.Int32
	var wg sync.WaitGroup
	for i := range clients {
		body := largeEmail(fmt.Sprint(i))
		conn := dial(t, w.server.Listener.Addr().String())
		wg.Go(func() {
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
				DefaultBasePath+"/future/orders/instant/email", ttdToken, len(body))
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				io.WriteString(conn, body[:len(body)-1]) // fails where the order is refused
				<-end
				io.WriteString(conn, body[len(body)-1:])
			}()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Error(err)
			} else {
				statuses[resp.StatusCode].Add(1)
				if resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "" {
					t.Error("a 503 without Retry-After")
				}
			}
			conn.Close()
			<-sent
		})
	}
	held := func() int32 { return int32(octets.inUse() / DefaultMaxBody) }
	eventually.True(t, "each body to be refused or held", func() bool { return statuses[503].Load()+held() == clients })
	if n := octets.inUse(); n > bodyOctets*3/4+DefaultMaxBody || held() < clients/2 {
		t.Errorf("one organisation holds %d octets", n)
	}
	if a := w.sendSMS("k", as(otherToken)); a.status != 201 {
		t.Errorf("another organisation's SMS: %d %s", a.status, a.body)
	}
	if a := w.do("POST", "/future/orders/instant/email", largeEmail("large"), as(otherToken)); a.status != 201 {
		t.Errorf("another organisation's large e-mail: %d %s", a.status, a.body)
	}
	close(end)
	wg.Wait()
	// Of those that end at once, a slow machine refuses some too.
	if taken, refused := statuses[201].Load(), statuses[503].Load(); taken+refused != clients || taken == 0 || refused == 0 {
		t.Errorf("%d were taken, %d refused", taken, refused)
	}
	eventually.True(t, "no octets to be held", func() bool { return octets.inUse() == 0 })
	if n := strings.Count(w.log.String(), `"msg":"request refused","reason":"octets","organisation":"ttd"`); n != 1 {
		t.Errorf("%d lines are logged, want one a minute", n)
	}
}

// An announced length allocates nothing: clients that have sent no octet of a large body hold little.
func TestLengthsThatAreOnlyAnnounced(t *testing.T) {
	const clients = 100
	w := start(t)
	for range clients {
		fmt.Fprintf(dial(t, w.server.Listener.Addr().String()), "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
			DefaultBasePath+"/future/orders/instant/email", ttdToken, DefaultMaxBody)
	}
	eventually.True(t, "all to wait for their bodies", func() bool { return w.api.api.octets.inUse() == clients*(firstRead+1) })
}
