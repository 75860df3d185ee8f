package api

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/net/http/httpguts"
)

// door stands before net/http. While there is no room for orders of a channel,
// it turns away requests that would place one with the very answer that
// api.answer would give, at less than half of the price: in a crowd, what a
// refusal costs decides how much is left for those that are admitted. For one that it lets
// in it has taken the place.
//
// It knows one kind of request, the one that programs send: a POST to a path
// of orders, whole in one read of a connection on which nothing else is under
// way. Whatever it does not know for certain it leaves to net/http, untouched.
type door struct {
	paths   map[string]doorway // by the request's target
	refusal []byte
}

// doorway is that of one path.
type doorway struct {
	room    *room
	metrics *routeMetrics
}

func (a *api) newDoor() *door {
	d := &door{paths: make(map[string]doorway), refusal: busy().render()}
	for _, rt := range a.routes() {
		if rt.channel != 0 {
			d.paths[a.base+rt.path] = doorway{a.rooms[rt.channel], a.metrics.route(rt)}
		}
	}
	return d
}

// render returns the whole answer, head and body.
func (p *problem) render() []byte {
	w := rendering{header: make(http.Header)}
	p.write(&w)
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", p.Status, http.StatusText(p.Status))
	w.header.Write(&head)
	return append(append(head.Bytes(), "\r\n"...), w.body...)
}

// rendering is a http.ResponseWriter that keeps what is written.
type rendering struct {
	header http.Header
	body   []byte
}

func (r *rendering) Header() http.Header { return r.header }

func (r *rendering) WriteHeader(int) {}

func (r *rendering) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

// meets returns the doorway of the one request that b is, whole; false where b
// is anything else (RFC 9112 §2.1).
func (d *door) meets(b []byte) (doorway, bool) {
	line, b, _ := bytes.Cut(b, crlf)
	target, ok := bytes.CutPrefix(line, []byte("POST "))
	if !ok {
		return doorway{}, false
	}
	if target, ok = bytes.CutSuffix(target, []byte(" HTTP/1.1")); !ok {
		return doorway{}, false
	}
	way, ok := d.paths[string(target)]
	return way, ok && plain(b)
}

var crlf = []byte("\r\n")

// unusual are the fields of requests that are net/http's business.
var unusual = [][]byte{[]byte("Transfer-Encoding"), []byte("Connection"), []byte("Expect"), []byte("Upgrade"), []byte("Trailer")}

func control(b byte) bool { return b < ' ' && b != '\t' || b == 0x7f }

// plain tells that b is the fields of a request, its one host among them, and then a
// body, just as long as they say, and that they ask for nothing unusual.
func plain(b []byte) bool {
	length, hosts := uint64(math.MaxUint64), 0
	for {
		line, rest, ok := bytes.Cut(b, crlf)
		if !ok {
			return false
		}
		if b = rest; len(line) == 0 {
			return length == uint64(len(b)) && hosts == 1
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !httpguts.ValidHeaderFieldName(string(name)) || slices.ContainsFunc(value, control) ||
			slices.ContainsFunc(unusual, func(u []byte) bool { return bytes.EqualFold(u, name) }) {
			return false
		}
		switch value = bytes.Trim(value, " \t"); {
		case bytes.EqualFold(name, []byte("Host")):
			hosts++
			ok = httpguts.ValidHostHeader(string(value))
		case bytes.EqualFold(name, []byte("Content-Length")):
			var err error
			ok = length == math.MaxUint64
			length, err = strconv.ParseUint(string(value), 10, 31)
			ok = ok && err == nil
		}
		if !ok {
			return false
		}
	}
}
