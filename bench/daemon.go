package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The client's token protects nothing but a benchmark on loopback.
const (
	token        = "bench"
	organisation = "bench"
	carrier      = "bench" // name of the first SMSC
)

// daemon is a straks in a process of its own.
type daemon struct {
	api, admin string // host:port
	pid        int
	profiler   *http.Client // reaches pprof
	cmd        *exec.Cmd    // nil: a node's
	log        logTail
	logged     chan struct{} // closed at the end of the log
}

// startDaemon runs "straks serve" over the journal in dir, after "straks init" where there
// is no journal, and returns when the daemon is ready. smscs are the tables of its SMSCs
// and routes, in TOML.
func startDaemon(ctx context.Context, path, dir, smscs string) (*daemon, error) {
	config, err := writeConfig(dir, smscs)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(journalFile(dir)); err != nil {
		if out, err := exec.CommandContext(ctx, path, "init", "-config", config).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("init: %w: %s", err, out)
		}
	}
	d := &daemon{cmd: exec.Command(path, "serve", "-config", config), profiler: http.DefaultClient}
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	d.pid = d.cmd.Process.Pid
	if err = d.findListeners(stderr); err == nil {
		err = d.awaitReady(ctx)
	}
	if err != nil {
		d.cmd.Process.Kill()
		d.cmd.Wait()
		return nil, err
	}
	return d, nil
}

func journalFile(dir string) string { return filepath.Join(dir, "journal.db") }

func writeConfig(dir, smscs string) (string, error) {
	config := filepath.Join(dir, "straks.toml")
	text := fmt.Sprintf(`
[api]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[journal]
path = %q
[[organisation]]
name = %q
[[organisation.token]]
name = "bench"
sha256 = "%x"
%s`, journalFile(dir), organisation, sha256.Sum256([]byte(token)), smscs)
	return config, os.WriteFile(config, []byte(text), 0o600)
}

// smscTable is the configuration of one SMSC. The simulator asks for no password.
func smscTable(name, addr string, window int) string {
	return fmt.Sprintf("[[smsc]]\nname = %q\naddr = %q\nsystem_id = %q\nwindow = %d\n", name, addr, name, window)
}

// findListeners reads the log up to the line with the addresses of the listeners, and
// continues to read in the background so that the daemon never waits for a reader.
func (d *daemon) findListeners(log io.Reader) error {
	lines := bufio.NewScanner(log)
	var seen strings.Builder
	for lines.Scan() {
		line := lines.Text()
		fmt.Fprintln(&seen, line)
		if d.api, d.admin = quoted(line, `"api":"`), quoted(line, `"admin":"`); d.api != "" && d.admin != "" {
			d.logged = make(chan struct{})
			go func() {
				defer close(d.logged)
				io.Copy(&d.log, log)
			}()
			return nil
		}
	}
	return fmt.Errorf("the daemon does not serve:\n%s", seen.String())
}

func quoted(line, after string) string {
	_, rest, _ := strings.Cut(line, after)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func (d *daemon) awaitReady(ctx context.Context) error {
	for {
		resp, err := http.Get("http://" + d.admin + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the daemon does not become ready: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (d *daemon) processes() processes { return processes{d.pid} }

// stop ends the daemon. It returns an error with the end of the log where the daemon had
// ended by itself.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	<-d.logged
	if err := d.cmd.Wait(); err != nil {
		return fmt.Errorf("the daemon ended with %w: … %s", err, d.log.String())
	}
	return nil
}

// profile writes a CPU profile of the daemon over the given time to file.
func (d *daemon) profile(file string, length time.Duration) error {
	if file == "" {
		return nil
	}
	resp, err := d.profiler.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", d.admin, max(1, int(length.Seconds()))))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, resp.Body)
	return err
}

// metrics are the daemon's at one moment.
type metrics struct {
	delivered              float64 // shipments that are final by their receipt
	batches, calls, commit float64 // commits, the calls in them, and their seconds
}

func (d *daemon) metrics() (m metrics) {
	m.delivered, _ = d.counter("straks_status_changes_total", `status="SMS_Delivered"`)
	m.batches, _ = d.counter("straks_journal_batch_size_count")
	m.calls, _ = d.counter("straks_journal_batch_size_sum")
	m.commit, _ = d.counter("straks_journal_commit_seconds_sum")
	return m
}

// commits returns the number of calls in a commit since before, and a commit's mean time.
func (m metrics) commits(before metrics) (calls float64, mean time.Duration) {
	n := m.batches - before.batches
	if n <= 0 {
		return 0, 0
	}
	return (m.calls - before.calls) / n, time.Duration((m.commit - before.commit) / n * float64(time.Second))
}

// counter returns the sum of a metric's series whose line contains all of the labels.
func (d *daemon) counter(name string, labels ...string) (float64, error) {
	resp, err := http.Get("http://" + d.admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	sum, lines := 0.0, bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if value, ok := sample(lines.Text(), name, labels); ok {
			sum += value
		}
	}
	return sum, lines.Err()
}

func sample(line, name string, labels []string) (float64, bool) {
	rest, ok := strings.CutPrefix(line, name)
	if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
		return 0, false
	}
	for _, l := range labels {
		if !strings.Contains(rest, l) {
			return 0, false
		}
	}
	value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
	return value, err == nil
}

// feedPage reads the last 500 entries of the feed a hundred times.
func (d *daemon) feedPage() (percentiles, error) {
	var last []struct {
		SequenceNumber uint64 `json:"sequenceNumber"`
	}
	body, err := d.feed("orderBy=desc&pageSize=1")
	if err != nil {
		return percentiles{}, err
	}
	if err := json.Unmarshal(body, &last); err != nil || len(last) == 0 {
		return percentiles{}, err
	}
	query := fmt.Sprintf("pageSize=500&seq=%d", last[0].SequenceNumber-min(last[0].SequenceNumber, 500))
	var took []time.Duration
	for range 100 {
		began := time.Now()
		if _, err := d.feed(query); err != nil {
			return percentiles{}, err
		}
		took = append(took, time.Since(began))
	}
	return percentilesOf(took), nil
}

func (d *daemon) feed(query string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+d.api+"/notifications/api/v1/future/shipment/feed?changes=all&"+query, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("feed: %s", resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// logTail keeps the end of what is written to it. Safe for concurrent use.
type logTail struct {
	mu  sync.Mutex
	end []byte
}

// maxLogTail holds a panic with its first stacks, in octets.
const maxLogTail = 4 << 10

func (w *logTail) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end = append(w.end, b[max(0, len(b)-maxLogTail):]...)
	w.end = append(w.end[:0], w.end[max(0, len(w.end)-maxLogTail):]...)
	return len(b), nil
}

func (w *logTail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.end)
}
