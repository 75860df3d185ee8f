package orders

import "sync"

const (
	// inboxSize bounds the facts of one carrier that wait for the journal. Beyond it the SMSC
	// gets a temporary error, and sends the receipt again.
	inboxSize = 4096
	// receivers store batches concurrently: while the journal syncs one batch, the
	// next one is on its way to it.
	receivers    = 3
	receiveBatch = 256
	// strangeBatch is the batch of a carrier whose receipts match nothing. Each is parked, and may drop
	// an older one, which costs the journal several times as much as a receipt that matches. The orders
	// and receipts of all others wait for no more than this at a time.
	strangeBatch = 64
)

// inbox has the facts on their way to the journal, in a lane for each carrier. Lanes with facts take
// turns, and no lane has all receivers: a carrier that floods us delays no other by more than a batch.
type inbox struct {
	mu    sync.Mutex
	lanes map[string]*inLane // by carrier
	ready []*inLane          // whose turn comes, in this order
	size  int                // facts in all lanes
	wake  chan struct{}      // a token for each receiver at most, to look at ready
}

// inLane has the facts of one carrier. Under inbox.mu.
type inLane struct {
	carrier string
	facts   []inbound
	batches int  // that receivers have taken and not stored
	queued  bool // it is in ready
	strange bool // most receipts of its last batch matched nothing
}

func newInbox() *inbox {
	return &inbox{lanes: make(map[string]*inLane), wake: make(chan struct{}, receivers)}
}

// put appends a fact to the lane of its carrier, and reports whether there was room.
func (q *inbox) put(carrier string, in inbound) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lanes[carrier]
	if l == nil {
		l = &inLane{carrier: carrier}
		q.lanes[carrier] = l
	}
	if len(l.facts) >= inboxSize {
		return false
	}
	l.facts = append(l.facts, in)
	q.size++
	q.queue(l)
	return true
}

// queue gives a lane with facts a turn, unless it has one or as many receivers as it may. Under mu.
func (q *inbox) queue(l *inLane) {
	most := receivers - 1
	if l.strange {
		most = 1
	}
	if l.queued || len(l.facts) == 0 || l.batches >= most {
		return
	}
	l.queued = true
	q.ready = append(q.ready, l)
	select {
	case q.wake <- struct{}{}:
	default: // every receiver is about to look
	}
}

// take returns the facts whose turn it is, and their lane: nil where none waits, or only those of
// lanes that have their share of receivers.
func (q *inbox) take() (*inLane, []inbound) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ready) == 0 {
		return nil, nil
	}
	l := q.ready[0]
	q.ready = q.ready[1:]
	n := min(len(l.facts), receiveBatch)
	if l.strange {
		n = min(n, strangeBatch)
	}
	batch := l.facts[:n:n]
	l.facts = l.facts[n:]
	q.size -= n
	l.queued = false
	l.batches++
	q.queue(l)
	return l, batch
}

// stored gives the receiver of a batch back, whose receipts matched something or not.
func (q *inbox) stored(l *inLane, strange bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l.batches--
	l.strange = strange
	q.queue(l)
}

// waiting returns how many facts wait.
func (q *inbox) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size
}
