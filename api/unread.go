package api

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net/http"
	"strconv"
)

// What net/http can't read as a request (400, 431, 501, 505) no handler sees: it
// answers by itself, past them all, with plain text in one piece, and closes.
// No answer of a handler begins so: it tells the time in its head. Nor does one see what
// expects something else than 100-continue (417), which gets an answer without a word.
var (
	unreadLine = []byte("HTTP/1.1 ")
	unreadHead = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")
)

// unread returns the status of the answer b, if it is one of net/http's own.
func unread(b []byte) (status int, ok bool) {
	if !bytes.HasPrefix(b, unreadLine) {
		return 0, false
	}
	end, code := bytes.Index(b, crlf), len(unreadLine)
	if end < code+3 {
		return 0, false
	}
	status, err := strconv.Atoi(string(b[code : code+3]))
	return status, err == nil && (status == http.StatusExpectationFailed || bytes.HasPrefix(b[end:], unreadHead))
}

// Write has net/http's own answers look like all others: problem+json. Should it come
// to word them differently, they pass as they are.
func (c *doorConn) Write(b []byte) (int, error) {
	status, ok := unread(b)
	if !ok {
		return c.Conn.Write(b)
	}
	detail := "This could not be read as a request of HTTP/1.1. It sent nothing."
	if status == http.StatusExpectationFailed {
		detail = "Leave the header Expect out, or let it be 100-continue. This call sent nothing."
	}
	p := newProblem(status, detail)
	p.header = [2]string{"Connection", "close"}
	_, err := c.Conn.Write(p.render())
	// Who speaks HTTP where TLS is wanted can read no alert. net/http would tell, if this were a *tls.Conn.
	if plain := (tls.RecordHeaderError{}); errors.As(err, &plain) && plain.Conn != nil {
		p.Detail = "TLS is spoken here: begin the address with https. This call sent nothing."
		_, err = plain.Conn.Write(p.render())
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}
