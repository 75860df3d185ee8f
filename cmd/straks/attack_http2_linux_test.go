package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
)

// TestReadersThatReadNothing over HTTP/2, where a stream's flow control lets nothing through.
func TestStreamsThatReadNothing(t *testing.T) {
	const readers, bound = 1000, 100 << 20
	tg := attackedOverTLS(t, 200)
	most := tg.memory()
	t.Logf("before: %d KiB", most>>10)
	for n := 0; n < readers; {
		n += tg.openStreams(min(250, readers-n))
		most = max(most, tg.memory())
	}
	if n := tg.gauge("straks_http_requests_in_flight"); n < readers {
		t.Errorf("%v requests are in flight: the others hold nothing", n)
	}
	most = max(most, tg.memory())
	t.Logf("with %d readers: %d KiB", readers, most>>10)
	if most > bound && !raceDetector {
		t.Errorf("%d readers hold %d MiB; want less than %d", readers, most>>20, bound>>20)
	}
	if _, err := tg.other.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); err != nil {
		t.Errorf("an order of another organisation: %v", err)
	}
}

// openStreams asks for pages on a connection with so many streams, whose windows are closed. It returns how many
// of the answers have begun with 200; the machine may be too slow for all.
func (tg *target) openStreams(streams int) (ok int) {
	conn, err := tls.Dial("tcp", tg.p.api, &tls.Config{RootCAs: tg.tls.TLSClientConfig.RootCAs, NextProtos: []string{"h2"}})
	if err != nil {
		tg.T.Fatal(err)
	}
	tg.T.Cleanup(func() { conn.Close() })
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"},
		{":path", "/notifications/api/v1/future/shipment/feed?changes=all"}, {"authorization", "Bearer " + tg.Token}} {
		encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	for i := range uint32(streams) {
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
		for answered := false; !answered; {
			frame, err := framer.ReadFrame()
			if err != nil {
				tg.T.Fatal(err)
			}
			if h, isHeaders := frame.(*http2.MetaHeadersFrame); isHeaders {
				answered = true
				if h.PseudoValue("status") == "200" {
					ok++
				}
			}
		}
	}
	return ok
}

// Clients with a token that send all of a large body except its end hold no more than their organisation's share of
// the octets, and another organisation's orders are placed.
func TestBodiesThatDoNotEnd(t *testing.T) {
	for name, version := range map[string]int{"HTTP/1.1": 1, "HTTP/2": 2} {
		t.Run(name, func(t *testing.T) {
			const clients, size, bound = 500, 1 << 20, 256 << 20
			tg := attackedOverTLS(t, 1)
			t.Logf("before: %d KiB", tg.memory()>>10)
			end := make(chan struct{})
			var wg sync.WaitGroup
			t.Cleanup(func() {
				close(end)
				wg.Wait()
			})
			var refused atomic.Int32
			for i := range clients {
				if i%100 == 0 {
					tg.tls = tg.tls.Clone() // on HTTP/2, a connection for each hundred
					tg.tls.Protocols = new(http.Protocols)
					tg.tls.Protocols.SetHTTP1(version == 1)
					tg.tls.Protocols.SetHTTP2(version == 2)
					tg.tls.TLSClientConfig.NextProtos = nil
				}
				transport := tg.tls
				wg.Go(func() {
					text := `{"idempotencyId":"` + fmt.Sprint(i) + `","x":"`
					body := io.MultiReader(strings.NewReader(text), io.LimitReader(letters{}, int64(size-1-len(text))), until{end})
					r, _ := http.NewRequest("POST", "https://"+tg.p.api+"/notifications/api/v1/future/orders/instant/email", body)
					r.ContentLength = size
					r.Header.Set("Authorization", "Bearer "+tg.Token)
					r.Header.Set("Content-Type", "application/json")
					resp, err := transport.RoundTrip(r) // an error where the connection ended before the refusal was read
					if err == nil {
						resp.Body.Close()
					}
					if err == nil && resp.StatusCode != http.StatusServiceUnavailable {
						t.Errorf("answered %s", resp.Status)
					}
					refused.Add(1)
				})
			}
			most, peak := 0, 0.0
			eventually.True(t, "each body to be refused or held", func() bool {
				held := tg.gauge("straks_http_body_octets")
				most, peak = max(most, tg.memory()), max(peak, held)
				return int(refused.Load())+int(held/size) == clients
			})
			t.Logf("with %d clients: %d KiB, %d refused", clients, most>>10, refused.Load())
			if most > bound && !raceDetector {
				t.Errorf("the daemon holds %d MiB; want less than %d", most>>20, bound>>20)
			}
			if limit := tg.gauge("straks_http_body_octets_limit"); peak < limit/4 || peak > limit*4/5 { // a body that comes slowly ends by itself
				t.Errorf("one organisation held %.0f of %.0f octets", peak, limit)
			}
			if _, err := tg.other.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); err != nil {
				t.Errorf("an order of another organisation: %v", err)
			}
		})
	}
}

// letters is a text without an end.
type letters struct{}

func (letters) Read(b []byte) (int, error) { return copy(b, strings.Repeat("x", len(b))), nil }

// until is a reader that fails when the channel is closed.
type until struct{ end chan struct{} }

func (u until) Read([]byte) (int, error) {
	<-u.end
	return 0, net.ErrClosed
}
