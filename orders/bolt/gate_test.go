package bolt

import (
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// gate stands before the commits of a journal (Options.commit). While it is shut
// the writer waits there, so that a test decides what queues up behind it.
type gate struct {
	shut  atomic.Bool
	came  chan struct{} // one for each commit that finds it shut
	token chan struct{} // each lets one through; closed, all
}

func newGate() *gate {
	return &gate{came: make(chan struct{}, 1000), token: make(chan struct{})}
}

func (g *gate) commit(tx *bbolt.Tx) error {
	if g.shut.Load() {
		g.came <- struct{}{}
		<-g.token
	}
	return tx.Commit()
}

// open lets everybody through, for good.
func (g *gate) open() {
	g.shut.Store(false)
	close(g.token)
}
