package bench

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
	// soakRate is the load in orders/s: enough for every path to be taken
	// all the time, and not so much that a machine with other work can't.
	soakRate    = 200
	soakClients = 64
	// soakOrders are to be taken in a third at least: by a few orders more or
	// less the journal's growth is that of the pages on their way to be free.
	soakOrders = 50
	// soakSamples is how often the daemon is looked at.
	soakSamples = 90
)

// Level is one thing that must not grow: its median over the first third of a
// soak, and over the last.
type Level struct {
	Name  string  `json:"name"`
	First float64 `json:"first"`
	Last  float64 `json:"last"`
	Slack float64 `json:"slack"` // by so much, and half of First, they may differ
}

func (l Level) flat() bool { return l.Last <= 1.5*l.First+l.Slack }

// Soak drives a daemon with SMS, long ones too, and mails, while the SMSC
// storms (see smsctest.SMSC.Storm) and the relay breaks off, and looks at what
// could grow. Its error tells what did, or that orders were refused otherwise
// than by a 503.
func Soak(ctx context.Context, program string, d time.Duration) ([]Level, error) {
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
	daemon, err := StartDaemon(ctx, program, dir, soakTables(smsc.Addr(), relay.Addr()))
	if err != nil {
		return nil, err
	}
	levels, err := (&soak{daemon: daemon, smsc: smsc, relay: relay}).run(ctx, d)
	return levels, errors.Join(err, daemon.Stop())
}

func soakTables(smsc, relay string) string {
	return smscTable(carrier, smsc, 16) + `binds = 3
enquire_link = "200ms"
dead_link = "1s"
response_timeout = "500ms"
refused_delay = "100ms"
` + fmt.Sprintf("[[relay]]\nname = \"mx\"\naddr = %q\ntls = \"off\"\n", relay)
}

type soak struct {
	daemon *Daemon
	smsc   *smsctest.SMSC
	relay  *relaytest.Relay
	seen   []moment
}

// moment is what the daemon is like at one moment.
type moment struct{ orders, anon, goroutines, files, octets float64 } // orders: those taken by then

func (s *soak) run(ctx context.Context, d time.Duration) ([]Level, error) {
	track := NewTrack(int(soakRate * d.Seconds()))
	load := Load{Addr: s.daemon.API, Clients: soakClients, Rate: soakRate, For: d, Request: mixed(s.daemon.API)}
	trouble, calm := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.smsc.Storm(trouble) })
	wg.Go(func() { s.watch(trouble, track, d) })
	err := load.Drive(ctx, track)
	calm()
	wg.Wait()
	if err != nil {
		return nil, err
	}
	mib, octets := 32.0, 500.0
	if d < 30*time.Second {
		mib, octets = 128, 5000 // the first third is warming up, and each has but some hundred orders
	}
	levels := s.levels(mib, octets)
	return levels, errors.Join(judge(levels), manners(track))
}

// watch takes samples for as long as orders are made, and breaks the relay's connections.
func (s *soak) watch(ctx context.Context, track *Track, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(d / soakSamples):
		}
		s.relay.Disconnect()
		now := moment{orders: float64(track.taken.Load()), anon: float64(s.daemon.processes().anon()) / 1024}
		file, _ := s.daemon.Counter("straks_journal_file_bytes")
		free, _ := s.daemon.Counter("straks_journal_free_bytes")
		now.octets = file - free
		now.files, _ = s.daemon.Counter("process_open_fds")
		var err error
		if now.goroutines, err = s.daemon.Counter("go_goroutines"); err == nil {
			s.seen = append(s.seen, now)
		}
	}
}

func (s *soak) levels(mib, octets float64) []Level {
	third := len(s.seen) / 3
	if third < 2 {
		return nil
	}
	first, last := s.seen[:third], s.seen[len(s.seen)-third:]
	if min(taken(first), taken(last)) < soakOrders {
		return nil
	}
	level := func(name string, slack float64, of func(moment) float64) Level {
		return Level{name, median(first, of), median(last, of), slack}
	}
	return []Level{
		level("resident MiB, file pages apart", mib, func(s moment) float64 { return s.anon }),
		level("goroutines", 300, func(s moment) float64 { return s.goroutines }),
		level("descriptors", 50, func(s moment) float64 { return s.files }),
		{"octets in the journal for an order", perOrder(first), perOrder(last), octets},
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

// taken is how many orders were taken in that time.
func taken(samples []moment) float64 {
	return samples[len(samples)-1].orders - samples[0].orders
}

// perOrder is by how much the journal grew for each order.
func perOrder(samples []moment) float64 {
	return (samples[len(samples)-1].octets - samples[0].octets) / taken(samples)
}

// ErrTooShort is Soak's where too few samples or orders were taken to tell anything.
var ErrTooShort = errors.New("too few samples or orders to tell anything: give it more time")

func judge(levels []Level) error {
	if len(levels) == 0 {
		return ErrTooShort
	}
	var grown []error
	for _, l := range levels {
		if !l.flat() {
			grown = append(grown, fmt.Errorf("%s: %.0f in the first third, %.0f in the last", l.Name, l.First, l.Last))
		}
	}
	return errors.Join(grown...)
}

// manners tells whether most orders were taken, and the others refused as they should be.
func manners(t *Track) error {
	var r Result
	t.sumUp(&r)
	if rude := t.rude.Load(); rude > 0 || r.Orders < r.Refused {
		return fmt.Errorf("%d orders were taken, %d refused, %d of them otherwise than by a 503 with Retry-After", r.Orders, r.Refused, rude)
	}
	return nil
}

// mixed renders orders of all kinds: every fourth is a mail, every fifth SMS long.
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

// PrintLevels writes them as a table.
func PrintLevels(w io.Writer, levels []Level) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\tfirst third\tlast third\t")
	for _, l := range levels {
		fmt.Fprintf(tw, "%s\t%.0f\t%.0f\t\n", l.Name, l.First, l.Last)
	}
	tw.Flush()
}
