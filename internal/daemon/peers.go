package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"straks/api"
	"straks/internal/config"
	"straks/internal/connlimit"
	"straks/internal/forward"
	"straks/internal/pemfile"
	"straks/orders"
	"straks/orders/postgres"
)

// peers is what this node has to do with the others.
type peers struct {
	client *forward.Client // nil: orders are not handed to other nodes
	files  *pemfile.Files
	listen net.Listener // nil: none are taken from other nodes

	// up returns what this node can send over, once there is something. The journal begins to ask before that.
	up atomic.Pointer[func() []string]
}

// sendable is what this node can send over; nothing while it is being wired.
func (p *peers) sendable() []string {
	if up := p.up.Load(); up != nil {
		return (*up)()
	}
	return nil
}

// Nodes implements forward.Nodes.
func (d *Daemon) Nodes() (nodes []forward.Node) {
	e, ok := d.journal.(shared)
	if !ok {
		return nil
	}
	for _, n := range e.Nodes() {
		nodes = append(nodes, forward.Node{ID: n.ID, URL: n.URL, Up: n.Up})
	}
	return nodes
}

// liveNodes returns how many nodes share the limits of organisations, this one included.
func (d *Daemon) liveNodes() int { return max(len(d.Nodes()), 1) }

// sendable returns the SMSCs and relays that this node can send over now. One that stops takes orders of others for as long as
// it takes those of clients: it may have the only bind.
func (d *Daemon) sendable() (carriers []string) {
	if d.leaving.Load() {
		return nil
	}
	if d.gateway != nil {
		carriers = append(carriers, d.gateway.Up()...)
	}
	if d.pool != nil {
		carriers = append(carriers, d.pool.Up()...)
	}
	return carriers
}

// answerMargin is what a node that an order was handed to may take beyond the send deadline: to store the order and its
// outcome. See orders.Place.
const answerMargin = 4 * time.Second

// wirePeers makes the client of the other nodes.
func (d *Daemon) wirePeers() (err error) {
	up := d.sendable
	d.peers.up.Store(&up)
	cfg := d.config()
	if !cfg.Node.Forwards() {
		return nil
	}
	if d.peers.files, err = pemfile.Open(cfg.Node.TLSCAFile, cfg.Node.TLSCertFile, cfg.Node.TLSKeyFile); err != nil {
		return fmt.Errorf("node.tls_cert_file: %w", err)
	}
	d.peers.files.Report = func(err error) {
		d.log.Error("certificate files have changed and can't be used; the previous ones stay in use", "key", "node.tls_cert_file", "err", err)
	}
	d.peers.client, err = forward.New(forward.Config{Node: cfg.Node.ID, Nodes: d, Files: d.peers.files,
		Timeout: min(cfg.API.SendDeadline+answerMargin, cfg.API.WriteTimeout-time.Second/2), Log: d.log, Registerer: d.registry})
	return err
}

// listenPeers opens the listener for other nodes.
func (d *Daemon) listenPeers(systemd *inherited) (err error) {
	if cfg := d.config(); cfg.Node.Forwards() {
		d.peers.listen, err = systemd.listen("node", cfg.Node.Listen)
	}
	return err
}

// servePeers answers orders that other nodes hand over.
func (d *Daemon) servePeers(ctx context.Context) error {
	c := d.config().API
	limits := c.Limits()
	limiter := connlimit.New(connlimit.Limits{Open: c.MaxConnections}, d.log)
	srv := api.Server(d.handler, limits, limiter, d.log)
	srv.Handler = forward.Accept(d.handler, d.log)
	srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){} // HTTP/1.1 only
	return serveHTTP(ctx, srv, tls.NewListener(limiter.Listener(d.peers.listen), forward.ServerTLS(d.peers.files)), c.DrainTimeout)
}

// nodesEvery is how often the number of nodes is looked at.
const nodesEvery = time.Second

// watchNodes divides the rates of organisations by the nodes that live, until ctx ends.
func (d *Daemon) watchNodes(ctx context.Context) error {
	tick := time.NewTicker(nodesEvery)
	defer tick.Stop()
	for was := 0; ; {
		now := d.liveNodes()
		if e, ok := d.journal.(shared); ok && e.Allow() != nil && was > 0 {
			now = was // it takes no orders, and knows nothing of the others
		}
		if now != was {
			was = now
			d.reload.mu.Lock()
			d.handler.Reconfigure(d.apiSettings(d.config()))
			d.reload.mu.Unlock()
			d.log.Info("the rates of organisations are divided by the live nodes", "nodes", now)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// elsewhere returns the live nodes that can send messages of a channel, while this one hands orders over.
func (d *Daemon) elsewhere(channel orders.Channel) (ids []int) {
	cfg := d.config()
	if d.peers.client == nil {
		return nil
	}
	carriers := carriersOf(cfg, channel)
	for _, n := range d.Nodes() {
		if n.ID != cfg.Node.ID && n.URL != "" && slices.ContainsFunc(n.Up, func(up string) bool { return slices.Contains(carriers, up) }) {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// onlyElsewhere reports whether another live node can send the message of an order, and this one can't.
func (d *Daemon) onlyElsewhere(o orders.Order) bool {
	carriers, now := d.service.Reach(o)
	if now {
		return false
	}
	own := d.config().Node.ID
	return slices.ContainsFunc(d.Nodes(), func(n forward.Node) bool {
		return n.ID != own && slices.ContainsFunc(n.Up, func(up string) bool { return slices.Contains(carriers, up) })
	})
}

func carriersOf(cfg *config.Config, channel orders.Channel) (names []string) {
	if channel == orders.SMS {
		for _, s := range cfg.SMSCs {
			names = append(names, s.Name)
		}
		return names
	}
	for _, r := range cfg.Relays {
		names = append(names, r.Name)
	}
	return names
}

// toOthers is what this node tells the others again and again.
type toOthers struct {
	up    func() []string          // what it can send over
	alike func() map[string]string // hashes of what must be the same on all
	binds func() map[string]int    // of each SMSC's account, all nodes together
}

func (d *Daemon) toOthers() toOthers {
	return toOthers{d.peers.sendable, func() map[string]string { return d.config().Alike() }, d.binds}
}

// binds returns how many binds each SMSC's account has.
func (d *Daemon) binds() map[string]int {
	all := make(map[string]int)
	for _, s := range d.config().SMSCs {
		all[s.Name] = cmp.Or(s.Binds, 1)
	}
	return all
}

// NodeState is this node among those that share the journal.
type NodeState struct {
	ID       int             `json:"id"`
	Allowed  string          `json:"notAllowed,omitempty"` // why it must not submit now
	Live     []postgres.Node `json:"live"`
	Forwards bool            `json:"forwards"` // it hands orders over, and takes those of others

	Differs []postgres.Difference `json:"differs,omitempty"` // what must be the same on all nodes, and is not
}

// nodeState returns nil where the journal is this node's alone.
func (d *Daemon) nodeState() *NodeState {
	e, ok := d.journal.(shared)
	if !ok {
		return nil
	}
	s := &NodeState{ID: d.config().Node.ID, Live: e.Nodes(), Forwards: d.peers.client != nil, Differs: e.Differences()}
	if err := e.Allow(); err != nil {
		s.Allowed = err.Error()
	}
	return s
}
