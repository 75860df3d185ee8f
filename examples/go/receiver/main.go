// Command receiver receives webhooks of straks: it verifies each, drops repeats, and prints what is new. It needs
// nothing but the standard library. WEBHOOK_SECRET is the secret, "whsec_…".
//
//	go run ./receiver ADDRESS     listens on ADDRESS, like 127.0.0.1:9000
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	tolerance = 5 * time.Minute
	maxBody   = 1 << 20
)

// good reports whether the request was signed with the key, lately.
func good(key []byte, h http.Header, body []byte) bool {
	id, stamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, signature := range strings.Fields(h.Get("webhook-signature")) { // two while the secret is being changed
		if hmac.Equal([]byte(signature), []byte(want)) {
			return true
		}
	}
	return false
}

func fail(why ...any) {
	fmt.Fprintln(os.Stderr, why...)
	os.Exit(1)
}

func main() {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))
	if err != nil {
		fail("WEBHOOK_SECRET:", err)
	}
	var mu sync.Mutex
	seen := make(map[string]bool) // in a real receiver: a table with a unique id, written together with the event
	fail(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil || !good(key, r.Header, body) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var event struct {
			Type string
			Data struct{ Recipients []struct{ Status string } }
		}
		if err := json.Unmarshal(body, &event); err != nil || len(event.Data.Recipients) == 0 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if id := r.Header.Get("webhook-id"); !seen[id] {
			seen[id] = true
			fmt.Println(id, event.Type, event.Data.Recipients[0].Status)
		}
		w.WriteHeader(http.StatusNoContent)
	})))
}
