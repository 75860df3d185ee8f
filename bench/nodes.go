package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"straks/internal/nodes"
	"straks/internal/pgcluster"
	"straks/orders"
)

// gateway is what a scenario drives: one daemon, or nodes.
type gateway struct {
	daemons []*daemon
	servers []*pgcluster.Server // of the nodes' database
}

func (d *daemon) alone() gateway { return gateway{daemons: []*daemon{d}} }

func (g gateway) addrs() (all []string) {
	for _, d := range g.daemons {
		all = append(all, d.api)
	}
	return all
}

func (g gateway) processes() (all processes) {
	for _, d := range g.daemons {
		all = append(all, d.processes()...)
	}
	return all
}

func (g gateway) metrics() (sum metrics) {
	for _, d := range g.daemons {
		m := d.metrics()
		sum.delivered += m.delivered
		sum.batches, sum.calls, sum.commit = sum.batches+m.batches, sum.calls+m.calls, sum.commit+m.commit
	}
	return sum
}

// databaseCPU returns the processor time of all servers so far, replication included.
func (g gateway) databaseCPU() (sum time.Duration) {
	for _, s := range g.servers {
		sum += processes(s.Processes()).cpu()
	}
	return sum
}

// databaseMemory returns the resident memory of all servers in KiB, shared buffers included.
func (g gateway) databaseMemory() (sum int) {
	for _, s := range g.servers {
		sum += processes(s.Processes()).shared()
	}
	return sum
}

// asNodes returns the programs run as nodes; where there is one, it is run over a file first, for the ratio.
func asNodes(programs []program, n int) (all []program) {
	if len(programs) == 1 {
		all = append(all, program{name: "file", path: programs[0].path})
	}
	for _, p := range programs {
		name := fmt.Sprintf("%d nodes", n)
		if len(programs) > 1 {
			name = p.name
		}
		all = append(all, program{name, p.path, n})
	}
	return all
}

// usualOfNodes returns the scenarios of the figures of nodes. More clients make larger transactions, which nodes need
// more than a file does.
func usualOfNodes() []scenario {
	all := slices.DeleteFunc(usual(), func(s scenario) bool { return s.Frozen })
	return append(all, scenario{Name: "saturated, 256 clients", Clients: 256})
}

// overNodes runs the scenario with nodes over an empty journal in a new database: a primary and two standbys, of which
// one has each commit. Each node has one bind, and the clients' connections are spread over the nodes.
func (s scenario) overNodes(ctx context.Context, p program) (r result, err error) {
	smsc := &simulator{}
	w, err := nodes.New(ctx, nodes.Options{Program: func(args ...string) *exec.Cmd { return exec.Command(p.path, args...) },
		Nodes: p.nodes, Binds: p.nodes, SMSC: smsc.profile(s.Delay, s.Receipt), Token: token, Account: fmt.Sprint("window = ", s.window()), HA: true})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	smsc.SMSC = w.SMSC
	g, err := startNodes(ctx, w)
	if err != nil {
		return r, err
	}
	r, err = s.measure(ctx, g, smsc, func() int { return deliveredIn(ctx, w.DB.Primary) })
	for _, n := range w.Nodes {
		err = errors.Join(err, n.Stop())
	}
	return r, err
}

// deliveredIn returns how many shipments are delivered. The nodes' metrics may miss one whose answer or receipt was stored
// so late that it was stored again.
func deliveredIn(ctx context.Context, s *pgcluster.Server) int {
	n, _ := s.SQL(ctx, fmt.Sprint("select count(*) from straks.shipments where status = ", int(orders.SMSDelivered)))
	delivered, _ := strconv.Atoi(n) // of no answer: none yet
	return delivered
}

// startNodes starts the nodes, and returns when each of them has its bind.
func startNodes(ctx context.Context, w *nodes.World) (g gateway, err error) {
	if err := w.StartAll(ctx); err != nil {
		return g, err
	}
	g.servers = w.DB.Servers
	for _, n := range w.Nodes {
		d := &daemon{pid: n.PID(), profiler: socketClient(n.Admin)}
		d.api, d.admin = n.Addresses()
		for {
			binds, err := d.counter("straks_smpp_bind_up")
			if err != nil {
				return g, err
			}
			if binds == 1 {
				break
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return g, fmt.Errorf("node %s has %v binds: %w\n%s", n.Name, binds, ctx.Err(), n.Log())
			}
		}
		g.daemons = append(g.daemons, d)
	}
	return g, nil
}

// socketClient returns a client of the listener on a unix socket.
func socketClient(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
}
