package api

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// So many are let in as there are places, however many come before the first of them is at its
// call; and the place of one that never gets that far is given back, be it answered or hung up on.
func TestDoorKeepsPlaces(t *testing.T) {
	entered, gate := make(chan struct{}, 3), make(chan struct{})
	addr, r := guarded(t, Room{Most: 2}, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-gate
		if r.Header.Get("X-Hang-Up") != "" {
			panic(http.ErrAbortHandler)
		}
	})
	a, b, c := calling(t, dial(t, addr)), calling(t, dial(t, addr)), calling(t, dial(t, addr))
	a.write(post("", smsBody))
	b.write(post("X-Hang-Up: yes\r\n", smsBody))
	<-entered
	<-entered
	if resp, _ := c.ask(post("", smsBody)); !byDoor(resp) {
		t.Errorf("no place is left: %s", resp.Status)
	}
	close(gate)
	if resp, _ := a.answer(); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	eventually(t, func() bool { return r.calls.Load() == 0 })
	if resp, _ := c.ask(post("", smsBody)); resp.StatusCode != 200 {
		t.Errorf("then: %s", resp.Status)
	}
	eventually(t, func() bool { return r.calls.Load() == 0 })
}

// An order has the place that the door kept for it, and no other.
func TestDoorHandsItsPlaceOver(t *testing.T) {
	w, addr, open := crowd(t, Limits{}) // one place only
	open()
	c := calling(t, dial(t, addr))
	room := w.api.door.paths[smsPath].room
	for i := range 3 {
		eventually(t, func() bool { return room.calls.Load() == 0 })
		if resp, body := c.ask(post("", smsOf(fmt.Sprint(i)))); resp.StatusCode != 201 {
			t.Fatalf("%s %s", resp.Status, body)
		}
	}
	for name, request := range map[string]string{
		"no token":  strings.Replace(post("", smsBody), "Authorization", "X-Authorization", 1),
		"no JSON":   strings.Replace(post("", smsBody), "application/json", "text/plain", 1),
		"no number": post("", strings.Replace(smsBody, "+47", "x", 1)),
	} {
		eventually(t, func() bool { return room.calls.Load() == 0 })
		if resp, body := c.ask(request); resp.StatusCode/100 != 4 {
			t.Errorf("%s: %s %s", name, resp.Status, body)
		}
	}
	eventually(t, func() bool { return room.calls.Load() == 0 })
}

// While the carriers take nothing a crowd is turned away at the door, and who comes alone has the
// answer that is owed: a repeat that of its order.
func TestDoorBeforeFullCarriers(t *testing.T) {
	w, addr, open := crowd(t, Limits{})
	open()
	w.sms.full.Store(true)
	room := w.api.door.paths[smsPath].room
	room.most = 10
	eventually(t, room.enter)
	c := calling(t, dial(t, addr))
	if resp, body := c.ask(post("", smsOf("first"))); !byDoor(resp) {
		t.Errorf("in a crowd: %s %s", resp.Status, body)
	}
	room.leave()
	eventually(t, func() bool { return room.calls.Load() == 0 })
	if resp, body := c.ask(post("", smsOf("first"))); resp.StatusCode != 200 {
		t.Errorf("a repeat alone: %s %s", resp.Status, body)
	}
}

// Who does not read the answer to a request that placed nothing keeps no place with it.
func TestDoorGivesPlacesBackBeforeTheAnswer(t *testing.T) {
	w, _, open := crowd(t, Limits{})
	open()
	room := w.api.door.paths[smsPath].room
	eventually(t, func() bool { return room.calls.Load() == 0 })
	answered := make(chan struct{})
	here, there := net.Pipe()
	serveOne(t, Server(w.api, Limits{}, slogDiscard()), &blockedWriter{there, answered},
		func(ln net.Listener) net.Listener { return w.api.Listener(ln, Limits{}) })
	t.Cleanup(func() { here.Close() })
	go calling(t, here).write(strings.Replace(post("", smsBody), "Authorization", "X-Authorization", 1))
	<-answered
	if n := room.calls.Load(); n != 0 {
		t.Errorf("%d places are held while nobody reads", n)
	}
}

// blockedWriter tells of the first write to a net.Pipe, which blocks since nobody reads.
type blockedWriter struct {
	net.Conn
	writes chan struct{}
}

func (b *blockedWriter) Write(p []byte) (int, error) {
	close(b.writes)
	return b.Conn.Write(p)
}

// guarded returns the address of a server of its own, whose door guards a room.
func guarded(t *testing.T, size Room, handler http.HandlerFunc) (addr string, r *room) {
	d, r := doorOfRoom(t, size)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := Server(handler, Limits{}, slogDiscard())
	go server.Serve(&doorListener{ln, d, Limits{}.withDefaults()})
	t.Cleanup(func() { server.Close() })
	return ln.Addr().String(), r
}
