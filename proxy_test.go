package straks_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"straks/smpp/peertest"
)

// TestProxies: the programs themselves find no fault in the examples of configs/proxy.
func TestProxies(t *testing.T) {
	pair, _ := peertest.Certificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("fullchain.pem", cert)
	write("privkey.pem", private)
	write("bundle.pem", cert+private)
	// here puts the files that an example names into the folder of the test.
	here := func(name string) string {
		text := strings.NewReplacer("/etc/ssl/straks", dir, "/var/log/nginx", dir, "/var/log/caddy", dir).Replace(readDoc(t, "configs/proxy/"+name))
		return write(name, text)
	}
	for _, c := range []struct {
		program string
		args    []string
	}{
		{"nginx", []string{"-t", "-e", "stderr", "-p", dir, "-c", write("main.conf", fmt.Sprintf("pid %s/pid;\nevents {}\nhttp { include %s; }\n", dir, here("nginx.conf")))}},
		{"nginx", []string{"-t", "-e", "stderr", "-p", dir, "-c", write("nodes.conf", fmt.Sprintf("pid %s/pid;\nevents {}\nhttp { include %s; }\n", dir, here("nginx-nodes.conf")))}},
		{"haproxy", []string{"-c", "-f", here("haproxy.cfg")}},
		{"haproxy", []string{"-c", "-f", here("haproxy-nodes.cfg")}},
		{"caddy", []string{"validate", "--adapter", "caddyfile", "--config", here("Caddyfile")}},
	} {
		t.Run(c.program, func(t *testing.T) {
			if _, err := exec.LookPath(c.program); err != nil {
				t.Skipf("%s is not installed; .ci/proxy-deps installs it", c.program)
			}
			command := exec.Command(c.program, c.args...)
			command.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
			out, err := command.CombinedOutput()
			if text := strings.ToLower(string(out)); err != nil || strings.Contains(text, "[warn") || strings.Contains(text, `"level":"warn"`) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
