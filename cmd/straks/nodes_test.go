package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/clientcert/certtest"
	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/internal/freeport"
	"straks/internal/pgcluster"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// node is "straks serve" as one of several over one database.
type node struct {
	*daemontest.World
	*process
	client *client.Client
}

// newNode configures a node. All share the SMSC and the token of the first.
func newNode(t *testing.T, id int, dsn string, ca *certtest.CA, first *node) *node {
	t.Helper()
	w := daemontest.NewStopped(t, smsctest.Profile{MaxBinds: 1}, relaytest.Profile{}, "")
	peer := freeport.Until(t)
	cert, key := certtest.Files(t, ca.Issue("node", certtest.Node))
	w.ShareJournal(dsn, fmt.Sprintf("id = %d\nlease = \"5s\"\nlisten = %q\nurl = \"https://%s\"\ntls_cert_file = %q\ntls_key_file = %q\ntls_ca_file = %q",
		id, peer, peer, cert, key, certtest.File(t, ca)))
	if first != nil {
		w.EditConfig(w.SMSC.Addr(), first.SMSC.Addr())
		w.EditConfig(tokenSum(w), tokenSum(first.World))
		w.Token = first.Token
	}
	return &node{World: w}
}

// twoNodes makes a journal in the database of a server of its own, and configures two nodes over it.
func twoNodes(t *testing.T) (cluster *pgcluster.Cluster, a, b *node) {
	t.Helper()
	cluster = servers(t, pgcluster.Options{Servers: 1})
	ca := certtest.New("cluster")
	a = newNode(t, 1, cluster.DSN(), ca, nil)
	b = newNode(t, 2, cluster.DSN(), ca, a)
	if err := daemon.CreateJournal(a.Config(), 0); err != nil {
		t.Fatal(err)
	}
	return cluster, a, b
}

func tokenSum(w *daemontest.World) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(w.Token))) }

func (n *node) start() *node {
	n.T.Helper()
	n.process = startProcess(n.World)
	n.client = n.ClientAt(n.api)
	eventually.True(n.T, "the node to be ready", func() bool { return n.ready() == "" })
	return n
}

// repeated makes a request, and repeats it while the answer is 503, as a client does.
func repeated(request func() error) error {
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := request()
		var problem *client.Problem
		if !errors.As(err, &problem) || problem.Status != 503 || time.Now().After(end) {
			return err
		}
	}
}

// insist places an order, and repeats it while the answer is 503.
func insist(t *testing.T, c *client.Client, order client.SMS) (placed client.Placed, err error) {
	err = repeated(func() error {
		placed, err = c.SendSMS(t.Context(), order)
		return err
	})
	return placed, err
}

// send places an order that is taken.
func (n *node) send(key string) client.Placed {
	n.T.Helper()
	p, err := insist(n.T, n.client, daemontest.SMS(key, "+4799999999"))
	if err != nil {
		n.T.Fatalf("%s: %v\n%s", key, err, n.log.String())
	}
	return p
}

// TestNodes: two nodes over one database, and a carrier that allows one bind. Either takes every order, and each is sent
// once. When the node that has the bind is killed, or stopped, the other takes it over.
func TestNodes(t *testing.T) {
	_, a, b := twoNodes(t)
	a.start()
	b.start() // since a can send
	submits := func() int { return len(a.SMSC.Submits()) }

	one := b.send("one")
	if again := a.send("one"); !one.Created || again.Created || again.ShipmentID != one.ShipmentID || submits() != 1 {
		t.Errorf("%+v; again %+v; %d submits", one, again, submits())
	}
	var status bytes.Buffer
	if code := run(t.Context(), []string{"status", "-config", b.ConfigFile()}, nil, &status, os.Stderr); code != 0 ||
		!strings.Contains(status.String(), "elsewhere") || !strings.Contains(status.String(), "NODE") || !strings.Contains(status.String(), "SMS is handed to node [1]") {
		t.Errorf("status of b, %d:\n%s", code, status.String())
	}

	alertsHaveMetrics(t, b)

	killed := time.Now()
	if err := a.kill(); err != nil {
		t.Error(err)
	}
	two := b.send("two")
	t.Logf("%v from the kill to the next order", time.Since(killed).Round(time.Millisecond))
	if again := b.send("one"); again.Created || again.ShipmentID != one.ShipmentID || submits() != 2 {
		t.Errorf("%+v; again %+v; %d submits", two, again, submits())
	}

	a.start()
	if three := a.send("three"); !three.Created || submits() != 3 {
		t.Errorf("%+v; %d submits", three, submits())
	}
	stopped := time.Now()
	b.stop(t)
	four := a.send("four")
	t.Logf("%v from the stop to the next order", time.Since(stopped).Round(time.Millisecond))
	if !four.Created || submits() != 4 || a.SMSC.Stats().BindsNow != 1 {
		t.Errorf("%+v; %d submits; %d binds", four, submits(), a.SMSC.Stats().BindsNow)
	}
	eventually.True(t, "all to be delivered", func() bool {
		s, err := a.client.Shipment(context.Background(), four.ShipmentID)
		return err == nil && s.Recipients[0].Status == "SMS_Delivered"
	})
	a.stop(t)
}

// alertsHaveMetrics: a node has the metrics of nodes that alerts, dashboard and documents ask for.
func alertsHaveMetrics(t *testing.T, n *node) {
	t.Helper()
	resp, err := http.Get("http://" + n.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(map[string]string)
	for _, file := range []string{"configs/alerts-nodes.yml", "configs/dashboard.json", "docs/cluster.md", "docs/operations.md", "docs/monitoring.md"} {
		text, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\bstraks_[a-z_]+`).FindAllString(string(text), -1) {
			if file == "configs/alerts-nodes.yml" || daemontest.OfNode.MatchString(name) {
				asked[name] = file
			}
		}
	}
	for name, file := range asked {
		if !strings.Contains(string(metrics), "\n"+name) {
			t.Errorf("%s asks for %s, which a node does not have", file, name)
		}
	}
	if len(asked) < 12 {
		t.Errorf("only %v is asked for", asked)
	}
	if !strings.Contains(string(metrics), `straks_slots{smsc="telco",state="others"} 1`) {
		t.Error("straks_slots does not say that the other node has the bind")
	}
}
