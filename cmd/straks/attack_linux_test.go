package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// target is a daemon in a process of its own with two organisations. The first one, ttd, attacks.
type target struct {
	*daemontest.World
	p     *process
	other *client.Client  // of the second one
	tls   *http.Transport // speaks HTTP/2 with the daemon; nil: its API is without TLS
}

// attacked starts a daemon in which ttd has n orders whose references are as long as they may be.
func attacked(t *testing.T, n int) *target { return attackedOver(t, nil, n) }

// attackedOverTLS is attacked with an API that speaks TLS.
func attackedOverTLS(t *testing.T, n int) *target {
	lender := httptest.NewUnstartedServer(nil)
	lender.EnableHTTP2 = true
	lender.StartTLS()
	lender.Close()
	return attackedOver(t, lender, n)
}

func attackedOver(t *testing.T, lender *httptest.Server, n int) *target {
	token := rand.Text()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, fmt.Sprintf(
		"[[organisation]]\nname = \"other\"\n[[organisation.token]]\nname = \"backend\"\nsha256 = \"%x\"\n", sha256.Sum256([]byte(token))))
	w.Configure("[api]", "read_timeout = \"10m\"\nwrite_timeout = \"10m\"") // longer than any test: a closed connection holds nothing
	scheme, hc := "http", (*http.Client)(nil)
	if lender != nil {
		lend(w, lender)
		scheme, hc = "https", lender.Client()
	}
	tg := &target{World: w, p: startProcess(w)}
	t.Cleanup(func() { tg.p.kill() })
	eventually.True(t, "the daemon to be ready", func() bool { return tg.p.ready() == "" })
	var err error
	if w.Client, err = client.New(scheme+"://"+tg.p.api+"/notifications/api/v1", w.Token, hc); err != nil {
		t.Fatal(err)
	}
	if tg.other, err = client.New(scheme+"://"+tg.p.api+"/notifications/api/v1", token, hc); err != nil {
		t.Fatal(err)
	}
	if hc != nil {
		tg.tls = hc.Transport.(*http.Transport)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := g; i < n; i += 8 {
				o := daemontest.SMS(fmt.Sprint("fill", i), "+4799999999")
				o.SendersReference = strings.Repeat("r", 1024)
				if _, err := w.Client.SendSMS(t.Context(), o); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	eventually.True(t, "the feed to have two entries of each order", func() bool {
		last, err := w.Client.Feed(t.Context(), client.FeedQuery{Seq: uint64(2*n - 1), All: true})
		return err == nil && len(last) > 0
	})
	return tg
}

// lend gives the daemon the certificate of a server, whose client trusts it.
func lend(w *daemontest.World, lender *httptest.Server) {
	w.T.Helper()
	pair := lender.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		w.T.Fatal(err)
	}
	for file, block := range map[string]pem.Block{"api.crt": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "api.key": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(w.Dir, file), pem.EncodeToMemory(&block), 0o600); err != nil {
			w.T.Fatal(err)
		}
	}
	w.Configure("[api]", fmt.Sprintf("tls_cert_file = %q\ntls_key_file = %q", filepath.Join(w.Dir, "api.crt"), filepath.Join(w.Dir, "api.key")))
}

// page is the request for a full page of ttd's feed.
func (tg *target) page() string {
	return "GET /notifications/api/v1/future/shipment/feed?changes=all HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + tg.Token + "\r\n\r\n"
}

// gauge returns the sum of a metric of the daemon.
func (tg *target) gauge(name string) (sum float64) {
	resp, err := http.Get("http://" + tg.p.metrics + "/metrics")
	if err != nil {
		tg.T.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if series, value, ok := strings.Cut(lines.Text(), " "); ok && strings.Split(series, "{")[0] == name {
			n, _ := strconv.ParseFloat(value, 64)
			sum += n
		}
	}
	return sum
}

// memory returns how many octets of the daemon are resident, without pages of files such as the journal.
func (tg *target) memory() (octets int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tg.p.cmd.Process.Pid))
	if err != nil {
		tg.T.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	if _, err := fmt.Sscan(rest, &octets); err != nil {
		tg.T.Fatal(err)
	}
	return octets << 10
}

// A thousand clients that ask for full pages and do not read them hold little memory: neither their pages nor what
// was needed to make them.
func TestReadersThatReadNothing(t *testing.T) {
	const bound = 100 << 20
	readers := 1000
	if raceDetector { // whose memory says nothing of the daemon's
		readers = 200
	}
	tg := attacked(t, 200)
	most := tg.memory()
	t.Logf("before: %d KiB", most>>10)
	for n := 0; n < readers; {
		c, err := net.Dial("tcp", tg.p.api)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.(*net.TCPConn).SetReadBuffer(16 << 10) // the less the client's kernel takes, the more is left to the daemon
		if _, err := io.WriteString(c, tg.page()); err != nil {
			t.Fatal(err)
		}
		status := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(c, status); err != nil {
			t.Fatal(err)
		}
		if string(status) == "HTTP/1.1 200" { // else the machine is too slow for so many at a time
			n++
		}
		most = max(most, tg.memory())
	}
	if n := tg.gauge("straks_http_requests_in_flight"); n != float64(readers) {
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

// Four hundred clients of one organisation ask for full pages without a pause, and read them. The orders of another one
// are placed meanwhile. The log has by how much they become slower: about 1.7 times where the pollers run on the same two
// processors, and more beside other tests.
func TestPollersLeaveOrders(t *testing.T) {
	const pollers, each = 400, 40
	tg := attacked(t, 200)
	// p50 is that of orders that come one after the other.
	p50 := func(round string) time.Duration {
		var took []time.Duration
		for i := range each {
			began := time.Now()
			if _, err := tg.other.SendSMS(t.Context(), daemontest.SMS(fmt.Sprint(round, i), "+4799999999")); err != nil {
				t.Errorf("%s: %v", round, err)
			}
			took = append(took, time.Since(began))
			time.Sleep(5 * time.Millisecond)
		}
		slices.Sort(took)
		return took[each/2]
	}
	p50("warm")
	quiet := p50("quiet")
	stop := tg.poll(pollers)
	eventually.True(t, "the pollers to press", func() bool { return tg.gauge("straks_http_requests_in_flight") >= pollers/2 })
	flooded := p50("flooded")
	stop()
	t.Logf("quiet %v, with pollers %v: %.1f times", quiet, flooded, float64(flooded)/float64(quiet))
}

// pages reads pages over one connection until ended. It reports true where the daemon has ended the connection, as it does
// where a page takes too long.
func (tg *target) pages(ended chan struct{}) (again bool) {
	c, err := net.Dial("tcp", tg.p.api)
	if err != nil {
		tg.T.Error(err)
		return false
	}
	defer c.Close()
	r := bufio.NewReaderSize(c, 32<<10)
	for {
		select {
		case <-ended:
			return false
		default:
		}
		_, err := io.WriteString(c, tg.page())
		var resp *http.Response
		if err == nil {
			resp, err = http.ReadResponse(r, nil)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		if err != nil {
			return true
		}
	}
}

// poll has clients ask for pages until stop.
func (tg *target) poll(clients int) (stop func()) {
	var wg sync.WaitGroup
	ended := make(chan struct{})
	for range clients {
		wg.Go(func() {
			for tg.pages(ended) {
			}
		})
	}
	return func() {
		close(ended)
		wg.Wait()
	}
}
