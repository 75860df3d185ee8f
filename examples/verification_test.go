package examples

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// codeSentTo returns the code in the newest message of a sandbox's inbox.
func codeSentTo(t *testing.T, s sandbox, to string) string {
	t.Helper()
	resp, err := http.Get(s.Inbox + "/messages/latest?wait=10&to=" + url.QueryEscape(to))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var m struct{ Text string }
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`[0-9]{6}`).FindString(m.Text)
}

// TestVerificationExamples: over the same network, each example starts one verification with one SMS. A wrong code whose
// answer was lost is counted twice, the right one is approved all the same, and after that every code is too late.
func TestVerificationExamples(t *testing.T) {
	binary := build(t)
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			need(t, c.needs)
			if c.prepare != nil {
				c.prepare(t, c.dir)
			}
			s := startSandbox(t, binary)
			const phone = "+4799999999"
			n := newBadNetwork(t, s)
			id := c.run(t, n, s, "start", phone)
			if !uuidForm.MatchString(id) {
				t.Fatalf("start printed %q, want a verification's id", id)
			}
			if len(n.orders) != 3 || n.orders[0] == "" || n.orders[0] != n.orders[1] || n.orders[1] != n.orders[2] {
				t.Errorf("attempts had the keys %q, want three with the same", n.orders)
			}
			code := codeSentTo(t, s, phone)
			wrong := "1" + code[1:]
			if wrong == code {
				wrong = "2" + code[1:]
			}
			for _, step := range []struct{ typed, want string }{{wrong, "pending 3"}, {code[:3] + " " + code[3:], "approved"}, {wrong, "ended NOT-00012"}} {
				if got := c.run(t, newBadNetwork(t, s), s, "check", id, step.typed); got != step.want {
					t.Errorf("check printed %q, want %q", got, step.want)
				}
			}
		})
	}
}

// TestVerificationIsShown: docs/verification.md shows the check of the example in Python.
func TestVerificationIsShown(t *testing.T) {
	example, err := os.ReadFile("python/straks.py")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/verification.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "```python\n")
	shown, _, _ = strings.Cut(shown, "```")
	head, body, ok := strings.Cut(shown, "\n")
	if !ok || !strings.Contains(string(example), head) || !strings.Contains(string(example), body) {
		t.Errorf("the example has it otherwise:\n%s", shown)
	}
}
