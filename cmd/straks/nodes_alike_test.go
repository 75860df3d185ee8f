package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"straks/internal/clientcert/certtest"
	"straks/internal/daemon"
	"straks/internal/pgcluster"
)

// TestNodesDiffer: a node whose dialect of the SMSC is not that of the node before it says so, does not bind, and hands its
// orders over. It binds once the other has gone.
func TestNodesDiffer(t *testing.T) {
	cluster := servers(t, pgcluster.Options{Servers: 1})
	ca := certtest.New("cluster")
	a := newNode(t, 2, cluster.DSN(), ca, nil)
	b := newNode(t, 1, cluster.DSN(), ca, a)
	b.EditConfig("name = \"telco\"\n", "name = \"telco\"\nanswer_ids = \"fold\"\n")
	for _, n := range []*node{a, b} {
		n.EditConfig("name = \"telco\"\n", "name = \"telco\"\nbinds = 2\n")
	}
	if err := daemon.CreateJournal(a.Config(), 0); err != nil {
		t.Fatal(err)
	}
	a.start()
	b.start()
	b.send("one")
	var status bytes.Buffer
	if code := run(t.Context(), []string{"status", "-config", b.ConfigFile()}, nil, &status, os.Stderr); code != 0 ||
		!strings.Contains(status.String(), "smsc.telco.dialect") || !strings.Contains(status.String(), "this node does not bind to the SMSC") {
		t.Errorf("status of b, %d:\n%s", code, status.String())
	}
	if n := strings.Count(b.log.String(), "smsc.telco.dialect"); n != 1 || a.SMSC.Stats().BindsNow != 1 {
		t.Errorf("told %d times, %d binds:\n%s", n, a.SMSC.Stats().BindsNow, b.log.String())
	}
	a.stop(t)
	b.send("two")
	if got := len(a.SMSC.Submits()); got != 2 {
		t.Errorf("%d submits", got)
	}
	b.stop(t)
}
