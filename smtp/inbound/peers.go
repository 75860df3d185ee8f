package inbound

import (
	"net/netip"
	"sync"
	"time"
)

// An address may do something useless a few times at once, and seldom in the long run: connect and name no recipient of
// ours, or name one that does not exist.
const (
	uselessAtOnce    = 100
	uselessPerSecond = 1
)

// maxPeers bounds the addresses that are counted. When there are more, some start again.
const maxPeers = 8192

// bucket holds tokens, up to its size. They come back at a rate.
type bucket struct {
	tokens float64
	at     time.Time // of tokens
}

// take takes a token, and reports whether there was one.
func (b *bucket) take(now time.Time, size, perSecond float64) bool {
	if b.at.IsZero() {
		b.tokens = size
	} else {
		b.tokens = min(size, b.tokens+now.Sub(b.at).Seconds()*perSecond)
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// peer is what one address has done.
type peer struct {
	useless bucket
	mails   bucket
}

// peers count what addresses do. Those without an address (unix sockets) are not counted.
type peers struct {
	mails float64 // a second from one address

	mu  sync.Mutex
	all map[netip.Prefix]*peer
}

func newPeers(mails float64) *peers { return &peers{mails: mails, all: make(map[netip.Prefix]*peer)} }

// useless counts a connection or recipient as useless, and reports whether the address may go on.
func (p *peers) useless(address netip.Prefix) bool {
	return p.with(address, func(one *peer, now time.Time) bool {
		return one.useless.take(now, uselessAtOnce, uselessPerSecond)
	})
}

// useful takes one count as useless back.
func (p *peers) useful(address netip.Prefix) {
	p.with(address, func(one *peer, _ time.Time) bool {
		one.useless.tokens = min(uselessAtOnce, one.useless.tokens+1)
		return true
	})
}

// mail counts a mail, and reports whether it is within the rate.
func (p *peers) mail(address netip.Prefix) bool {
	return p.with(address, func(one *peer, now time.Time) bool {
		return one.mails.take(now, max(p.mails, 1), p.mails)
	})
}

func (p *peers) with(address netip.Prefix, do func(*peer, time.Time) bool) bool {
	if !address.IsValid() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	one := p.all[address]
	if one == nil {
		if len(p.all) >= maxPeers {
			p.sweep(now)
		}
		one = new(peer)
		p.all[address] = one
	}
	return do(one, now)
}

// sweep forgets the addresses that have been quiet for as long as their tokens take to come back, and some more if
// these were few. Under mu.
func (p *peers) sweep(now time.Time) {
	quiet := now.Add(-time.Duration(uselessAtOnce/uselessPerSecond) * time.Second)
	for address, one := range p.all {
		if one.useless.at.Before(quiet) && one.mails.at.Before(quiet) {
			delete(p.all, address)
		}
	}
	for address := range p.all { // in random order
		if len(p.all) <= maxPeers*7/8 {
			break
		}
		delete(p.all, address)
	}
}
