package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// job is what a generator is told on its standard input.
type job struct {
	Load   Load
	Prefix string // of the recipients' numbers
	Limit  int    // of orders
}

// deed is what it tells on its standard output when it is done. Times are
// those of a Track, by the number of the order.
type deed struct {
	Begun, Written, Answered, Turned, Arrived []int64
	Rude                                      int64
	Elapsed                                   time.Duration
	Fault                                     string // empty: none
}

// Generate is a load generator in a process of its own: between thousands of
// connections in one with the SMSC, the SMSC's answers would be late, and an
// overload would be one of the bench.
func Generate(ctx context.Context, in io.Reader, out io.Writer) error {
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return fmt.Errorf("no load on standard input: %w", err)
	}
	precede()
	j.Load.Request = order(j.Load.Addr, j.Prefix)
	t := NewTrack(j.Limit)
	var d deed
	if err := j.Load.Drive(ctx, t); err != nil {
		d.Fault = err.Error()
	}
	d.Rude, d.Elapsed = t.rude.Load(), t.Elapsed
	for n := range t.begun {
		d.Begun = append(d.Begun, t.begun[n].Load())
		d.Written = append(d.Written, t.written[n].Load())
		d.Answered = append(d.Answered, t.answered[n].Load())
		d.Turned = append(d.Turned, t.turned[n].Load())
		d.Arrived = append(d.Arrived, t.arrived[n].Load())
	}
	return json.NewEncoder(out).Encode(d)
}

// precede has this process run before all others, if it may: it stands for
// other machines, and what it is late with would be taken for the daemon's.
func precede() {
	threads, _ := os.ReadDir("/proc/self/task") // those to come do as the one that makes them
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			syscall.Setpriority(syscall.PRIO_PROCESS, id, -20)
		}
	}
}

// apart drives the load from a process of its own, "program bench -generator",
// and puts what came of it into t.
func (l Load) apart(ctx context.Context, program, prefix string, t *Track) error {
	cmd := exec.CommandContext(ctx, program, "bench", "-generator")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer in.Close()
	if err := json.NewEncoder(in).Encode(job{l, prefix, len(t.begun)}); err != nil {
		return err
	}
	var d deed
	if err := json.NewDecoder(out).Decode(&d); err != nil {
		return fmt.Errorf("the load generator broke off: %w", err)
	}
	return t.learn(d)
}

// learn takes over what a generator has seen.
func (t *Track) learn(d deed) error {
	for n := range d.Begun {
		t.begun[n].Store(d.Begun[n])
		t.written[n].Store(d.Written[n])
		t.answered[n].Store(d.Answered[n])
		t.turned[n].Store(d.Turned[n])
		t.arrived[n].Store(d.Arrived[n])
		if d.Turned[n] != 0 {
			t.refused.Add(1)
		}
	}
	t.rude.Store(d.Rude)
	t.Elapsed = d.Elapsed
	if d.Fault != "" {
		return errors.New(d.Fault)
	}
	return nil
}
