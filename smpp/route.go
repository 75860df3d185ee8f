package smpp

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
)

// route is a Route that knows its SMSCs.
type route struct {
	Route
	smscs  []*smsc // in the configuration's order
	window int     // sum over all binds of the SMSCs
}

// score tells how well a route fits. More is better; see Route.
type score struct{ prefix, sender, organisation int }

func (a score) better(b score) bool {
	if a.prefix != b.prefix {
		return a.prefix > b.prefix
	}
	if a.sender != b.sender {
		return a.sender > b.sender
	}
	return a.organisation > b.organisation
}

// match returns how well the route fits the message, and false where it doesn't.
func (r *Route) match(m *Message) (s score, ok bool) {
	for _, prefix := range r.Prefixes {
		if strings.HasPrefix(m.To, prefix) {
			s.prefix = max(s.prefix, len(prefix))
		}
	}
	if slices.Contains(r.Senders, m.From) {
		s.sender = 1
	}
	if slices.Contains(r.Organisations, m.Organisation) {
		s.organisation = 1
	}
	ok = (len(r.Prefixes) == 0 || s.prefix > 0) &&
		(len(r.Senders) == 0 || s.sender > 0) &&
		(len(r.Organisations) == 0 || s.organisation > 0)
	return s, ok
}

// routeOf returns the route of a message, nil where there is none.
func (g *Gateway) routeOf(m *Message) *route {
	var best *route
	var bestScore score
	for _, r := range g.routes {
		if s, ok := r.match(m); ok && (best == nil || s.better(bestScore)) {
			best, bestScore = r, s
		}
	}
	return best
}

// senderFor returns the sender of a message at an SMSC of the route.
func (r *route) senderFor(m *Message, c *smsc) string {
	return cmp.Or(m.From, r.Sender, c.Sender)
}

// order returns the SMSCs in the order in which this message tries them: as the
// configuration has them, but equals by lot, each as likely first as its weight says.
func (r *route) order() []*smsc {
	if len(r.Weights) < 2 {
		return r.smscs
	}
	equals := r.draw()
	order := make([]*smsc, 0, len(r.smscs))
	for _, s := range r.smscs {
		switch {
		case r.Weights[s.Name] == 0:
			order = append(order, s)
		case equals != nil:
			order, equals = append(order, equals...), nil
		}
	}
	return order
}

// draw returns the equals, drawn one by one without putting back.
func (r *route) draw() []*smsc {
	left := slices.DeleteFunc(slices.Clone(r.smscs), func(s *smsc) bool { return r.Weights[s.Name] == 0 })
	sum := 0
	for _, s := range left {
		sum += r.Weights[s.Name]
	}
	drawn := make([]*smsc, 0, len(left))
	for len(left) > 0 {
		lot, i := rand.IntN(sum), 0
		for lot >= r.Weights[left[i].Name] {
			lot -= r.Weights[left[i].Name]
			i++
		}
		drawn = append(drawn, left[i])
		sum -= r.Weights[left[i].Name]
		left = slices.Delete(left, i, i+1)
	}
	return drawn
}
