package memnet

import (
	"testing"
	"testing/synctest"
)

// Bubble runs a test whose time is its own, so that no machine is too slow for it. Its helpers ask InBubble whether to
// listen and dial in this network.
func (n *Network) Bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n.bubbles.Store(testing.TB(t), true)
		defer n.bubbles.Delete(testing.TB(t))
		test(t)
	})
}

// InBubble reports whether the test was run by Bubble.
func (n *Network) InBubble(t testing.TB) bool {
	_, ok := n.bubbles.Load(t)
	return ok
}
