package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"straks/api/client"
	"straks/internal/clientcert/certtest"
	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/internal/pgcluster"
)

// nextVersion builds the program as its next version may be: with a further step of the schema, and one more field in the
// record of a shipment, which it alone fills.
func nextVersion(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	replaced := make(map[string]string)
	for file, passages := range map[string][]string{
		"../../orders/shipment.go":       {"type Shipment struct {", "type Shipment struct {\n\tNext string\n", "\ts.Retry(in)\n", "\ts.Retry(in)\n\ts.Next = \"newer!\"\n"},
		"../../orders/postgres/codec.go": {"\ttext(c, &s.Cost.Class)\n", "\ttext(c, &s.Cost.Class)\n\ttext(c, &s.Next)\n"},
		"../../orders/postgres/schema.go": {"{tables}", "{tables, \"alter table shipments add column next int; alter table nodes add column next text not null default ''; " +
			"create table next (id uuid primary key); create index on next (id)\"}"},
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		next := string(text)
		for i := 0; i < len(passages); i += 2 {
			if strings.Count(next, passages[i]) != 1 {
				t.Fatalf("%s has not one %q", file, passages[i])
			}
			next = strings.Replace(next, passages[i], passages[i+1], 1)
		}
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		replaced[path] = filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(replaced[path], []byte(next), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "straks")
	if out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// startAs starts a node with another program.
func (n *node) startAs(binary string) {
	n.T.Helper()
	n.process = launchCommand(n.World, exec.Command(binary, "serve", "-config", n.ConfigFile()))
	select {
	case <-n.serving:
	case <-n.ended:
		n.T.Fatalf("the node does not serve:\n%s", n.log.String())
	}
	n.client = n.ClientAt(n.api)
	eventually.True(n.T, "the node to be ready", func() bool { return n.ready() == "" })
}

// TestVersions: while nodes have orders, the next version upgrades the schema and joins them. Each hands orders to the
// other, reads what the other has stored, and changes it without loss; an older node may start again meanwhile.
func TestVersions(t *testing.T) {
	if err := pgcluster.Available(); err != nil {
		t.Skip(err)
	}
	next := nextVersion(t)
	cluster, err := pgcluster.Start(t.Context(), pgcluster.Options{Servers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	count := func(where string) string {
		t.Helper()
		n, err := cluster.Servers[0].SQL(t.Context(), "select count(*) from straks.shipments where "+where)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ca := certtest.New("cluster")
	a := newNode(t, 1, cluster.DSN(), ca, nil)
	b := newNode(t, 2, cluster.DSN(), ca, a)
	c := newNode(t, 3, cluster.DSN(), ca, a)
	if err := daemon.CreateJournal(a.Config(), 0); err != nil {
		t.Fatal(err)
	}
	a.start()
	b.start()
	var all []client.Placed
	send := func(n *node, what string) {
		t.Helper()
		for i := range 5 {
			all = append(all, n.send(fmt.Sprint(what, i)))
		}
	}
	send(a, "first")
	stop, loaded := make(chan struct{}), make(chan []client.Placed)
	go func() {
		var placed []client.Placed
		for i := 0; ; i++ {
			select {
			case <-stop:
				loaded <- placed
				return
			default:
			}
			p, err := insist(t, b.client, daemontest.SMS(fmt.Sprint("load", i), "+4799999999"))
			if err != nil {
				t.Errorf("while the schema is upgraded: %v", err)
				continue
			}
			placed = append(placed, p)
		}
	}()
	as := func(args ...string) (string, error) {
		out, err := exec.Command(next, append(args, "-config", c.ConfigFile())...).CombinedOutput()
		return string(out), err
	}
	if out, err := as("serve"); err == nil || !strings.Contains(out, "straks upgrade") {
		t.Errorf("the next version before the upgrade: %v, %s", err, out)
	}
	for _, want := range []string{"now", "already"} {
		if out, err := as("upgrade"); err != nil || !strings.Contains(out, want) {
			t.Fatalf("upgrade: %v, %s", err, out)
		}
	}
	c.startAs(next)
	close(stop)
	all = append(all, <-loaded...)
	send(c, "by the newer, at the older")
	b.stop(t)
	a.stop(t)
	eventually.True(t, "the newer to take over the bind", func() bool { return c.ready() == "" })
	b.start()
	send(b, "by the older, at the newer")
	send(c, "at the newer")
	for _, n := range []*node{b, c} {
		for _, p := range all {
			eventually.True(t, "the receipts at both", func() bool {
				s, err := n.client.Shipment(t.Context(), p.ShipmentID)
				return err == nil && s.Recipients[0].Status == "SMS_Delivered"
			})
		}
	}
	const grown = "substr(record, length(record) - 5) = 'newer!'::bytea"
	before := count(grown)
	if before == "0" {
		t.Error("no record has the field of the newer version")
	}
	if code, _, stderr := straks(t, "", "forget", "-reason", "case 7", "-admin", b.admin, "+4799999999"); code != exitDone { // writes all again
		t.Error(stderr)
	}
	if after, person := count(grown), count("position('99999999'::bytea in record) > 0"); after != before || person != "0" {
		t.Errorf("%s records have the field of the newer version, %s before an older one wrote them; %s have the person", after, before, person)
	}
	var feeds [2][]client.FeedEntry
	for i, n := range []*node{b, c} {
		if feeds[i], err = n.client.Feed(t.Context(), client.FeedQuery{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(feeds[0]) == 0 || !reflect.DeepEqual(feeds[0], feeds[1]) {
		t.Errorf("the feed of the older has %d entries, that of the newer %d", len(feeds[0]), len(feeds[1]))
	}
	if n := len(a.SMSC.Submits()); n != len(all) {
		t.Errorf("%d submits of %d orders", n, len(all))
	}
	b.stop(t)
	all = nil
	send(c, "the newer alone")
	c.stop(t)
	if out, err := as("journal", "check"); err != nil {
		t.Errorf("%v, %s", err, out)
	}
}
