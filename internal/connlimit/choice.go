package connlimit

import "container/list"

// class is what is known of a connection's client. Idle connections of the lowest class are
// closed first.
type class int

const (
	anonymous class = iota
	fresh
	authorized
	classes
)

// maxTries bounds the authorized connections that are looked at for octets that were not read.
const maxTries = 8

// queues holds idle connections by class, the oldest first.
type queues [classes]list.List

// oldest returns the connection to be closed first, nil if there is none. As many as spare
// fresh connections are left while there is an authorized one.
func (q *queues) oldest(spare int) *conn {
	if c := q.front(anonymous); c != nil {
		return c
	}
	if q[fresh].Len() > spare {
		return q.front(fresh)
	}
	for range min(q[authorized].Len(), maxTries) {
		c := q.front(authorized)
		if !pending(c.Conn) {
			return c
		}
		c.park() // a request is about to be read: the youngest
	}
	return q.front(fresh)
}

func (q *queues) front(of class) *conn {
	if e := q[of].Front(); e != nil {
		return e.Value.(*conn)
	}
	return nil
}

func (q *queues) len() (n int) {
	for i := range q {
		n += q[i].Len()
	}
	return n
}

// place is that of a connection in one of the queues.
type place struct {
	list    *list.List
	element *list.Element // nil: in none
}

func (p *place) leave() {
	if p.element != nil {
		p.list.Remove(p.element)
		p.element = nil
	}
}

func (p *place) enter(l *list.List, c *conn) {
	p.leave()
	p.list, p.element = l, l.PushBack(c)
}

// park makes the connection the youngest idle one of its class. Under mu.
func (c *conn) park() {
	c.among.enter(&c.limiter.idle[c.class], c)
	c.amongPeer.enter(&c.peer.idle[c.class], c)
}

// unpark protects the connection from being closed. Under mu.
func (c *conn) unpark() {
	c.among.leave()
	c.amongPeer.leave()
}
