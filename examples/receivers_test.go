package examples

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"straks/hooks"
	"straks/internal/eventually"
	"straks/internal/freeport"
)

// receivers are the examples that receive webhooks. Each takes the host and the port to listen on, except Go's, which
// takes both as one.
var receivers = []client{
	{name: "go", command: []string{"go", "run", "./receiver"}, dir: "go"},
	{name: "python", command: []string{"python3", "receiver.py"}, dir: "python", needs: []string{"python3"}},
	{name: "typescript", command: []string{"node", "receiver.js"}, dir: "typescript", needs: []string{"node", "npm"}, prepare: compileTypeScript},
	{name: "java", command: []string{"java", "-cp", "/usr/share/java/jackson-core.jar:/usr/share/java/jackson-annotations.jar:" + jackson, "Receiver.java"},
		dir: "java", needs: []string{"java", "javac"}, prepare: needJackson},
}

// webhookCall is a request to a receiver.
type webhookCall struct {
	name    string
	seq     int
	sent    time.Time
	sign    []hooks.Secret
	tamper  func(*http.Request)
	status  int
	printed bool
}

// TestReceivers: what straks signs, each example takes, once; what somebody else sends, a repeat and an old request it
// does not. The one in TypeScript verifies with the specification's own library.
func TestReceivers(t *testing.T) {
	text := hooks.NewSecret()
	secret, err := hooks.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	other, err := hooks.ParseSecret(hooks.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ours := []hooks.Secret{secret}
	calls := []webhookCall{
		{name: "good", seq: 1, sent: now, sign: ours, status: 204, printed: true},
		{name: "repeat", seq: 1, sent: now.Add(time.Second), sign: ours, status: 204},
		{name: "rotation", seq: 2, sent: now, sign: []hooks.Secret{other, secret}, status: 204, printed: true},
		{name: "a stranger", seq: 3, sent: now, sign: []hooks.Secret{other}, status: 401},
		{name: "old", seq: 3, sent: now.Add(-10 * time.Minute), sign: ours, status: 401},
		{name: "another id", seq: 3, sent: now, sign: ours, tamper: func(r *http.Request) { r.Header.Set("webhook-id", "ttd.4") }, status: 401},
		{name: "no headers", seq: 3, sent: now, sign: ours, tamper: func(r *http.Request) { r.Header = http.Header{} }, status: 401},
		{name: "the next", seq: 3, sent: now, sign: ours, status: 204, printed: true},
	}
	for _, c := range receivers {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			need(t, c.needs)
			if c.prepare != nil {
				c.prepare(t, c.dir)
			}
			url, lines := c.receive(t, text)
			var want []string
			for _, call := range calls {
				if got := call.send(t, url); got != call.status {
					t.Errorf("%s: %d, want %d", call.name, got, call.status)
				}
				if call.printed {
					want = append(want, fmt.Sprintf("ttd.%d shipment.completed SMS_Delivered", call.seq))
				}
			}
			var got []string
			for range want {
				got = append(got, <-lines)
			}
			if !slices.Equal(got, want) {
				t.Errorf("it printed %q, want %q", got, want)
			}
		})
	}
}

// receive runs a receiver until the test ends, and returns its URL and what it prints.
func (c client) receive(t *testing.T, secret string) (url string, lines <-chan string) {
	t.Helper()
	addr := freeport.Until(t)
	host, port, _ := net.SplitHostPort(addr)
	args := append(c.command[1:len(c.command):len(c.command)], host, port)
	if c.name == "go" {
		args = append(c.command[1:len(c.command):len(c.command)], addr)
	}
	cmd := exec.Command(c.command[0], args...)
	cmd.Dir, cmd.Env, cmd.Stderr = c.dir, append(os.Environ(), "WEBHOOK_SECRET="+secret), os.Stderr
	ownGroup(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		killGroup(cmd)
		cmd.Wait()
	})
	printed := make(chan string, 100)
	go func() {
		defer close(printed)
		for s := bufio.NewScanner(out); s.Scan(); {
			printed <- s.Text()
		}
	}()
	eventually.True(t, "the receiver to listen", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return "http://" + addr + "/hooks", printed
}

// send makes the request, signed by straks' own code, and returns the answer's status.
func (c webhookCall) send(t *testing.T, url string) int {
	t.Helper()
	id, stamp := fmt.Sprintf("ttd.%d", c.seq), strconv.FormatInt(c.sent.Unix(), 10)
	body := fmt.Sprintf(`{"type":"shipment.completed","timestamp":"2026-02-04T11:33:09.649920Z","data":{"sequenceNumber":%d,"sendersReference":"æøå €",`+
		`"recipients":[{"type":"SMS","destination":"+4799999999","status":"SMS_Delivered"}]}}`, c.seq)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var signatures []string
	for _, s := range c.sign {
		signatures = append(signatures, s.Sign(id, stamp, []byte(body)))
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", stamp)
	r.Header.Set("webhook-signature", strings.Join(signatures, " "))
	if c.tamper != nil {
		c.tamper(r)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}
