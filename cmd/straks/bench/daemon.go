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
	"strings"
	"sync"
	"time"
)

// The one client's token guards nothing but a benchmark on loopback.
const (
	token        = "bench"
	organisation = "bench"
	carrier      = "bench" // name of the first SMSC
)

// Daemon is a straks in a process of its own.
type Daemon struct {
	API, Admin string // host:port
	cmd        *exec.Cmd
	log        lastWords
	logged     chan struct{} // closed when all of its log was read
}

// StartDaemon runs "program serve" over a journal in dir, made anew unless it
// is there, and returns when it is ready. smscs are the tables of its SMSCs
// and routes, in TOML.
func StartDaemon(ctx context.Context, program, dir, smscs string) (*Daemon, error) {
	config, err := writeConfig(dir, smscs)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(journalFile(dir)); err != nil {
		if out, err := exec.CommandContext(ctx, program, "init", "-config", config).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("init: %w: %s", err, out)
		}
	}
	d := &Daemon{cmd: exec.Command(program, "serve", "-config", config)}
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
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

func (d *Daemon) processes() processes { return processes{d.cmd.Process.Pid} }

// Stop ends the daemon, and tells how it ended if that was by itself.
func (d *Daemon) Stop() error {
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	<-d.logged
	if err := d.cmd.Wait(); err != nil {
		return fmt.Errorf("the daemon ended with %w: … %s", err, d.log.String())
	}
	return nil
}

// lastWords keeps the end of what is written to it. Safe for concurrent use.
type lastWords struct {
	mu  sync.Mutex
	end []byte
}

// mostLastWords holds a panic with its first stacks, in octets.
const mostLastWords = 4 << 10

func (w *lastWords) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end = append(w.end, b[max(0, len(b)-mostLastWords):]...)
	w.end = append(w.end[:0], w.end[max(0, len(w.end)-mostLastWords):]...)
	return len(b), nil
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.end)
}
