package bench

import (
	"bufio"
	"context"
	"crypto/sha256"
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

// token is the one client's. It guards nothing but a benchmark on loopback.
const token = "bench"

// Daemon is a straks in a process of its own.
type Daemon struct {
	API, Admin string // host:port
	cmd        *exec.Cmd
	stopped    chan struct{}
	anonPeak   int // KiB, written by watch until stopped is closed
	watching   sync.WaitGroup
}

// StartDaemon runs "program serve" over a journal in dir, made anew unless it
// is there, against an SMSC, and returns when it is ready.
func StartDaemon(ctx context.Context, program, dir, smsc string, extra string) (*Daemon, error) {
	config, err := writeConfig(dir, smsc, extra)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(journalFile(dir)); err != nil {
		if out, err := exec.CommandContext(ctx, program, "init", "-config", config).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("init: %w: %s", err, out)
		}
	}
	d := &Daemon{cmd: exec.Command(program, "serve", "-config", config), stopped: make(chan struct{})}
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	if err := d.findListeners(stderr); err != nil {
		d.cmd.Process.Kill()
		return nil, err
	}
	d.watching.Go(d.watch)
	return d, d.awaitReady(ctx)
}

func journalFile(dir string) string { return filepath.Join(dir, "journal.db") }

func writeConfig(dir, smsc, extra string) (string, error) {
	config, password := filepath.Join(dir, "straks.toml"), filepath.Join(dir, "smsc.password")
	text := fmt.Sprintf(`
[api]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[journal]
path = %q
[[organisation]]
name = "bench"
[[organisation.token]]
name = "bench"
sha256 = "%x"
[[smsc]]
name = "bench"
addr = %q
system_id = "bench"
password_file = %q
window = 200
%s
`, journalFile(dir), sha256.Sum256([]byte(token)), smsc, password, extra)
	if err := os.WriteFile(password, []byte("bench"), 0o600); err != nil {
		return "", err
	}
	return config, os.WriteFile(config, []byte(text), 0o600)
}

// findListeners reads the log up to the line that says where it serves, and
// goes on reading so that the daemon never waits for us.
func (d *Daemon) findListeners(log io.Reader) error {
	lines := bufio.NewScanner(log)
	var seen strings.Builder
	for lines.Scan() {
		line := lines.Text()
		fmt.Fprintln(&seen, line)
		if strings.Contains(line, `"msg":"serving"`) {
			d.API, d.Admin = between(line, `"api":"`), between(line, `"admin":"`)
			go io.Copy(io.Discard, log)
			return nil
		}
	}
	return fmt.Errorf("the daemon does not serve:\n%s", seen.String())
}

func between(line, after string) string {
	_, rest, _ := strings.Cut(line, after)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func (d *Daemon) awaitReady(ctx context.Context) error {
	for {
		resp, err := http.Get("http://" + d.Admin + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the daemon does not get ready: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Counter returns the sum of a metric's series whose line contains all of the labels.
func (d *Daemon) Counter(name string, labels ...string) (float64, error) {
	resp, err := http.Get("http://" + d.Admin + "/metrics")
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

// profile writes a CPU profile of the daemon over the next d to file.
func (d *Daemon) profile(file string, length time.Duration) error {
	if file == "" {
		return nil
	}
	resp, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", d.Admin, max(1, int(length.Seconds()))))
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

// Anon returns the resident memory that is not file pages, in KiB.
func (d *Daemon) Anon() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "RssAnon:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.Atoi(fields[0])
	return kib
}

// cpu returns the processor time that the daemon has used so far, of user and
// of kernel. The kernel counts it in hundredths of a second (proc_pid_stat(5)).
func (d *Daemon) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // past the program's name
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func (d *Daemon) watch() {
	for {
		d.anonPeak = max(d.anonPeak, d.Anon())
		select {
		case <-d.stopped:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends the daemon and returns the peak of Anon.
func (d *Daemon) Stop() (peakKiB int, err error) {
	close(d.stopped)
	d.watching.Wait()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		return d.anonPeak, err
	}
	return d.anonPeak, d.cmd.Wait()
}
