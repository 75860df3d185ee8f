package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

const (
	// soakRate is the load in orders/s: enough to take every path all the time, and
	// little enough for a machine with other work.
	soakRate    = 200
	soakClients = 64
	// soakOrders is the least number of orders in a third. With fewer, pages that are
	// about to become free dominate the journal's growth.
	soakOrders = 50
	// soakSamples is the number of samples of the daemon.
	soakSamples = 90
)

// level is a figure that must not grow: its median over the first third of a soak, and
// over the last.
type level struct {
	Name  string  `json:"name"`
	First float64 `json:"first"`
	Last  float64 `json:"last"`
	Slack float64 `json:"slack"` // Last may exceed First by this and half of First
}

func (l level) flat() bool { return l.Last <= 1.5*l.First+l.Slack }

// soak drives a daemon with SMS of one part and more and with mails, while the SMSC shows
// every fault (see smsctest.SMSC.Storm) and the relay closes connections. It returns an
// error where something has grown, or where orders were refused other than by a 503.
func soak(ctx context.Context, path string, length time.Duration) ([]level, error) {
	dir, err := os.MkdirTemp("", "straks-soak-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	smsc, err := smsctest.Listen("127.0.0.1:0", smsctest.Profile{Record: -1, Seed: uint64(time.Now().UnixNano())})
	if err != nil {
		return nil, err
	}
	defer smsc.Close()
	relay, err := relaytest.Listen("127.0.0.1:0", relaytest.Profile{Keep: 1, Greylist: 1, Rules: relaytest.StandardRules()})
	if err != nil {
		return nil, err
	}
	defer relay.Close()
	d, err := startDaemon(ctx, path, dir, soakTables(smsc.Addr(), relay.Addr()))
	if err != nil {
		return nil, err
	}
	levels, err := (&soaking{daemon: d, smsc: smsc, relay: relay}).run(ctx, length)
	return levels, errors.Join(err, d.stop())
}

func soakTables(smsc, relay string) string {
	return smscTable(carrier, smsc, 16) + `binds = 3
enquire_link = "200ms"
dead_link = "1s"
response_timeout = "500ms"
refused_delay = "100ms"
` + fmt.Sprintf("[[relay]]\nname = \"mx\"\naddr = %q\ntls = \"off\"\n[limits]\nrecipient = []\n", relay)
}

type soaking struct {
	daemon *daemon
	smsc   *smsctest.SMSC
	relay  *relaytest.Relay
	seen   []moment
}

// moment is one sample of the daemon: orders taken so far, MiB of memory, goroutines,
// descriptors, octets in the journal.
type moment struct{ orders, anon, goroutines, files, octets float64 }

func (s *soaking) run(ctx context.Context, d time.Duration) ([]level, error) {
	t := newTrack(limit(soakRate, d))
	l := load{Addrs: []string{s.daemon.api}, Clients: soakClients, Rate: soakRate, For: d, Request: mixed(s.daemon.api)}
	trouble, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.smsc.Storm(trouble) })
	wg.Go(func() { s.watch(trouble, t, d) })
	err := l.drive(ctx, t)
	end()
	wg.Wait()
	if err != nil {
		return nil, err
	}
	mib, octets := 32.0, 500.0
	if d < 30*time.Second {
		mib, octets = 128, 5000 // the first third is warming up, and each has but some hundred orders
	}
	levels := s.levels(mib, octets)
	return levels, errors.Join(checkGrowth(levels), checkRefusals(t))
}

// watch takes samples while orders are made, and closes the relay's connections.
func (s *soaking) watch(ctx context.Context, t *track, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(d / soakSamples):
		}
		s.relay.Disconnect()
		now := moment{orders: float64(t.taken.Load()), anon: float64(s.daemon.processes().anon()) / 1024}
		file, _ := s.daemon.counter("straks_journal_file_bytes")
		free, _ := s.daemon.counter("straks_journal_free_bytes")
		now.octets = file - free
		now.files, _ = s.daemon.counter("process_open_fds")
		var err error
		if now.goroutines, err = s.daemon.counter("go_goroutines"); err == nil {
			s.seen = append(s.seen, now)
		}
	}
}

func (s *soaking) levels(mib, octets float64) []level {
	third := len(s.seen) / 3
	if third < 2 {
		return nil
	}
	first, last := s.seen[:third], s.seen[len(s.seen)-third:]
	if min(taken(first), taken(last)) < soakOrders {
		return nil
	}
	medians := func(name string, slack float64, of func(moment) float64) level {
		return level{name, median(first, of), median(last, of), slack}
	}
	return []level{
		medians("resident MiB without file pages", mib, func(s moment) float64 { return s.anon }),
		medians("goroutines", 300, func(s moment) float64 { return s.goroutines }),
		medians("descriptors", 50, func(s moment) float64 { return s.files }),
		{"octets in the journal per order", perOrder(first), perOrder(last), octets},
	}
}

func median(samples []moment, of func(moment) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// taken returns the number of orders taken between the first and the last sample.
func taken(samples []moment) float64 {
	return samples[len(samples)-1].orders - samples[0].orders
}

// perOrder returns the journal's growth for each order.
func perOrder(samples []moment) float64 {
	return (samples[len(samples)-1].octets - samples[0].octets) / taken(samples)
}

var errTooShort = errors.New("too few samples or orders for a result: give it more time")

// checkGrowth returns an error that names the levels that have grown.
func checkGrowth(levels []level) error {
	if len(levels) == 0 {
		return errTooShort
	}
	var grown []error
	for _, l := range levels {
		if !l.flat() {
			grown = append(grown, fmt.Errorf("%s: %.0f in the first third, %.0f in the last", l.Name, l.First, l.Last))
		}
	}
	return errors.Join(grown...)
}

// checkRefusals returns an error unless most orders were taken and the others refused
// properly.
func checkRefusals(t *track) error {
	var r result
	t.sum(&r)
	if r.Improper > 0 || r.Orders < r.Refused {
		return fmt.Errorf("%d orders were taken, %d refused, %d of them other than by 503 with Retry-After", r.Orders, r.Refused, r.Improper)
	}
	return nil
}

// mixed renders orders of all kinds: every fourth is a mail, every fifth SMS has many parts.
func mixed(addr string) func(dst []byte, n int) []byte {
	run := time.Now().UnixNano()
	return func(dst []byte, n int) []byte {
		path, text := "sms", "Your code is 123456"
		if n%5 == 0 {
			text = strings.Repeat("Blåbærsyltetøy ", 20)
		}
		body := fmt.Sprintf(`{"idempotencyId":"%d-%d","recipientSms":{"phoneNumber":"+4790%06d","timeToLiveInSeconds":300,"smsSettings":{"body":%q}}}`,
			run, n, 100000+n%800000, text)
		if n%4 == 3 {
			local := []string{"kari", "nosuch", "lost", "later"}[n/4%4]
			path, body = "email", fmt.Sprintf(`{"idempotencyId":"%d-%d","recipientEmail":{"emailAddress":"%s.%d@example.org","emailSettings":{"subject":"Your code","body":"123456"}}}`,
				run, n, local, n%1000)
		}
		return fmt.Appendf(dst, "POST /notifications/api/v1/future/orders/instant/%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, addr, token, len(body), body)
	}
}

// printLevels writes a table.
func printLevels(w io.Writer, levels []level) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\tfirst third\tlast third\t")
	for _, l := range levels {
		fmt.Fprintf(tw, "%s\t%.0f\t%.0f\t\n", l.Name, l.First, l.Last)
	}
	tw.Flush()
}
