package examples

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// sandbox is a running `straks sandbox`.
type sandbox struct {
	BaseURL string `json:"baseURL"`
	Token   string `json:"token"`
	Inbox   string `json:"inbox"`
}

// build returns the path of a straks that was built for this test.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "straks")
	if out, err := exec.Command("go", "build", "-o", binary, "straks/cmd/straks").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// startSandbox runs a sandbox until the test ends.
func startSandbox(t *testing.T, binary string) sandbox {
	t.Helper()
	cmd := exec.Command(binary, "sandbox", "-listen", "127.0.0.1:0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	var s sandbox
	if err := json.NewDecoder(out).Decode(&s); err != nil {
		t.Fatalf("the sandbox said nothing of itself: %v", err)
	}
	return s
}

// badNetwork stands before the sandbox. Of each order's attempts the first is answered 503,
// the second gets through but its answer is lost, the third gets through. Of the feed's, the
// first is answered 503.
type badNetwork struct {
	*httptest.Server
	mu     sync.Mutex
	orders []string // the idempotencyId of each attempt
	pages  int
}

func newBadNetwork(t *testing.T, s sandbox) *badNetwork {
	t.Helper()
	target, err := url.Parse(s.BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	target.Path = ""
	proxy := httputil.NewSingleHostReverseProxy(target)
	n := &badNetwork{}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch n.attempt(r.Method, body) {
		case 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(n.Close)
	return n
}

// attempt counts one, and returns which it is: 3 for every page of the feed but the first.
func (n *badNetwork) attempt(method string, body []byte) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if method == http.MethodGet {
		if n.pages++; n.pages > 1 {
			return 3
		}
		return 1
	}
	var order struct {
		Key string `json:"idempotencyId"`
	}
	_ = json.Unmarshal(body, &order)
	n.orders = append(n.orders, order.Key)
	return len(n.orders)
}

// client is one of the examples, ready to run.
type client struct {
	name    string
	command []string
	dir     string
	needs   []string // programs
	prepare func(t *testing.T, dir string)
}

// need skips the test where a program is not installed.
func need(t *testing.T, programs []string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s", program)
		}
	}
}

const jackson = "/usr/share/java/jackson-databind.jar"

var clients = []client{
	{name: "curl", command: []string{"./straks.sh"}, dir: "curl", needs: []string{"bash", "curl", "jq"}},
	{name: "go", command: []string{"go", "run", "."}, dir: "go"},
	{name: "python", command: []string{"python3", "straks.py"}, dir: "python", needs: []string{"python3"}},
	{name: "typescript", command: []string{"node", "straks.js"}, dir: "typescript", needs: []string{"node", "npm"}, prepare: compileTypeScript},
	{name: "java", command: []string{"java", "-cp", "/usr/share/java/jackson-core.jar:/usr/share/java/jackson-annotations.jar:" + jackson, "Straks.java"},
		dir: "java", needs: []string{"java", "javac"}, prepare: needJackson},
}

func needJackson(t *testing.T, _ string) {
	if _, err := os.Stat(jackson); err != nil {
		t.Skip("needs Jackson (Debian's libjackson2-databind-java)")
	}
}

// compileTypeScript needs what .ci/examples-deps has installed.
func compileTypeScript(t *testing.T, dir string) {
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Skip("needs the npm packages of examples/typescript (npm ci)")
	}
	cmd := exec.Command("npx", "--no-install", "tsc")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tsc: %v\n%s", err, out)
	}
}

func (c client) run(t *testing.T, n *badNetwork, s sandbox, args ...string) string {
	t.Helper()
	base, err := url.Parse(s.BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(c.command[0], append(c.command[1:], args...)...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "STRAKS_URL="+n.URL+base.Path, "STRAKS_TOKEN="+s.Token)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", c.name, args, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// TestExamples: over a network that turns an order away, and then loses the answer to it, each
// example sends one message, learns its shipment, and reads in the feed what became of it; a second run goes on behind it.
func TestExamples(t *testing.T) {
	binary := build(t)
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			need(t, c.needs)
			if c.prepare != nil {
				c.prepare(t, c.dir)
			}
			s := startSandbox(t, binary)
			n := newBadNetwork(t, s)
			shipment := c.run(t, n, s, "send", "+4799999999", "Koden er \"123456\"\næøå")
			if !uuidForm.MatchString(shipment) {
				t.Fatalf("send printed %q, want a shipment's id", shipment)
			}
			if len(n.orders) != 3 || n.orders[0] == "" || n.orders[0] != n.orders[1] || n.orders[1] != n.orders[2] {
				t.Errorf("attempts had the keys %q, want three with the same", n.orders)
			}
			// Two programs, one entry each: the second begins where the first has ended.
			cursor := filepath.Join(t.TempDir(), "cursor")
			seen := c.run(t, n, s, "follow", cursor, "1")
			if want := fmt.Sprintf("2 %s SMS_Delivered", shipment); seen != want {
				t.Errorf("follow printed %q, want %q", seen, want)
			}
			shipment = c.run(t, n, s, "send", "+4799999901", "Koden er 654321")
			seen = c.run(t, n, s, "follow", cursor, "1")
			if want := fmt.Sprintf("4 %s SMS_Failed_Undelivered", shipment); seen != want {
				t.Errorf("follow printed %q, want %q", seen, want)
			}
		})
	}
}
