package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Options are those of a cluster.
type Options struct {
	Servers  int               // 1 to 9; 0: 3
	Settings map[string]string // of postgresql.conf, over those of this package
}

// Cluster is a primary and its standbys. Its methods are for one goroutine.
type Cluster struct {
	Servers []*Server
	Primary *Server // as this package knows; after a failover another one

	dir     string
	account *account
}

// settings are those of every server. A quorum of one among all the names is the same on each server, so that none
// needs another setting when it is promoted: a server does not stream to itself.
func settings(servers []*Server) map[string]string {
	names := make([]string, len(servers))
	for i, s := range servers {
		names[i] = s.Name
	}
	quorum := ""
	if len(servers) > 1 {
		quorum = fmt.Sprintf("ANY 1 (%s)", strings.Join(names, ", "))
	}
	return map[string]string{
		"listen_addresses": "", "port": port, "unix_socket_permissions": "0700",
		"max_connections": "100", "shared_buffers": "32MB", "wal_keep_size": "512MB", "wal_log_hints": "on",
		"synchronous_standby_names": quorum, "synchronous_commit": "on",
		"wal_sender_timeout": "3s", "wal_receiver_timeout": "3s", "wal_receiver_status_interval": "1s", "wal_retrieve_retry_interval": "200ms",
		"log_line_prefix": "%m [%p] %q%a ", "log_checkpoints": "off", "timezone": "UTC", "log_timezone": "UTC",
	}
}

// Start makes a cluster in a new temporary folder, and returns when every standby streams.
func Start(ctx context.Context, o Options) (c *Cluster, err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	c = &Cluster{}
	if c.account, err = serverUser(); err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp("", "straks-pg-"); err != nil { // the path of a socket must be short
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
			c = nil
		}
	}()
	if err := os.Chmod(c.dir, 0o711); err != nil { // for the servers' user
		return c, err
	}
	if o.Servers == 0 {
		o.Servers = 3
	}
	for i := range o.Servers {
		s := &Server{Name: "n" + strconv.Itoa(i+1), bin: bin, account: c.account}
		s.dir = filepath.Join(c.dir, s.Name)
		c.Servers = append(c.Servers, s)
		if err := errors.Join(os.Mkdir(s.dir, 0o700), c.account.own(s.dir)); err != nil {
			return c, err
		}
	}
	all := settings(c.Servers)
	maps.Copy(all, o.Settings)
	if err := c.begin(ctx, all); err != nil {
		return c, err
	}
	for _, s := range c.Servers[1:] {
		if err := c.Join(ctx, s); err != nil {
			return c, err
		}
	}
	return c, c.AwaitStandbys(ctx, len(c.Servers)-1)
}

// begin makes the first server.
func (c *Cluster) begin(ctx context.Context, settings map[string]string) error {
	first := c.Servers[0]
	c.Primary = first
	if _, err := first.run(ctx, "initdb", "-D", first.data(), "-U", role, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return err
	}
	settings["unix_socket_directories"] = first.dir
	if err := first.configure(settings); err != nil {
		return err
	}
	if err := first.Start(ctx); err != nil {
		return err
	}
	_, err := first.SQLIn(ctx, "postgres", "create database "+database)
	return err
}

// Join makes a server that does not run a standby of the primary, from a new copy of that.
func (c *Cluster) Join(ctx context.Context, s *Server) error {
	if s.Running() || s == c.Primary {
		return fmt.Errorf("server %s runs already", s.Name)
	}
	if err := os.RemoveAll(s.data()); err != nil {
		return err
	}
	if _, err := s.run(ctx, "pg_basebackup", "-D", s.data(), "-h", c.Primary.Host(), "-p", port, "-U", role,
		"-X", "stream", "--checkpoint=fast", "--no-sync"); err != nil {
		return err
	}
	if err := s.configure(map[string]string{"unix_socket_directories": s.dir}); err != nil {
		return err
	}
	return c.follow(ctx, s)
}

// follow has a server stream from the primary.
func (c *Cluster) follow(ctx context.Context, s *Server) error {
	mark := filepath.Join(s.data(), "standby.signal")
	if err := errors.Join(os.WriteFile(mark, nil, 0o600), c.account.own(mark)); err != nil {
		return err
	}
	if err := s.Set(map[string]string{"primary_conninfo": c.upstream(s)}); err != nil || s.Running() {
		return err
	}
	return s.Start(ctx)
}

func (c *Cluster) upstream(s *Server) string {
	return fmt.Sprintf("host=%s port=%s user=%s application_name=%s connect_timeout=2", c.Primary.Host(), port, role, s.Name)
}

// AwaitStandbys waits until as many standbys stream from the primary.
func (c *Cluster) AwaitStandbys(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		out, err := c.Primary.SQL(ctx, "select count(*) from pg_stat_replication where state = 'streaming'")
		if have, _ := strconv.Atoi(out); err == nil && have >= n {
			return nil
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return fmt.Errorf("%d standbys do not stream: %w; %v", n, context.Cause(ctx), err)
		}
	}
}

// Failover promotes the standby that has the most, and has the others follow it, as Patroni does. The old primary
// is left as it is: killed, frozen, or running. Fence is what keeps it away.
func (c *Cluster) Failover(ctx context.Context) error {
	var best *Server
	most := int64(-1)
	for _, s := range c.standbys() {
		// The server to promote must have what any of them has acknowledged: all stop receiving first.
		if err := s.Set(map[string]string{"primary_conninfo": ""}); err != nil {
			return err
		}
	}
	for _, s := range c.standbys() {
		received, err := s.received(ctx)
		if err != nil {
			return err
		}
		if received > most {
			best, most = s, received
		}
	}
	if best == nil {
		return errors.New("no standby could be promoted")
	}
	if _, err := best.SQL(ctx, "select pg_promote(true, 60)"); err != nil {
		return err
	}
	followers := c.standbys()
	c.Primary = best
	for _, s := range followers {
		if s != best {
			if err := c.follow(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// standbys returns the running servers other than the primary. One that is frozen counts as down.
func (c *Cluster) standbys() (all []*Server) {
	for _, s := range c.Servers {
		if s != c.Primary && s.Running() && s.frozen == nil {
			all = append(all, s)
		}
	}
	return all
}

// received returns how much WAL a standby has, once it receives no more.
func (s *Server) received(ctx context.Context) (int64, error) {
	for {
		out, err := s.SQL(ctx, "select (select count(*) from pg_stat_wal_receiver), pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')::bigint")
		if err != nil {
			return 0, err
		}
		receivers, lsn, _ := strings.Cut(out, "|")
		if receivers == "0" {
			return strconv.ParseInt(lsn, 10, 64)
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// Fence ends a server that was the primary, as the supervisor beside it does once it has lost its leadership, and
// makes it a standby of the present one.
func (c *Cluster) Fence(ctx context.Context, old *Server) error {
	if err := old.Kill(); err != nil {
		return err
	}
	return c.Join(ctx, old)
}

// Switchover is a planned change of the primary: the old one stops in order, and follows.
func (c *Cluster) Switchover(ctx context.Context) error {
	old := c.Primary
	if err := old.Stop(); err != nil {
		return err
	}
	if err := c.Failover(ctx); err != nil {
		return err
	}
	return c.follow(ctx, old)
}

// Database makes another empty database.
func (c *Cluster) Database(ctx context.Context, name string) error {
	_, err := c.Primary.SQLIn(ctx, "postgres", "create database "+name)
	return err
}

// DSN returns how to connect to whichever server is the primary.
func (c *Cluster) DSN() string { return c.DSNOf(database) }

// DSNOf is DSN of another database.
func (c *Cluster) DSNOf(name string) string {
	hosts := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		hosts[i] = s.Host()
	}
	return c.DSNAt(name, strings.Join(hosts, ","), port)
}

// DSNAt is DSNOf over other hosts and ports, such as proxies': each a list with commas. A single server is waited for, however
// slow the machine is.
func (c *Cluster) DSNAt(name, hosts, ports string) string {
	patience := 2
	if len(c.Servers) == 1 {
		patience = 60
	}
	return fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable target_session_attrs=read-write connect_timeout=%d", hosts, ports, role, name, patience)
}

// Close ends all servers and removes their files.
func (c *Cluster) Close() error {
	var errs []error
	for _, s := range c.Servers {
		errs = append(errs, s.Kill())
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}
