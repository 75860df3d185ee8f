package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"straks/internal/freeport"
	"straks/internal/nodes"
	"straks/internal/pgcluster"
	"straks/smpp/smsctest"
)

// TestNodesBehindProxies: HAProxy and nginx, with the examples of configs/proxy, in front of two nodes. A node that stops
// loses no request. When one is killed, clients that get no answer, or a 502, repeat the order, and what was answered is
// sent once.
func TestNodesBehindProxies(t *testing.T) {
	for program, configure := range map[string]func(*testing.T, *nodes.World, string) []string{"haproxy": haproxy, "nginx": nginx} {
		t.Run(program, func(t *testing.T) {
			if _, err := exec.LookPath(program); err != nil {
				t.Skipf("%s is not installed; .ci/proxy-deps installs it", program)
			}
			w := behind(t)
			w.Front = freeport.Until(t)
			serveProxy(t, w.Front, program, configure(t, w, t.TempDir()))
			a, b := w.Nodes[0], w.Nodes[1]

			share(t, w)
			load := w.Load(4, 5*time.Millisecond)
			place(t, w, 50)
			must(t, a.Stop())
			place(t, w, 50)
			stop(t, load)
			for _, o := range w.Book.Orders() {
				if o.Refused+o.Unanswered > 0 {
					t.Errorf("a node has stopped, and a client saw it: %+v", o)
				}
			}

			must(t, a.Start(t.Context()))
			must(t, a.AwaitReady(t.Context()))
			share(t, w)
			load = w.Load(4, 5*time.Millisecond)
			place(t, w, 50)
			must(t, b.Kill())
			place(t, w, 50)
			must(t, b.Start(t.Context()))
			must(t, b.AwaitReady(t.Context()))
			place(t, w, 50)
			stop(t, load)
			v := w.Judge(t.Context())
			for _, fault := range v.Faults {
				t.Error(fault)
			}
			logVerdict(t, v)
		})
	}
}

// behind makes two nodes that run.
func behind(t *testing.T) *nodes.World {
	t.Helper()
	db := servers(t, pgcluster.Options{Servers: 1})
	w, err := nodes.New(t.Context(), nodes.Options{Program: asNode, Database: db, SMSC: smsctest.Profile{}, API: `drain_notice = "5s"`, Ports: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, n := range w.Nodes {
				t.Logf("node %s:\n%s", n.Name, n.Log())
			}
		}
	})
	must(t, w.StartAll(t.Context()))
	return w
}

// share waits until each node has one of the two binds. Before that, a node that stops takes both with it.
func share(t *testing.T, w *nodes.World) {
	t.Helper()
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		alone := 0
		for _, n := range w.Nodes {
			_, text, _ := n.Get(t.Context(), "/metrics")
			if strings.Count(text, "\nstraks_smpp_bind_up{") == 1 && bindUp.MatchString(text) {
				alone++
			}
		}
		if alone == len(w.Nodes) {
			return
		}
		if time.Now().After(until) {
			t.Fatal("the binds are not shared")
		}
	}
}

var bindUp = regexp.MustCompile(`(?m)^straks_smpp_bind_up{.*} 1$`)

// place waits until clients have got answers to that many more orders.
func place(t *testing.T, w *nodes.World, more int) {
	t.Helper()
	answered := func() (n int) {
		for _, o := range w.Book.Orders() {
			if o.Answered() {
				n++
			}
		}
		return n
	}
	end := answered() + more
	for until := time.Now().Add(2 * time.Minute); answered() < end; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("orders are not answered")
		}
	}
}

func stop(t *testing.T, load *nodes.Load) {
	t.Helper()
	for _, fault := range load.Stop(t.Context()) {
		t.Error(fault)
	}
}

// example returns an example of configs/proxy with other addresses, and writes it into dir.
func example(t *testing.T, dir, name string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../configs/proxy", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			t.Fatalf("%s has no %q", name, replace[i])
		}
	}
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600))
	return path
}

// haproxy returns the arguments of HAProxy. It asks /readyz at the port of each node's metrics.
func haproxy(t *testing.T, w *nodes.World, dir string) []string {
	server := func(n *nodes.Node) string {
		api, metrics := n.Addresses()
		_, port, _ := strings.Cut(metrics, ":")
		return fmt.Sprintf("%s port %s", api, port)
	}
	return []string{"-db", "-f", example(t, dir, "haproxy-nodes.cfg",
		"maxconn 10000", "maxconn 100", // within the limit of descriptors
		"timeout connect 2s", "timeout connect 60s\n    timeout check 60s", // a machine may be slow
		"bind :443 ssl crt /etc/ssl/straks/bundle.pem alpn h2,http/1.1", "bind "+w.Front,
		"10.0.0.1:8080", server(w.Nodes[0]), "10.0.0.2:8080", server(w.Nodes[1]))}
}

// nginx returns the arguments of nginx.
func nginx(t *testing.T, w *nodes.World, dir string) []string {
	a, _ := w.Nodes[0].Addresses()
	b, _ := w.Nodes[1].Addresses()
	site := example(t, dir, "nginx-nodes.conf", "10.0.0.1:8080", a, "10.0.0.2:8080", b,
		"listen 443 ssl;", "listen "+w.Front+";", "listen [::]:443 ssl;", "",
		"ssl_certificate     /etc/ssl/straks/fullchain.pem;", "", "ssl_certificate_key /etc/ssl/straks/privkey.pem;", "",
		"/var/log/nginx", dir)
	file := filepath.Join(dir, "main.conf")
	must(t, os.WriteFile(file, fmt.Appendf(nil, "daemon off;\nmaster_process off;\npid %s/pid;\nevents {}\nhttp { include %s; }\n", dir, site), 0o600))
	return []string{"-e", "stderr", "-p", dir, "-c", file}
}

// serveProxy runs a proxy until the test ends, and returns when it serves.
func serveProxy(t *testing.T, addr, program string, args []string) {
	t.Helper()
	var log strings.Builder
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // its end is what counts
		<-ended
		if t.Failed() {
			t.Logf("%s:\n%s", program, log.String())
		}
	})
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + addr + "/")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s does not serve: %v", program, err)
		}
	}
}
