package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostile is a server that answers each request as it likes.
type hostile struct {
	url   string
	sent  atomic.Int64 // octets, of all answers
	asked atomic.Int64 // requests
}

// answerWith returns a server whose answer to each request is what the function writes. It
// ends the connection after it. third is called after the third request.
func answerWith(t *testing.T, write func(w io.Writer, r *http.Request), third func()) *hostile {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{url: "http://" + ln.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				write(counted{conn, &h.sent}, r)
				if h.asked.Add(1) == 3 {
					third()
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		serving.Wait()
	})
	return h
}

type counted struct {
	io.Writer
	sent *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// endless writes s until nobody reads it any more.
func endless(w io.Writer, s string) {
	for b := bytes.Repeat([]byte(s), 1+64<<10/len(s)); ; {
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}

// zeros returns what a compressor makes of many zeros.
func zeros(t *testing.T, n int) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for chunk := make([]byte, 1<<20); n > 0; n -= len(chunk) {
		w.Write(chunk)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// evil is text that a terminal obeys, as it is; evilJSON is the same in a JSON string.
const (
	evil     = "\x1b[2J\x1b]0;x\x07\x7f\u009b31m\u202e\x9b2J"
	evilJSON = `\u001b[2J\u001b]0;x\u0007` + "\x7f\u009b31m\u202e" + `\r\t\nstraks: forged\u001b[1A`
)

// success returns an answer of the kind that every command takes for a success.
func success(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// hostileAnswers are the ways in which a server can answer wrongly, by name.
func hostileAnswers(t *testing.T, other string) map[string]func(io.Writer, *http.Request) {
	bomb := zeros(t, 64<<20)
	says := func(s string) func(io.Writer, *http.Request) {
		return func(w io.Writer, _ *http.Request) { io.WriteString(w, s) }
	}
	return map[string]func(io.Writer, *http.Request){
		"nothing":         says(""),
		"garbage":         says(evil + "\r\n\r\n" + evil),
		"a bad header":    says("HTTP/1.1 200 OK\r\n" + evil + "\r\n\r\n{}"),
		"a bad status":    says("HTTP/1.1 500 " + evil + "\r\nContent-Length: 0\r\n\r\n"),
		"a large header":  says("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n{}"),
		"an empty object": says(success(`{}`)),
		"null":            says(success(`null`)),
		"a string":        says(success(`"` + evilJSON + `"`)),
		"no JSON":         says(success(evil)),
		"a deep array":    says(success(strings.Repeat("[", 1<<20))),
		"a page":          says("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>" + evil),
		"a bad type":      says("HTTP/1.1 200 OK\r\nContent-Type: " + strings.Trim(evil, "\x07\x7f") + "\r\n\r\n{}"),
		"half of it":      says("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n["),
		"a bomb":          says("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n" + bomb),
		"a bomb of octets": says("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Encoding: gzip\r\n\r\n" +
			bomb),
		"octets": says("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n" + evil),
		"a problem": says("HTTP/1.1 400 Bad\r\nContent-Type: application/problem+json\r\nRetry-After: 9223372036854775807\r\n\r\n" +
			`{"title":"` + evilJSON + `","detail":"` + evilJSON + `","code":"` + evilJSON + `","errors":{"` + evilJSON + `":["` + evilJSON + `"]}}`),
		"a large problem": says("HTTP/1.1 400 Bad\r\nContent-Type: application/problem+json\r\n\r\n" +
			`{"title":"x","errors":{"a":["` + strings.Repeat(`","`, 20_000) + `"]}}`),
		"an endless problem": func(w io.Writer, _ *http.Request) {
			io.WriteString(w, "HTTP/1.1 400 Bad\r\nContent-Type: application/problem+json\r\n\r\n{\"title\":\"")
			endless(w, "x")
		},
		"an endless array": func(w io.Writer, _ *http.Request) {
			io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
			endless(w, " ")
		},
		"endless octets": func(w io.Writer, _ *http.Request) {
			io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")
			endless(w, "\x00")
		},
		"an endless header": func(w io.Writer, _ *http.Request) {
			io.WriteString(w, "HTTP/1.1 200 OK\r\n")
			endless(w, "X: x\r\n")
		},
		"endless interim answers": func(w io.Writer, _ *http.Request) { endless(w, "HTTP/1.1 103 Early Hints\r\nX: x\r\n\r\n") },
		"a redirect":              says("HTTP/1.1 307 Away\r\nLocation: " + other + "\r\nContent-Length: 0\r\n\r\n"),
		"a strange redirect":      says("HTTP/1.1 302 Away\r\nLocation: http://%1b%5b2J" + strings.Repeat("x", 20_000) + ".example.org/\r\nContent-Length: 0\r\n\r\n"),
		"a redirect to nowhere":   says("HTTP/1.1 302 Away\r\nLocation: " + evil[1:4] + "\r\nContent-Length: 0\r\n\r\n"),
		"a redirect to itself": func(w io.Writer, r *http.Request) {
			io.WriteString(w, "HTTP/1.1 308 Away\r\nLocation: "+r.URL.String()+"\r\nContent-Length: 0\r\n\r\n")
		},
	}
}

// Whatever a server answers, a command ends with an error, has read little, and prints
// nothing that a terminal obeys; and nobody else gets the token.
func TestHostileServer(t *testing.T) {
	var leaked atomic.Int64
	other := answerWith(t, func(w io.Writer, _ *http.Request) {
		leaked.Add(1)
		io.WriteString(w, success(`[]`))
	}, func() {})
	journal := newJournal(t, 1)
	held := openJournal(t, journal)
	defer held.Close()
	for name, write := range hostileAnswers(t, other.url) {
		t.Run(name, func(t *testing.T) {
			for _, args := range clientCommands(t, journal) {
				ctx, cancel := context.WithCancel(t.Context())
				h := answerWith(t, write, cancel)
				t.Setenv("STRAKS_URL", h.url+"/base")
				t.Setenv("STRAKS_TOKEN", "hemlig")
				t.Setenv(adminToken, "hemlig")
				code, stdout, stderr := runIn(ctx, withAdmin(args, h.url)...)
				if interrupted := ctx.Err() != nil; code != exitFailed && !(interrupted && args[len(args)-1] == "-follow") {
					t.Errorf("%q: exit %d, %.300q, %.300q", args, code, stdout, stderr)
				}
				checkHarmless(t, stdout+stderr)
				if n := len(stdout) + len(stderr); n > 64<<10 {
					t.Errorf("%q: printed %d octets", args, n)
				}
				if n := h.sent.Load(); n > 128<<20 { // a copy of a journal may have most: twice its size and 64 MiB
					t.Errorf("%q: read up to %d octets", args, n)
				}
				if strings.Contains(stdout+stderr, "hemlig") {
					t.Errorf("%q: the token is printed", args)
				}
				cancel()
			}
		})
	}
	if leaked.Load() > 0 {
		t.Errorf("the target of a redirect was asked %d times", leaked.Load())
	}
}

// clientCommands are the commands that ask a server, with ADMIN where the address of an admin
// listener belongs.
func clientCommands(t *testing.T, journal string) [][]string {
	return [][]string{
		{"send", "sms", "-to", "+4799999999", "-key", "k", "hei"},
		{"send", "email", "-to", "ola@example.org", "-subject", "s", "-wait", "hei"},
		{"shipment", shipmentID},
		{"shipment", shipmentID, "-json"},
		{"feed"},
		{"feed", "-json"},
		{"feed", "-follow"},
		{"status", "-admin", "ADMIN"},
		{"status", "-json", "-admin", "ADMIN"},
		{"journal", "backup", "-file", journal, "-admin", "ADMIN", filepath.Join(t.TempDir(), "copy.db")},
	}
}

func withAdmin(args []string, url string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = strings.Replace(a, "ADMIN", url, 1)
	}
	return out
}

// runIn runs a command until it or the context ends.
func runIn(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = run(ctx, args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// checkHarmless reports characters that a terminal obeys, except line breaks.
func checkHarmless(t *testing.T, s string) {
	t.Helper()
	for _, r := range strings.ReplaceAll(s, "\n", "") {
		if !unicode.IsPrint(r) {
			t.Errorf("%U is printed: %.500q", r, s)
			return
		}
	}
	if !utf8.ValidString(s) {
		t.Errorf("not UTF-8: %.500q", s)
	}
	if strings.Contains(s, "\nstraks: forged") {
		t.Errorf("a line is forged: %.500q", s)
	}
}

// Answers of the right form whose words a terminal would obey are printed, harmlessly.
func TestHostileWords(t *testing.T) {
	shipment := `"shipmentId":"` + shipmentID + `","sendersReference":"` + evilJSON + `","type":"` + evilJSON + `","status":"` + evilJSON +
		`","lastUpdate":"2026-02-04T11:33:09Z","recipients":[{"type":"SMS","destination":"` + evilJSON + `","status":"` + evilJSON + `","lastUpdate":"2026-02-04T11:33:09Z"}]}`
	status := `{"version":"` + evilJSON + `","reason":"` + evilJSON + `","smsc":[{"bind":"` + evilJSON + `","mode":"` + evilJSON + `","addr":"` + evilJSON + `","state":"` + evilJSON +
		`","reason":"` + evilJSON + `","answers":{"` + evilJSON + `":1}}],"relay":[{"name":"` + evilJSON + `","addr":"` + evilJSON + `","reason":"` + evilJSON + `"}],"journal":{}}`
	h := answerWith(t, func(w io.Writer, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			io.WriteString(w, success(placed))
		case r.URL.Path == "/status":
			io.WriteString(w, success(status))
		case strings.HasSuffix(r.URL.Path, "/feed") && r.URL.Query().Get("seq") == "0":
			io.WriteString(w, success(`[{"sequenceNumber":1,`+shipment+`]`))
		case strings.HasSuffix(r.URL.Path, "/feed"):
			io.WriteString(w, success(`[]`))
		default:
			io.WriteString(w, success(`{`+shipment))
		}
	}, func() {})
	t.Setenv("STRAKS_URL", h.url+"/base")
	t.Setenv("STRAKS_TOKEN", "hemlig")
	for _, args := range [][]string{
		{"send", "sms", "-to", "+4799999999", "hei"}, {"shipment", shipmentID}, {"shipment", shipmentID, "-json"},
		{"feed"}, {"feed", "-json"}, {"status", "-admin", h.url}, {"status", "-json", "-admin", h.url},
	} {
		code, stdout, stderr := runIn(t.Context(), args...)
		if code != exitDone || !strings.Contains(stdout, "[2J") {
			t.Errorf("%q: exit %d, %q, %s", args, code, stdout, stderr)
		}
		checkHarmless(t, stdout+stderr)
		if lines := strings.Count(stdout, "\n"); args[0] != "status" && lines != 1 {
			t.Errorf("%q: printed %d lines: %q", args, lines, stdout)
		}
	}
}

// A feed that does not advance ends the command, following or not.
func TestHostileFeed(t *testing.T) {
	many := make([]string, 501)
	for i := range many {
		many[i] = entry(i+8, "SMS_Delivered")
	}
	for name, page := range map[string]string{
		"the same number":    entry(7, "SMS_Delivered"),
		"an earlier number":  entry(3, "SMS_Delivered"),
		"a number twice":     entry(8, "SMS_Delivered") + "," + entry(8, "SMS_Delivered"),
		"the wrong order":    entry(9, "SMS_Delivered") + "," + entry(8, "SMS_Delivered"),
		"too many":           strings.Join(many, ","),
		"no number":          shipmentJSON("Order_Completed", "SMS_Delivered"),
		"no shipment":        `{"sequenceNumber":8}`,
		"nobody":             strings.Replace(entry(8, "SMS_Delivered"), `"recipients":[{`, `"recipients":[],"x":[{`, 1),
		"a negative number":  entry(-1, "SMS_Delivered"),
		"a null":             "null",
		"another's shipment": strings.Replace(entry(8, "SMS_Delivered"), shipmentID, "00000000-0000-0000-0000-000000000000", 1),
	} {
		for _, flag := range []string{"-json", "-follow", "-all"} {
			p := serve(t, answer{200, "[" + page + "]"}, answer{200, "[]"})
			code, stdout, stderr := straks(t, "", "feed", "-seq", "7", flag)
			if code != exitFailed || stdout != "" || !strings.Contains(stderr, "not what a straks sends") || len(p.asked) != 1 {
				t.Errorf("%s: exit %d, %.300q, %.300q, asked %d times", name, code, stdout, stderr, len(p.asked))
			}
		}
	}
}

// An order's answer without its ids may come from anything: repeating the order is safe.
func TestHostileIDs(t *testing.T) {
	for _, body := range []string{`{}`, `{"notificationOrderId":"` + orderID + `"}`, strings.Replace(placed, orderID, "", 1),
		strings.Replace(placed, shipmentID, "none", 1), strings.Replace(placed, shipmentID, "00000000-0000-0000-0000-000000000000", 1)} {
		p := serve(t, answer{201, body})
		code, stdout, stderr := straks(t, "", "send", "sms", "-to", "+4799999999", "-key", "k-1", "hei")
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "-key k-1 is safe") || len(p.asked) != 1 {
			t.Errorf("%s: exit %d, %q, %s", body, code, stdout, stderr)
		}
	}
	another := strings.Replace(shipmentJSON("Order_Completed", "SMS_Delivered"), shipmentID, orderID, 1)
	serve(t, answer{200, another})
	if code, stdout, stderr := straks(t, "", "shipment", shipmentID); code != exitFailed || stdout != "" || !strings.Contains(stderr, "it is about shipment "+orderID) {
		t.Errorf("another shipment: exit %d, %q, %s", code, stdout, stderr)
	}
}

// A backup that is no journal is not kept.
func TestHostileBackup(t *testing.T) {
	journal := newJournal(t, 1)
	held := openJournal(t, journal)
	defer held.Close()
	h := answerWith(t, func(w io.Writer, _ *http.Request) {
		io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 7\r\n\r\nnothing")
	}, func() {})
	copied := filepath.Join(t.TempDir(), "copy.db")
	code, _, stderr := straks(t, "", "journal", "backup", "-file", journal, "-admin", h.url, copied)
	if _, err := os.Stat(copied); code != exitFailed || !strings.Contains(stderr, "not a journal") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("exit %d, %s, and the copy: %v", code, stderr, err)
	}
}
