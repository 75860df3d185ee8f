package pgcluster

import (
	"context"
	"os"
	"testing"
	"time"
)

// start makes a cluster that ends with the test.
func start(t *testing.T, o Options) *Cluster {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip(err)
	}
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(c.dir); !os.IsNotExist(err) {
			t.Errorf("the folder is left: %v", err)
		}
	})
	return c
}

func sql(t *testing.T, s *Server, statements, want string) {
	t.Helper()
	if got, err := s.SQL(t.Context(), statements); err != nil || got != want {
		t.Fatalf("%s on %s: %q, %v; want %q\n%s", statements, s.Name, got, err, want, s.Log())
	}
}

// synchronous is a statement whose commit waits for a standby.
const synchronous = "set synchronous_commit = on; insert into seen values (1)"

// TestFailover kills the primary, promotes a standby, makes the old one a standby, and changes places again.
func TestFailover(t *testing.T) {
	c := start(t, Options{})
	ctx := t.Context()
	sql(t, c.Primary, "create table seen (n int); "+synchronous, "")
	first := c.Primary
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Failover(ctx); err != nil {
		t.Fatal(err)
	}
	if c.Primary == first {
		t.Fatal("the primary is the one that was killed")
	}
	sql(t, c.Primary, synchronous+"; select count(*) from seen", "2")
	if err := c.Join(ctx, first); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitStandbys(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if err := c.Switchover(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitStandbys(ctx, 2); err != nil {
		t.Fatal(err)
	}
	sql(t, c.Primary, synchronous+"; select count(*) from seen", "3")
}

// TestKill: a server that was killed can be started at once.
func TestKill(t *testing.T) {
	c := start(t, Options{Servers: 1})
	for range 5 {
		if err := c.Primary.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Primary.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFrozenPrimary: a primary that wakes after another was promoted commits nothing.
func TestFrozenPrimary(t *testing.T) {
	c := start(t, Options{})
	ctx := t.Context()
	sql(t, c.Primary, "create table seen (n int); "+synchronous, "")
	old := c.Primary
	old.Freeze()
	if err := c.Failover(ctx); err != nil {
		t.Fatal(err)
	}
	sql(t, c.Primary, synchronous, "")
	old.Thaw()
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if out, err := old.SQL(short, synchronous); err == nil {
		t.Errorf("the old primary has committed: %q", out)
	}
	if err := c.Fence(ctx, old); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitStandbys(ctx, 2); err != nil {
		t.Fatal(err)
	}
	sql(t, c.Primary, synchronous+"; select count(*) from seen", "3")
}

func TestNumberIn(t *testing.T) {
	for text, want := range map[string]int{"postgres (PostgreSQL) 15.18 (Debian)": 15, "/usr/pgsql-16/bin": 16, "": 0, "none": 0, "9": 9} {
		if got := numberIn(text); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}

// TestWaitFor: commits wait for a standby as soon as it is said that they do, and no more when it is said that they don't.
func TestWaitFor(t *testing.T) {
	c := start(t, Options{Servers: 1})
	sql(t, c.Primary, "create table seen (n int)", "")
	for range 3 {
		for _, standby := range []string{"nobody", ""} {
			if err := c.Primary.WaitFor(t.Context(), standby); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			committed := make(chan error, 1)
			go func() {
				_, err := c.Primary.SQL(ctx, synchronous)
				committed <- err
			}()
			for got := "0"; standby != "" && got == "0"; {
				var err error
				if got, err = c.Primary.SQL(t.Context(), "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"); err != nil {
					t.Fatal(err)
				}
				if len(committed) > 0 {
					t.Fatal("a commit did not wait")
				}
			}
			if standby != "" {
				cancel()
			}
			if err := <-committed; (err == nil) != (standby == "") {
				t.Errorf("waiting for %q: %v", standby, err)
			}
			cancel()
		}
	}
}
