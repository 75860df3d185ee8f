package api

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What the door takes for a plain order, net/http takes for the same request,
// of the same length.
func FuzzDoor(f *testing.F) {
	d := &door{paths: map[string]doorway{smsPath: {}}}
	for _, seed := range []string{post("", smsBody), post("X: a\r\n", ""), post("X:\r\nY: \x80\r\n", "{}"), "POST / HTTP/1.1\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok := d.meets(b); !ok {
			return
		}
		in := bufio.NewReader(bytes.NewReader(b))
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		rest, _ := io.ReadAll(in)
		if err != nil || int64(len(body)) != r.ContentLength || len(rest) != 0 || r.Method != "POST" || r.Close ||
			r.URL.Path != smsPath || r.TransferEncoding != nil {
			t.Errorf("%+v, %v, %d octets beyond it", r, err, len(rest))
		}
	})
}

// Whatever comes, in whatever pieces, the door and net/http give together the answers that
// net/http gives by itself: as many, and in their order.
func FuzzDoorAndServer(f *testing.F) {
	order, get := post("", smsBody), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	mail := strings.TrimSuffix(strings.Replace(post("", order), "/sms ", "/email ", 1), order)
	for _, seed := range []string{
		order + "\xff" + order + "\xff" + get + "\xff" + order, get + order + "\xff" + order, get + "\xfe" + order + "\xff" + order,
		get + mail + "\xff" + order + "\xff" + order, get + "\xff" + mail + "\xff" + order + "\xff" + order, mail + "\xff" + order + "\xff" + order,
		get + "GET /b HTTP/1.1\r\nHost: x\r\n\xff" + order + "\xff\r\n\xff", get + "GET\xff" + order + "\xff" + order,
		get + "\r\n\xff" + order, get + "X\xff" + order + "\xff" + order, get + "G\xff" + "ET / HTTP/1.1\r\nHost: x\r\nX: \xff" + order,
		order + "\xfe" + order + order, order[:40] + "\xff" + order[40:], "\r\n\xff" + order + "\xff" + order,
		post("Connection: close\r\n", smsBody) + "\xff" + order, get + "\xfe" + order[:40] + "\xff" + order[40:] + "\xff" + order,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		if with, without := answers(t, sent, true), answers(t, sent, false); with != without {
			t.Errorf("with the door:\n%s\nwithout:\n%s", with, without)
		}
	})
}

var dateField = regexp.MustCompile("Date: .*\r\n")

// answers returns what a server says that has no room for orders, with or without a door before it. The
// octet 0xfe ends a piece of what is sent, 0xff one whose answer is awaited before the next.
func answers(t *testing.T, sent []byte, guarded bool) string {
	var said []byte
	synctest.Test(t, func(t *testing.T) {
		conn, r := behindDoor(t, Limits{}.withDefaults(), func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			time.Sleep(time.Millisecond) // in which the next piece may come
			if r.Method == http.MethodPost && r.URL.Path == smsPath {
				busy().write(w)
			} else {
				io.WriteString(w, r.Method+r.RequestURI+string(body))
			}
		})
		if !guarded {
			r.leave()
		}
		all := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(conn)
			all <- b
		}()
		send(conn, sent)
		conn.Close()
		said = <-all
		time.Sleep(time.Second) // for the handler to end
	})
	return dateField.ReplaceAllString(string(said), "")
}

// awaited is for how long the answer to a piece is awaited. No number of pieces ends in the moment of
// a deadline, of whole seconds: either might come first then.
const awaited = 1010 * time.Millisecond

func send(conn io.Writer, sent []byte) {
	for len(sent) > 0 {
		piece := sent
		if end := slices.IndexFunc(sent, func(b byte) bool { return b >= 0xfe }); end >= 0 {
			piece = sent[:end]
		}
		wait := len(piece) == len(sent) || sent[len(piece)] == 0xff
		sent = sent[min(len(piece)+1, len(sent)):]
		if len(piece) > 0 {
			if _, err := conn.Write(piece); err != nil {
				return
			}
		}
		if wait {
			time.Sleep(awaited)
		}
	}
}
