package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// job is what a load generator reads from its standard input.
type job struct {
	Load   load
	Prefix string // of the recipients' numbers
	Limit  int    // of orders
}

// jobResult is what the load generator writes to its standard output at the end. Times
// are those of a track, by the number of the order.
type jobResult struct {
	Start                        time.Time
	Due, Sent, Answered, Refused []int64
	Improper                     int64
	Elapsed                      time.Duration
	Error                        string // empty: none
}

// generate is the load generator in a process of its own. In one process with the
// SMSC, thousands of connections would delay the SMSC's answers, and the overload would
// be one of the bench.
func generate(ctx context.Context, in io.Reader, out io.Writer) error {
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return fmt.Errorf("no job on standard input: %w", err)
	}
	raisePriority()
	j.Load.Request = order(j.Load.Addrs[0], j.Prefix)
	t := newTrack(j.Limit)
	var r jobResult
	if err := j.Load.drive(ctx, t); err != nil {
		r.Error = err.Error()
	}
	r.Start, r.Improper, r.Elapsed = t.start, t.improper.Load(), t.elapsed
	for n := range t.due {
		r.Due = append(r.Due, t.due[n].Load())
		r.Sent = append(r.Sent, t.sent[n].Load())
		r.Answered = append(r.Answered, t.answered[n].Load())
		r.Refused = append(r.Refused, t.refused[n].Load())
	}
	return json.NewEncoder(out).Encode(r)
}

// raisePriority lets this process run before all others, if it may: the generator
// stands for other machines, and its own lateness would be taken for the daemon's.
func raisePriority() {
	threads, _ := os.ReadDir("/proc/self/task") // later threads inherit it
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			syscall.Setpriority(syscall.PRIO_PROCESS, id, -20)
		}
	}
}

// driveApart drives the load from a process of its own, this program with -generator,
// and puts the times of its orders into t.
func (l load) driveApart(ctx context.Context, prefix string, t *track) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-generator")
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
	if err := json.NewEncoder(in).Encode(job{l, prefix, len(t.due)}); err != nil {
		return err
	}
	var r jobResult
	if err := json.NewDecoder(out).Decode(&r); err != nil {
		return fmt.Errorf("the load generator ended early: %w", err)
	}
	return t.takeOver(r)
}

// takeOver copies the times that a generator has recorded.
func (t *track) takeOver(r jobResult) error {
	shift := r.Start.UnixNano() - t.start.UnixNano()
	store := func(to []atomic.Int64, from []int64) {
		for n, at := range from {
			if at != 0 {
				to[n].Store(at + shift)
			}
		}
	}
	store(t.due, r.Due)
	store(t.sent, r.Sent)
	store(t.answered, r.Answered)
	store(t.refused, r.Refused)
	t.improper.Store(r.Improper)
	t.elapsed = r.Elapsed
	if r.Error != "" {
		return errors.New(r.Error)
	}
	return nil
}
