package pgcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// role and database are those of straks in every cluster.
	role     = "straks"
	database = "straks"
	// port is part of the name of a socket, no more.
	port = "5432"

	startTime = 5 * time.Minute
	pollEvery = 20 * time.Millisecond
)

// Server is one PostgreSQL server. Its methods are for one goroutine.
type Server struct {
	Name string // application_name of its replication

	bin     string
	dir     string // its folder: data, log and socket
	account *account
	cmd     *exec.Cmd // nil: it does not run
	ended   chan struct{}
	frozen  []int // children that are stopped
}

// Host returns the folder of the server's socket, which a DSN has as its host.
func (s *Server) Host() string { return s.dir }

// Socket returns the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, ".s.PGSQL."+port) }

// DSN returns how to connect to this server alone.
func (s *Server) DSN() string { return dsn(s.Host()) }

func dsn(host string) string {
	return fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable", host, port, role, database)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Log returns the end of what the server has logged.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log")) // one that can't be read says nothing
	return string(text[max(0, len(text)-4000):])
}

// run runs a program of PostgreSQL as the server's user to its end.
func (s *Server) run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	s.prepare(cmd)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s of server %s: %w: %s", name, s.Name, err, bytes.TrimSpace(said.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

func (s *Server) prepare(cmd *exec.Cmd) {
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + s.dir, "TZ=UTC", "PGCONNECT_TIMEOUT=5"}
	cmd.SysProcAttr = s.account.attributes()
}

// configure writes settings that count over those before.
func (s *Server) configure(settings map[string]string) error {
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(f, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	return f.Close()
}

// Set changes settings, and has a running server read them again. Those that need a restart wait for one.
func (s *Server) Set(settings map[string]string) error {
	if err := s.configure(settings); err != nil {
		return err
	}
	if s.cmd != nil {
		signal(s.cmd.Process.Pid, sigHup)
	}
	return nil
}

// Start starts the server, and returns when it takes connections.
func (s *Server) Start(ctx context.Context) error {
	if s.cmd != nil {
		return fmt.Errorf("server %s runs already", s.Name)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	_ = os.Remove(filepath.Join(s.data(), "postmaster.pid")) // of one that was killed
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data())
	s.prepare(cmd)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // its log says why it ended
	}()
	s.cmd, s.ended = cmd, ended
	if err := s.await(ctx); err != nil {
		return errors.Join(err, s.Kill())
	}
	return nil
}

// await waits until the server takes connections, as its pid file says.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		text, _ := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
		if lines := strings.Split(string(text), "\n"); len(lines) > 7 {
			switch strings.TrimSpace(lines[7]) {
			case "ready", "standby":
				return nil
			}
		}
		select {
		case <-time.After(pollEvery):
		case <-s.ended:
			return fmt.Errorf("server %s does not start:\n%s", s.Name, s.Log())
		case <-ctx.Done():
			return fmt.Errorf("server %s does not get ready: %w:\n%s", s.Name, context.Cause(ctx), s.Log())
		}
	}
}

// Running reports whether the server was started and not ended; it may be frozen.
func (s *Server) Running() bool { return s.cmd != nil }

// Stop ends the server in order: sessions are closed, and standbys get what is left.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return nil
	}
	s.Thaw()
	signal(s.cmd.Process.Pid, sigInt)
	select {
	case <-s.ended:
		s.cmd = nil
		return nil
	case <-time.After(startTime):
		return errors.Join(fmt.Errorf("server %s does not stop:\n%s", s.Name, s.Log()), s.Kill())
	}
}

// Kill ends all processes of the server by SIGKILL, as a machine that loses power.
func (s *Server) Kill() error {
	if s.cmd == nil {
		return nil
	}
	pid := s.cmd.Process.Pid
	signal(pid, sigStop) // it starts no more children
	all := children(pid)
	signal(pid, sigKill)
	for _, child := range all {
		signal(child, sigKill)
	}
	<-s.ended
	s.cmd, s.frozen = nil, nil
	for deadline := time.Now().Add(startTime); slices.ContainsFunc(all, runs); time.Sleep(pollEvery) {
		if time.Now().After(deadline) { // they have the memory that the next start asks for
			return fmt.Errorf("server %s: killed processes do not end", s.Name)
		}
	}
	return nil
}

// Freeze stops all processes of the server by SIGSTOP until Thaw.
func (s *Server) Freeze() {
	if s.cmd == nil {
		return
	}
	signal(s.cmd.Process.Pid, sigStop)
	s.frozen = children(s.cmd.Process.Pid)
	for _, child := range s.frozen {
		signal(child, sigStop)
	}
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw() {
	if s.cmd == nil {
		return
	}
	for _, child := range s.frozen {
		signal(child, sigCont)
	}
	signal(s.cmd.Process.Pid, sigCont)
	s.frozen = nil
}

// Processes returns the ids of the server's processes now, the one that started the others first.
func (s *Server) Processes() []int {
	if s.cmd == nil {
		return nil
	}
	pid := s.cmd.Process.Pid
	return append([]int{pid}, children(pid)...)
}

// SQL runs statements in the database, without waiting for a standby, and returns what they return: a row for each
// line, fields with | between them.
func (s *Server) SQL(ctx context.Context, statements string) (string, error) {
	return s.SQLIn(ctx, database, statements)
}

// SQLIn is SQL in another database.
func (s *Server) SQLIn(ctx context.Context, in, statements string) (string, error) {
	return s.psql(ctx, in, "local", statements)
}

// psql runs statements in a database. Their commit waits for what synchronous_commit says.
func (s *Server) psql(ctx context.Context, in, commit, statements string) (string, error) {
	conninfo := fmt.Sprintf("host=%s port=%s user=%s dbname=%s application_name=pgcluster-%s options='-c synchronous_commit=%[5]s'", s.Host(), port, role, in, commit)
	return s.run(ctx, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", conninfo, "-c", statements)
}

// WaitFor has commits wait for a standby of this name, or for none if it is empty. It returns when they do. They do not as soon as
// the setting has changed: what counts is in memory that the server's processes share, and the checkpointer changes it.
func (s *Server) WaitFor(ctx context.Context, standby string) error {
	err := s.Set(map[string]string{"synchronous_standby_names": standby})
	for waits := standby == ""; err == nil && waits == (standby == ""); {
		waits, err = s.commitWaits(ctx)
	}
	return err
}

// commitWaits reports whether a commit waits for a standby. It ends that wait.
func (s *Server) commitWaits(ctx context.Context) (bool, error) {
	ended := make(chan error, 1)
	go func() {
		_, err := s.psql(ctx, database, "on", "select pg_logical_emit_message(true, '', '')") // which is written to the WAL, and nothing else
		ended <- err
	}()
	for {
		select {
		case err := <-ended:
			return false, err
		default:
		}
		n, err := s.SQL(ctx, "select count(pg_cancel_backend(pid)) from pg_stat_activity where application_name = 'pgcluster-on' and wait_event = 'SyncRep'")
		if err != nil {
			return false, err
		}
		if n != "0" {
			return true, <-ended
		}
	}
}
