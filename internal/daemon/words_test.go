package daemon_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/internal/rawwords"
	"straks/smpp/smsctest"
)

// An operator who listens gets what a carrier says, word for word; the log gets none of it, and nobody gets
// it afterwards.
func TestWordsOfCarriers(t *testing.T) {
	t.Parallel()
	p := smsctest.Profile{}
	p.Receipt.EchoText = true
	w := daemontest.NewStopped(t, p, quoting(), "")
	log := w.KeepLog()
	w.Start()
	w.Send("before", "+4799999999")

	for query, want := range map[string]string{
		"":                            "400",
		"?smsc=telco&relay=mx&for=1s": "400",
		"?smsc=nobody&for=1s":         "400",
		"?relay=telco&for=1s":         "400",
		"?smsc=telco&for=1h":          "400",
		"?smsc=telco&for=soon":        "400",
		"?smsc=telco&for=-1s":         "400",
	} {
		if _, text := w.Admin("/debug/words" + query); !strings.HasPrefix(text, "HTTP/1.1 "+want) {
			t.Errorf("%s: %s", query, text)
		}
	}

	smsc := listening(w, "smsc=telco")
	w.Send("now", "+4799999999")
	smsc("receipt", "Your code is 123456"[:10])
	relay := listening(w, "relay=mx")
	w.Client.SendEmail(t.Context(), daemontest.Mail("mail", "nosuch.vigdis@example.org"))
	relay("reply", "Hemmelig483920")
	if text := log.String(); strings.Contains(text, "Hemmelig") || !strings.Contains(text, "word for word") {
		t.Errorf("log:\n%s", text)
	}
}

// listening listens, and returns a function that awaits words of a kind with a text in them.
func listening(w *daemontest.World, query string) func(kind, text string) {
	w.T.Helper()
	req, err := http.NewRequestWithContext(w.T.Context(), "GET", "http://localhost/debug/words?for=5m&"+query, nil)
	if err != nil {
		w.T.Fatal(err)
	}
	resp, err := daemontest.AdminClient(w.Daemon.AdminAddr()).Do(req)
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	if resp.StatusCode != http.StatusOK || !lines.Scan() { // the first line says that it listens
		w.T.Fatalf("%s: %s", query, resp.Status)
	}
	return func(kind, text string) {
		w.T.Helper()
		var heard []string
		for lines.Scan() {
			var said rawwords.Words
			if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
				w.T.Fatalf("%v: %s", err, lines.Bytes())
			}
			if said.Kind == kind && strings.Contains(said.Text, text) {
				return
			}
			heard = append(heard, said.Text)
		}
		w.T.Errorf("heard %q: %v", heard, lines.Err())
	}
}
