package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"straks/internal/nodes"
	"straks/internal/pgcluster"
	"straks/smpp/smsctest"
)

// clusterTime bounds the demo of several nodes.
const clusterTime = 5 * time.Minute

// demoCluster shows several nodes over one PostgreSQL: it kills the primary and a node while clients send, and compares what
// they were told, what the SMSC got and what the feed says. Where no PostgreSQL can be started it says so, and that
// is no error.
func demoCluster(ctx context.Context, e env) error {
	if err := pgcluster.Available(); errors.Is(err, pgcluster.ErrMissing) {
		_, err = fmt.Fprintf(e.stdout, "The demo of several nodes is left out: %v.\n", err)
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTime)
	defer cancel()
	began := time.Now()
	fmt.Fprint(e.stdout, "Starting three PostgreSQL servers and two nodes …\n")
	smsc := smsctest.Profile{Retry: 100 * time.Millisecond}
	smsc.Delay, smsc.Receipt.Delay = 5*time.Millisecond, 50*time.Millisecond
	w, err := nodes.New(ctx, nodes.Options{Program: func(args ...string) *exec.Cmd { return exec.Command(program, args...) }, SMSC: smsc, HA: true})
	if err != nil {
		return err
	}
	story := clusterStory{World: w, out: e.stdout}
	err = w.StartAll(ctx)
	if err == nil {
		fmt.Fprintf(e.stdout, "  %s is the primary, and a commit waits for one of the two standbys\n  nodes a and b are ready, each with a bind at the SMSC; that took %.0f s\n\n", w.DB.Primary.Name, time.Since(began).Seconds())
		err = story.tell(ctx)
	}
	return errors.Join(err, w.Close())
}

// clusterStory is the demo on its way.
type clusterStory struct {
	*nodes.World
	out   io.Writer
	began time.Time
}

func (s *clusterStory) say(format string, args ...any) {
	fmt.Fprintf(s.out, "  %5.1f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// tell lets clients send, and kills the primary and a node meanwhile.
func (s *clusterStory) tell(ctx context.Context) error {
	s.began = time.Now()
	s.say("8 clients send; what one node does not answer, they repeat at the other, with the same idempotencyId")
	load := s.Load(8, 20*time.Millisecond)
	if err := s.disturb(ctx); err != nil {
		return err // which leaves the clients without an answer
	}
	faults := load.Stop(ctx)
	s.say("the clients have all their answers")
	verdict := s.Judge(ctx)
	verdict.Faults = append(faults, verdict.Faults...)
	return s.conclude(verdict)
}

// disturb kills the primary and a node, and starts the node again.
func (s *clusterStory) disturb(ctx context.Context) error {
	if err := sleep(ctx, 2*time.Second); err != nil {
		return err
	}
	old := s.DB.Primary
	if err := old.Kill(); err != nil {
		return err
	}
	s.say("kill -9: %s, the primary. No commit ends now: clients get 503", old.Name)
	if err := sleep(ctx, time.Second); err != nil {
		return err
	}
	if err := s.DB.Failover(ctx); err != nil {
		return err
	}
	s.say("%s was promoted", s.DB.Primary.Name)
	if err := s.answered(ctx); err != nil {
		return err
	}
	s.say("orders are taken again")
	if err := s.DB.Join(ctx, old); err != nil {
		return err
	}
	s.say("%s is back, as a standby", old.Name)
	if err := sleep(ctx, time.Second); err != nil {
		return err
	}
	if err := s.Nodes[0].Kill(); err != nil {
		return err
	}
	s.say("kill -9: node a. Its clients go to node b")
	if err := s.takenOver(ctx); err != nil {
		return err
	}
	s.say("the lease of node a has expired: node b has both binds")
	if err := s.Nodes[0].Start(ctx); err != nil {
		return err
	}
	if err := s.Nodes[0].AwaitReady(ctx); err != nil {
		return err
	}
	s.say("node a is back")
	return sleep(ctx, time.Second)
}

// answered waits until another order was answered.
func (s *clusterStory) answered(ctx context.Context) error {
	count := func() (n int) {
		for _, o := range s.Book.Orders() {
			if o.Answered() {
				n++
			}
		}
		return n
	}
	for before := count(); count() == before; {
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// takenOver waits until the second node has the binds of the first.
func (s *clusterStory) takenOver(ctx context.Context) error {
	for s.Nodes[1].Binds(ctx) < 2 {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// conclude prints what was found, and returns an error where it is not as it must be.
func (s *clusterStory) conclude(v nodes.Verdict) error {
	fmt.Fprintf(s.out, `
%d orders, each with an answer: %d got 201, and %d got 200 to a repeat
%d messages reached the SMSC, none twice
%d entries in the feed, without a hole, and the same at both nodes
`, v.Orders, v.Created, v.Known, v.Submits, v.Entries)
	if n := len(v.Open); n > 0 {
		fmt.Fprintf(s.out, "%s stored by the node that was killed, and not sent: SMS_Failed_TTL in the end\n", count(n, "order"))
	}
	if n := len(v.Unsent); n > 0 {
		fmt.Fprintf(s.out, "%s not sent, which was found too late to free the key: SMS_Failed\n", count(n, "order"))
	}
	for _, fault := range v.Faults {
		fmt.Fprintln(s.out, "FAULT:", fault)
	}
	if len(v.Faults) > 0 {
		return fmt.Errorf("%d things are not as they must be", len(v.Faults))
	}
	fmt.Fprint(s.out, "\nNo order was lost, and none was sent twice. docs/cluster.md says how to set it up.\n")
	return nil
}
