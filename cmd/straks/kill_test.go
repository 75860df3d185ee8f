package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"straks/api/client"
	"straks/smpp/smsctest"
)

// asProgram makes this test binary be the program itself, so that a test can
// kill it.
const asProgram = "STRAKS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// process is a daemon in a process of its own.
type process struct {
	cmd *exec.Cmd
	api string // host:port
}

// startProcess runs "straks serve" and waits until it serves.
func (w *world) startProcess() *process {
	w.t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], "serve", "-config", w.configFile())}
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	lines, log := bufio.NewScanner(stderr), strings.Builder{}
	for lines.Scan() {
		fmt.Fprintln(&log, lines.Text())
		if _, rest, ok := strings.Cut(lines.Text(), `"msg":"serving","api":"`); ok {
			p.api, _, _ = strings.Cut(rest, `"`)
			break
		}
	}
	if p.api == "" {
		p.cmd.Wait()
		w.t.Fatalf("the daemon does not serve:\n%s", log.String())
	}
	go io.Copy(io.Discard, stderr)
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// killRounds is how often the daemon is killed.
const killRounds = 4

// Killed at any moment: every accepted key is known, no message goes twice, the
// feed has no hole, and receipts that the SMSC repeats are taken.
func TestKill(t *testing.T) {
	profile := smsctest.Profile{Retry: 50 * time.Millisecond, AckTimeout: 500 * time.Millisecond}
	profile.Receipt.Delay = 20 * time.Millisecond
	w := newWorld(t, profile, "")
	w.stop()
	told := &record{answers: map[string]client.Placed{}}
	for round := range killRounds {
		p := w.startProcess()
		w.client = w.clientAt(p.api)
		var wg sync.WaitGroup
		for c := range 8 {
			wg.Go(func() { w.orderUntilKilled(told, fmt.Sprintf("r%d-c%d", round, c)) })
		}
		eventually(t, "some orders", func() bool { return told.size() >= 40*(round+1) })
		p.kill()
		wg.Wait()
	}
	w.start()
	w.settleAccounts(told)
}

func (w *world) clientAt(addr string) *client.Client {
	c, err := client.New("http://"+addr+"/notifications/api/v1", w.token, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// record is what clients were told: answers by key, and keys without one.
type record struct {
	mu         sync.Mutex
	answers    map[string]client.Placed
	unanswered []string
}

func (r *record) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.answers)
}

func (w *world) orderUntilKilled(r *record, name string) {
	for i := 0; ; i++ {
		key := fmt.Sprintf("%s-%d", name, i)
		p, err := w.client.SendSMS(context.Background(), sms(key, "+4799999999"))
		r.mu.Lock()
		if err != nil {
			r.unanswered = append(r.unanswered, key)
			r.mu.Unlock()
			return
		}
		r.answers[key] = p
		r.mu.Unlock()
	}
}

// settleAccounts holds what clients were told against what the SMSC got and
// what the feed says.
func (w *world) settleAccounts(told *record) {
	for key, p := range told.answers {
		if again := w.send(key, "+4799999999"); again.Created || again.ShipmentID != p.ShipmentID {
			w.t.Fatalf("key %s was told %s and is now %+v", key, p.ShipmentID, again)
		}
	}
	unknown := 0
	for _, key := range told.unanswered {
		p := w.send(key, "+4799999999")
		told.answers[key] = p
		if !p.Created && w.status(p.ShipmentID) == "SMS_Sending" {
			unknown++ // it may have left, and is reported as such
		}
	}
	eventually(w.t, "every receipt", func() bool {
		final := 0
		for _, e := range w.feed() {
			if e.Recipients[0].Status == "SMS_Delivered" {
				final++
			}
		}
		return final >= len(told.answers)-unknown
	})
	if n, most := w.smsc.Stats().Taken, uint64(len(told.answers)); n > most {
		w.t.Errorf("%d orders, and %d messages at the SMSC", most, n)
	}
	entries := map[string]int{}
	for _, e := range w.feed() {
		entries[e.ShipmentID+" "+e.Recipients[0].Status]++
	}
	for entry, n := range entries {
		if n > 1 {
			w.t.Errorf("%d feed entries of %s", n, entry)
		}
	}
}
