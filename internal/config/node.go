package config

import (
	"net/url"
	"time"

	"straks/internal/faults"
)

// Node is this process among those that share a journal.
type Node struct {
	ID    int           // 1 to 999, unlike any other node's. Required with journal.engine = "postgres"
	Lease time.Duration // after how long without a sign of life a node counts as dead; the same on all nodes: 8s

	// Listen is the listener for other nodes, host:port, with a certificate and its key, and the certificates of the
	// authority that signs those of all nodes and of nobody else (PEM). All four or none: without, no node hands orders to another.
	Listen      string
	TLSCertFile string
	TLSKeyFile  string // a path, or a name in $CREDENTIALS_DIRECTORY
	TLSCAFile   string `toml:"tls_ca_file"`
	URL         string // where other nodes reach that listener: https://host:port. The certificate must be for that host
}

func (n *Node) setDefaults() { n.Lease = 8 * time.Second }

// Forwards reports whether the node hands orders to others, and takes theirs.
func (n *Node) Forwards() bool { return n.Listen != "" }

func (n *Node) check(c *checker, shared bool) {
	if !shared {
		c.Unless(n.ID == 0, "id", `is given, but journal.engine is "bolt": such a journal has one node`)
		for _, k := range n.forPeers() {
			c.Unless(k.value == "", k.name, `is given, but journal.engine is "bolt": there is no other node`)
		}
		return
	}
	if n.ID == 0 {
		c.Add("id", "is missing: with journal.engine = \"postgres\" each node needs a number of its own, from 1 to 999")
	} else {
		faults.Range(c.List, "id", n.ID, 1, 999)
	}
	c.Duration("lease", n.Lease, 2*time.Second, time.Minute)
	n.checkPeers(c)
}

type nodeKey struct{ name, value string }

// forPeers are the keys of the listener for other nodes, which go together.
func (n *Node) forPeers() []nodeKey {
	return []nodeKey{{"listen", n.Listen}, {"url", n.URL}, {"tls_cert_file", n.TLSCertFile}, {"tls_key_file", n.TLSKeyFile}, {"tls_ca_file", n.TLSCAFile}}
}

func (n *Node) checkPeers(c *checker) {
	given := 0
	for _, k := range n.forPeers() {
		if k.value != "" {
			given++
		}
	}
	if given == 0 {
		c.warn("listen", "is missing: an order that this node can't send is not handed to another node, and gets 503")
		return
	}
	for _, k := range n.forPeers() {
		c.Unless(k.value != "", k.name, "is missing: it belongs to the listener for other nodes, with listen, url, tls_cert_file, tls_key_file and tls_ca_file")
	}
	if n.Listen != "" {
		c.listen("listen", n.Listen)
	}
	if u, err := url.Parse(n.URL); n.URL != "" && (err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Port() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil) {
		c.Add("url", "is %q, must be https://host:port, where other nodes reach node.listen", n.URL)
	}
	if n.TLSCertFile != "" && n.TLSKeyFile != "" { // else one of them is missing, and said so
		c.keyPair("tls_cert_file", &n.TLSCertFile, "tls_key_file", &n.TLSKeyFile)
	}
	c.authorities("tls_ca_file", n.TLSCAFile)
}
